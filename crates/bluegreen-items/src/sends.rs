use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
    InterceptorContext,
};
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;

/// The sends of one write that may have been applied, the SDK's own repetitions included.
///
/// A send that the service turned away, for its rate or for a condition that does not hold, was not
/// applied. Only after one without such an answer may a later one be refused because of the write
/// itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sends {
    doubtful: Arc<AtomicU32>,
}

impl Sends {
    /// Whether one of them may have been applied although the last one was refused.
    pub(crate) fn are_in_doubt(&self) -> bool {
        self.doubtful.load(Ordering::Relaxed) > 0
    }
}

impl Intercept for Sends {
    fn name(&self) -> &'static str {
        "bluegreen-items sends"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _runtime_components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.doubtful.fetch_add(1, Ordering::Relaxed);
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
        if (400..500).contains(&status) && status != 408 {
            self.doubtful.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// For writes that must not be sent again while they are in doubt: the SDK repeats those that were
/// turned away, at its own pace, and no others.
impl ClassifyRetry for Sends {
    fn name(&self) -> &'static str {
        "bluegreen-items sends"
    }

    fn classify_retry(&self, _context: &InterceptorContext) -> RetryAction {
        if self.are_in_doubt() {
            RetryAction::RetryForbidden
        } else {
            RetryAction::NoActionIndicated
        }
    }
}
