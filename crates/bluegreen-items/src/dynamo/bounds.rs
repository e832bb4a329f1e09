//! How long a call may take.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use bluegreen_core::Stop;

use crate::{ItemError, TableConfig};

/// What ends a call that does not end by itself.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    timeout: Duration,
    stop: Stop,
}

impl Bounds {
    pub(super) fn of(config: &TableConfig) -> Self {
        Self { timeout: config.call_timeout, stop: config.stop.clone() }
    }

    /// The answer to a call, if it comes in time; the call is not made after the end of the stop.
    pub(super) async fn within<O, E>(
        &self,
        call: impl Future<Output = Result<O, SdkError<E>>>,
    ) -> Result<Result<O, SdkError<E>>, ItemError> {
        tokio::select! {
            biased;
            () = self.stop.expired() => Err(ItemError::Stopped),
            answer = tokio::time::timeout(self.timeout, call) => answer.map_err(|_| {
                ItemError::unanswered(format!("no answer came within {:?}", self.timeout))
            }),
        }
    }
}
