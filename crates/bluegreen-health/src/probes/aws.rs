//! What the errors of AWS mean to a probe. Pure.

use std::error::Error;
use std::fmt::Debug;

// Both name the same types; either feature may be there alone.
#[cfg(feature = "dynamodb")]
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
#[cfg(all(feature = "sqs", not(feature = "dynamodb")))]
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

use crate::fault::{has_system_error, kind_of};
use crate::{Fault, FaultKind};

pub(super) fn fault<E, R>(error: SdkError<E, R>) -> Fault
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: Debug + Send + Sync + 'static,
{
    let kind = match &error {
        SdkError::ServiceError(answer) => kind(answer.err().code()),
        SdkError::TimeoutError(_) => FaultKind::TimedOut,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => FaultKind::TimedOut,
        SdkError::DispatchFailure(failure) => match kind_of(&error) {
            Some(kind) => kind,
            // Names that are not found and certificates that do not fit have no kind.
            None if has_system_error(&error) => FaultKind::Unreachable,
            None if failure.is_io() || failure.as_other().is_some() => FaultKind::Disconnected,
            // Nothing was sent: there are no credentials, say.
            None => FaultKind::Misconfigured,
        },
        SdkError::ResponseError(_) => kind_of(&error).unwrap_or(FaultKind::Failed),
        SdkError::ConstructionFailure(_) => FaultKind::Misconfigured,
        _ => FaultKind::Failed,
    };
    Fault::new(kind).caused_by(error)
}

/// The kind of a service's own error, by its code.
fn kind(code: Option<&str>) -> FaultKind {
    // Codes of the query protocols come with a prefix.
    let code = code.unwrap_or_default();
    match code.rsplit('.').next().unwrap_or_default() {
        "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "SlowDown"
        | "OverLimit" => FaultKind::Throttled,
        "AccessDenied"
        | "AccessDeniedException"
        | "AuthFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidSecurity"
        | "InvalidSignatureException"
        | "KmsAccessDenied"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "OptInRequired"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => FaultKind::Denied,
        "InvalidAddress"
        | "NonExistentQueue"
        | "QueueDoesNotExist"
        | "ResourceNotFoundException"
        | "UnsupportedOperation"
        | "ValidationException" => FaultKind::Misconfigured,
        _ => FaultKind::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_with_and_without_a_prefix_have_their_kind() {
        let cases = [
            (Some("ProvisionedThroughputExceededException"), FaultKind::Throttled),
            (Some("AccessDeniedException"), FaultKind::Denied),
            (Some("AWS.SimpleQueueService.NonExistentQueue"), FaultKind::Misconfigured),
            (Some("InternalServerError"), FaultKind::Failed),
            (None, FaultKind::Failed),
        ];
        for (code, expected) in cases {
            assert_eq!(kind(code), expected, "{code:?}");
        }
    }
}
