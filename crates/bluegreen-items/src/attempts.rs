//! Each attempt of a call, the SDK's own repetitions included.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use aws_sdk_dynamodb::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextRef,
    BeforeTransmitInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;

use crate::RetryClass;
use crate::retry::Counters;
use crate::sends::Sends;

/// What became of the attempt before: nothing yet, no answer, or the status of one.
const FIRST: u16 = 0;
const UNANSWERED: u16 = 1;
/// An answer of status 400 that says that a transaction has the item.
const IN_PROGRESS: u16 = 2;

/// Watches the attempts of one call: counts the repetitions by the reason, and notes for a write
/// whether it may have been applied.
#[derive(Debug)]
pub(crate) struct Attempts {
    counters: Arc<Counters>,
    sends: Option<Sends>,
    before: AtomicU16,
}

impl Attempts {
    pub(crate) const fn of_read(counters: Arc<Counters>) -> Self {
        Self { counters, sends: None, before: AtomicU16::new(FIRST) }
    }

    pub(crate) const fn of_write(counters: Arc<Counters>, sends: Sends) -> Self {
        Self { counters, sends: Some(sends), before: AtomicU16::new(FIRST) }
    }
}

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "bluegreen-items attempts"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _runtime_components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(sends) = &self.sends {
            sends.begun();
        }
        match self.before.swap(UNANSWERED, Ordering::Relaxed) {
            FIRST => {}
            UNANSWERED | 408 => self.counters.retried(RetryClass::Transient),
            IN_PROGRESS => self.counters.retried(RetryClass::Conflict),
            500.. => self.counters.retried(RetryClass::ServerError),
            // Of all others the SDK repeats only those that were turned away for their rate.
            _ => self.counters.retried(RetryClass::Throttling),
        }
        Ok(())
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _runtime_components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let status = context.response().status().as_u16();
        // 408 says that no whole request came in time, which is not the service's own word.
        let is_turned_away = (400..500).contains(&status) && status != 408;
        if is_turned_away && let Some(sends) = &self.sends {
            sends.turned_away();
        }
        self.before.store(status, Ordering::Relaxed);
        Ok(())
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
            self.before.store(IN_PROGRESS, Ordering::Relaxed);
        }
        Ok(())
    }
}
