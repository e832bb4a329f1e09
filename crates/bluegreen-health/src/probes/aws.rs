//! What the errors of AWS mean to a probe. Pure.

use crate::FaultKind;

/// The kind of a service's own error, by its code.
pub(super) fn kind(code: Option<&str>) -> FaultKind {
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
