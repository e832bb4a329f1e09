use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;

/// How often one write went out to the service, the SDK's own repetitions included.
///
/// A write that went out once and was refused was not applied. Only one that went out again may be
/// refused because of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sends(Arc<AtomicU32>);

impl Sends {
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether an earlier send may have been applied although the last one was refused.
    pub(crate) fn were_repeated(&self) -> bool {
        self.count() > 1
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
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
