use std::error::Error;

use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::BatchResultErrorEntry;
use tokio::time::error::Elapsed;

/// A call to SQS did not succeed, after the SDK's own tries.
#[derive(Debug, thiserror::Error)]
#[error("the call to SQS failed")]
pub(crate) struct CallError {
    source: Box<dyn Error + Send + Sync>,
    retryable: bool,
    code: Option<String>,
}

impl CallError {
    /// Whether the same call may succeed later without anybody's doing.
    pub(crate) const fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// Whether the queue does not exist.
    pub(crate) fn is_queue_missing(&self) -> bool {
        self.code.as_deref().is_some_and(|code| {
            code.ends_with("QueueDoesNotExist") || code.ends_with("NonExistentQueue")
        })
    }

    /// Whether SQS finds fault with the message itself, as with one that is too large.
    pub(crate) fn is_invalid(&self) -> bool {
        self.code.as_deref().is_some_and(|code| {
            code.contains("InvalidParameterValue") || code.contains("InvalidMessageContents")
        })
    }

    pub(crate) fn into_source(self) -> Box<dyn Error + Send + Sync> {
        self.source
    }

    /// What went wrong, for each of those whose messages were in the call.
    pub(crate) fn told(&self) -> String {
        let mut told = self.source.to_string();
        let mut cause = self.source.source();
        while let Some(deeper) = cause {
            told = format!("{told}: {deeper}");
            cause = deeper.source();
        }
        told
    }

    pub(super) fn timed_out(elapsed: Elapsed) -> Self {
        Self { source: elapsed.into(), retryable: true, code: None }
    }

    /// An answer that lacks what was asked for; nothing may be concluded from it.
    pub(super) fn unanswered(what: &str) -> Self {
        let source = format!("the answer says nothing usable about {what}").into();
        Self { source, retryable: true, code: None }
    }

    pub(super) fn unbuilt(error: BuildError) -> Self {
        Self { source: error.into(), retryable: false, code: None }
    }
}

impl<E> From<SdkError<E, HttpResponse>> for CallError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let code = error.code().map(str::to_owned);
        let retryable = match &error {
            SdkError::ConstructionFailure(_) => false,
            SdkError::ServiceError(context) => {
                let throttled = code
                    .as_deref()
                    .is_some_and(|code| code.contains("Throttl") || code.ends_with("OverLimit"));
                throttled || context.raw().status().as_u16() >= 500
            }
            _ => true,
        };
        // The service's own words say more than the SDK's wrapper around them.
        Self { source: error.into_source().unwrap_or_else(Into::into), retryable, code }
    }
}

/// Why one entry of a batch call was refused.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    /// Whether the entry itself is at fault: trying again would not help.
    pub(crate) is_final: bool,
}

impl Refusal {
    pub(super) fn of(entry: &BatchResultErrorEntry) -> Option<(usize, Self)> {
        let place = entry.id().parse().ok()?;
        let throttled = entry.code().contains("Throttl");
        let is_final = entry.sender_fault() && !throttled;
        Some((place, Self { code: entry.code().to_owned(), is_final }))
    }
}
