//! Which failures of a call may pass, by what the service or the connection said. Pure.

use std::any::Any;
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::execute_transaction::ExecuteTransactionError;
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::CancellationReason;
use aws_sdk_dynamodb::types::error::TransactionCanceledException;

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

impl<E: ProvideErrorMetadata + 'static> Classify for SdkError<E, HttpResponse> {
    fn retry_class(&self) -> Option<RetryClass> {
        match self {
            Self::TimeoutError(_) | Self::ResponseError(_) => Some(RetryClass::Transient),
            Self::DispatchFailure(failure) => (!failure.is_user()).then_some(RetryClass::Transient),
            Self::ServiceError(context) => match cancellation(context.err()) {
                Some(canceled) => {
                    let reasons = canceled.cancellation_reasons().iter();
                    of_reasons(reasons.filter_map(CancellationReason::code))
                }
                None => {
                    let status = context.raw().status().as_u16();
                    of(status, context.err().code().unwrap_or_default())
                }
            },
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
            Self::Unavailable { class, .. } => Some(*class),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Unavailable { retry_after, .. } => {
                *retry_after
            }
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

/// The exception that names a reason for each part of a canceled transaction.
fn cancellation<E: 'static>(error: &E) -> Option<&TransactionCanceledException> {
    let error: &dyn Any = error;
    match error.downcast_ref() {
        Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
            return Some(canceled);
        }
        Some(_) => return None,
        None => {}
    }
    match error.downcast_ref() {
        Some(TransactGetItemsError::TransactionCanceledException(canceled)) => {
            return Some(canceled);
        }
        Some(_) => return None,
        None => {}
    }
    match error.downcast_ref() {
        Some(ExecuteTransactionError::TransactionCanceledException(canceled)) => Some(canceled),
        _ => None,
    }
}

/// The class of an answer with this status and code.
pub(super) fn of(status: u16, code: &str) -> Option<RetryClass> {
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

/// The class of a canceled transaction, by the codes of its reasons. One that does not pass decides
/// for all.
fn of_reasons<'a>(codes: impl Iterator<Item = &'a str>) -> Option<RetryClass> {
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
    use aws_smithy_types::body::SdkBody;

    #[test]
    fn every_class_of_failure_that_passes_is_known_and_no_other() {
        use RetryClass::{Conflict, ServerError, Throttling, Transient};
        let cases = [
            (400, "ProvisionedThroughputExceededException", Some(Throttling)),
            (400, "ThrottlingException", Some(Throttling)),
            (400, "RequestLimitExceeded", Some(Throttling)),
            (503, "SlowDown", Some(Throttling)),
            (429, "", Some(Throttling)),
            (400, "TransactionConflictException", Some(Conflict)),
            (400, "TransactionInProgressException", Some(Conflict)),
            (400, "ReplicatedWriteConflictException", Some(Conflict)),
            (500, "InternalServerError", Some(ServerError)),
            (503, "", Some(ServerError)),
            (408, "", Some(Transient)),
            (400, "RequestTimeout", Some(Transient)),
            (400, "ValidationException", None),
            (400, "ConditionalCheckFailedException", None),
            (400, "AccessDeniedException", None),
            (404, "", None),
        ];
        for (status, code, expected) in cases {
            assert_eq!(of(status, code), expected, "{status} {code}");
        }
    }

    #[test]
    fn a_canceled_transaction_passes_when_all_of_its_reasons_do() {
        let message = "refer cancellation reasons for specific reasons [TransactionConflict]";
        let canceled = |codes: &[&str]| {
            let reasons =
                codes.iter().map(|code| CancellationReason::builder().code(*code).build());
            TransactionCanceledException::builder()
                .message(message)
                .set_cancellation_reasons(Some(reasons.collect()))
                .build()
        };
        let cases: [(&[&str], _); 6] = [
            (&["None", "TransactionConflict"], Some(RetryClass::Conflict)),
            (&["ThrottlingError", "None"], Some(RetryClass::Throttling)),
            (&["ThrottlingError", "TransactionConflict"], Some(RetryClass::Conflict)),
            (&["TransactionConflict", "ConditionalCheckFailed"], None),
            (&["ValidationError"], None),
            (&[], None),
        ];
        for (codes, expected) in cases {
            let response = || HttpResponse::new(400.try_into().unwrap(), SdkBody::empty());
            let write = TransactWriteItemsError::TransactionCanceledException(canceled(codes));
            let write = SdkError::service_error(write, response());
            assert_eq!(write.retry_class(), expected, "{codes:?}");
            let read = TransactGetItemsError::TransactionCanceledException(canceled(codes));
            let read = SdkError::service_error(read, response());
            assert_eq!(read.retry_class(), expected, "{codes:?}");
        }
    }
}
