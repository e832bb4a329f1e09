//! Each attempt of a call, the SDK's own repetitions included.
//!
//! The client tells one [`Watch`] of the attempts of all calls; which call it is the task knows that
//! makes it. To give each call a watch of its own would cost a configuration for each.

use std::cell::Cell;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextRef,
    BeforeTransmitInterceptorContextRef, InterceptorContext,
};
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;

use crate::RetryClass;
use crate::retry::Counters;
use crate::sends::Sends;
use crate::validity::Validity;

tokio::task_local! {
    /// The call that the task makes.
    static CALL: Call;
}

/// What became of the attempt before: nothing yet, no answer, or the status of one.
const FIRST: u16 = 0;
const UNANSWERED: u16 = 1;
/// An answer of status 400 that says that a transaction has the item.
const IN_PROGRESS: u16 = 2;

/// One call: counts its repetitions by the reason, and notes for a write whether it may have been
/// applied.
#[derive(Debug)]
pub(crate) struct Call {
    counters: Arc<Counters>,
    write: Option<Writing>,
    before: Cell<u16>,
}

/// What is to be known of a write besides.
#[derive(Debug)]
pub(crate) struct Writing {
    pub(crate) sends: Sends,
    pub(crate) validity: Validity,
    /// Whether it is not to be sent again while it may have been applied.
    pub(crate) goes_once: bool,
}

impl Call {
    pub(crate) const fn of_read(counters: Arc<Counters>) -> Self {
        Self { counters, write: None, before: Cell::new(FIRST) }
    }

    pub(crate) const fn of_write(counters: Arc<Counters>, write: Writing) -> Self {
        Self { counters, write: Some(write), before: Cell::new(FIRST) }
    }

    /// Makes the call.
    pub(crate) async fn make<O>(self, call: impl Future<Output = O>) -> O {
        CALL.scope(self, call).await
    }

    /// An attempt is about to leave.
    fn leaves(&self) -> Result<(), BoxError> {
        if let Some(write) = &self.write {
            write.validity.check(write.sends.are_in_doubt())?;
            write.sends.begun();
        }
        match self.before.replace(UNANSWERED) {
            FIRST => {}
            UNANSWERED | 408 => self.counters.retried(RetryClass::Transient),
            IN_PROGRESS => self.counters.retried(RetryClass::Conflict),
            500.. => self.counters.retried(RetryClass::ServerError),
            // Of all others the SDK repeats only those that were turned away for their rate.
            _ => self.counters.retried(RetryClass::Throttling),
        }
        Ok(())
    }

    fn is_answered(&self, status: u16) {
        // 408 says that no whole request came in time, which is not the service's own word.
        let is_turned_away = (400..500).contains(&status) && status != 408;
        if is_turned_away && let Some(write) = &self.write {
            write.sends.turned_away();
        }
        self.before.set(status);
    }

    fn may_be_repeated(&self) -> bool {
        let is_over = |write: &Writing| write.goes_once && write.sends.are_in_doubt();
        !self.write.as_ref().is_some_and(is_over)
    }
}

/// Watches the attempts of a client's calls.
#[derive(Clone, Copy, Debug)]
struct Watch;

/// A client as this one whose calls are watched.
pub(crate) fn watched(client: &Client) -> Client {
    let config = client.config().to_builder().interceptor(Watch).retry_classifier(Watch);
    Client::from_conf(config.build())
}

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "bluegreen-items attempts"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _runtime_components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        CALL.try_with(Call::leaves)?
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _runtime_components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let status = context.response().status().as_u16();
        Ok(CALL.try_with(|call| call.is_answered(status))?)
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _runtime_components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Only by now the body has come.
        let response = context.response();
        let body = response.body().bytes().unwrap_or_default();
        let word = b"TransactionInProgress";
        if response.status().as_u16() == 400 && body.windows(word.len()).any(|part| part == word) {
            CALL.try_with(|call| call.before.set(IN_PROGRESS))?;
        }
        Ok(())
    }
}

/// What was turned away the SDK repeats at its own pace, also of what goes once.
impl ClassifyRetry for Watch {
    fn name(&self) -> &'static str {
        "bluegreen-items attempts"
    }

    fn classify_retry(&self, _context: &InterceptorContext) -> RetryAction {
        match CALL.try_with(Call::may_be_repeated) {
            Ok(false) => RetryAction::RetryForbidden,
            Ok(true) | Err(_) => RetryAction::NoActionIndicated,
        }
    }
}
