//! Which failures of a call may pass, by what the service or the connection said. Pure.

use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::ItemError;

/// Why a call that failed may succeed when it is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryClass {
    /// The service turned it away because of its rate. It was not applied.
    Throttling,
    /// A transaction, or another region, has the item. It was not applied.
    Conflict,
    /// The service failed: status 5xx. It may have been applied.
    ServerError,
    /// The connection broke, or no answer came in time. It may have been applied.
    Transient,
}

/// An error that knows whether its call may be repeated. Every error of an AWS SDK call does, and
/// so does [`ItemError`].
pub trait Classify {
    /// Why a repetition may succeed; nothing when none will.
    fn retry_class(&self) -> Option<RetryClass>;

    /// How long the service asks to wait before it.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

impl<E: ProvideErrorMetadata> Classify for SdkError<E, HttpResponse> {
    fn retry_class(&self) -> Option<RetryClass> {
        match self {
            Self::TimeoutError(_) | Self::ResponseError(_) => Some(RetryClass::Transient),
            Self::DispatchFailure(failure) => (!failure.is_user()).then_some(RetryClass::Transient),
            Self::ServiceError(context) => {
                let (code, message) = (context.err().code(), context.err().message());
                let status = context.raw().status().as_u16();
                of(status, code.unwrap_or_default(), message.unwrap_or_default())
            }
            // A call that cannot be built, or a kind that this SDK does not know.
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        let header = self.raw_response()?.headers().get("x-amz-retry-after")?;
        header.parse().ok().map(Duration::from_millis)
    }
}

impl Classify for ItemError {
    fn retry_class(&self) -> Option<RetryClass> {
        match self {
            Self::Throttled { .. } => Some(RetryClass::Throttling),
            Self::Unavailable { .. } => Some(RetryClass::Transient),
            _ => None,
        }
    }
}

/// The codes by which AWS services turn a call away because of its rate.
const THROTTLING: [&str; 12] = [
    "BandwidthLimitExceeded",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottlingError",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// The codes of status 400 that pass by themselves: a transaction or another region has the item.
const CONFLICT: [&str; 4] = [
    "ReplicatedWriteConflictException",
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
];

/// The class of an answer with this status, code and message.
pub(super) fn of(status: u16, code: &str, message: &str) -> Option<RetryClass> {
    if code == "TransactionCanceledException" {
        return of_reasons(message);
    }
    if THROTTLING.contains(&code) || status == 429 {
        return Some(RetryClass::Throttling);
    }
    if CONFLICT.contains(&code) {
        return Some(RetryClass::Conflict);
    }
    match status {
        408 => Some(RetryClass::Transient),
        500.. => Some(RetryClass::ServerError),
        _ if code.starts_with("RequestTimeout") => Some(RetryClass::Transient),
        _ => None,
    }
}

/// The class of a canceled transaction: its message ends in the reason for each item, as in
/// `[None, TransactionConflict]`. One that does not pass decides for all.
fn of_reasons(message: &str) -> Option<RetryClass> {
    let (_, reasons) = message.rsplit_once('[')?;
    let codes = reasons.trim_end_matches(']').split(',').map(str::trim);
    let mut class = None;
    for code in codes.filter(|code| *code != "None") {
        class = if THROTTLING.contains(&code) {
            class.or(Some(RetryClass::Throttling))
        } else if CONFLICT.contains(&code) {
            Some(RetryClass::Conflict)
        } else {
            return None;
        };
    }
    class
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_failure_that_passes_is_known_and_no_other() {
        use RetryClass::{Conflict, ServerError, Throttling, Transient};
        let cancelled = "Transaction cancelled, please refer cancellation reasons for specific \
                         reasons";
        let with = |reasons: &str| format!("{cancelled} {reasons}");
        let canceled = "TransactionCanceledException";
        let cases = [
            (400, "ProvisionedThroughputExceededException", "", Some(Throttling)),
            (400, "ThrottlingException", "", Some(Throttling)),
            (400, "RequestLimitExceeded", "", Some(Throttling)),
            (503, "SlowDown", "", Some(Throttling)),
            (429, "", "", Some(Throttling)),
            (400, "TransactionConflictException", "", Some(Conflict)),
            (400, "TransactionInProgressException", "", Some(Conflict)),
            (400, "ReplicatedWriteConflictException", "", Some(Conflict)),
            (400, canceled, &with("[None, TransactionConflict]"), Some(Conflict)),
            (400, canceled, &with("[ThrottlingError, None]"), Some(Throttling)),
            (400, canceled, &with("[TransactionConflict, ConditionalCheckFailed]"), None),
            (400, canceled, "without reasons", None),
            (500, "InternalServerError", "", Some(ServerError)),
            (503, "", "", Some(ServerError)),
            (408, "", "", Some(Transient)),
            (400, "RequestTimeout", "", Some(Transient)),
            (400, "ValidationException", "", None),
            (400, "ConditionalCheckFailedException", "", None),
            (400, "AccessDeniedException", "", None),
            (404, "", "", None),
        ];
        for (status, code, message, expected) in cases {
            assert_eq!(of(status, code, message), expected, "{status} {code} {message}");
        }
    }
}
