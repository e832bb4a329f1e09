use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use bluegreen_core::StoreError;

/// What DynamoDB or the way to it says, as the store's callers need it: may waiting help?
pub(super) fn failed<E>(table: &str, error: SdkError<E>) -> StoreError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let lasting = match &error {
        // The request could not even be put together: the client's configuration is at fault.
        SdkError::ConstructionFailure(_) => Some("the request cannot be made".to_owned()),
        SdkError::ServiceError(_) => status.and_then(|status| lasting(status, error.code(), table)),
        _ => None,
    };
    let source = Box::new(error);
    match lasting {
        Some(reason) => StoreError::Misconfigured { reason, source },
        None => StoreError::Unavailable { source },
    }
}

/// Why an answer will stay the same until somebody does something; nothing where it may pass.
fn lasting(status: u16, code: Option<&str>, table: &str) -> Option<String> {
    let code = code.unwrap_or("no code");
    // DynamoDB throttles with 400 too, and credentials are renewed without anybody's doing.
    let passing = [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "Throttling",
        "RequestLimitExceeded",
        "LimitExceededException",
        "TransactionConflictException",
        "ExpiredTokenException",
        "RequestTimeout",
    ];
    match code {
        _ if !(400..500).contains(&status) || status == 408 || status == 429 => None,
        _ if passing.contains(&code) => None,
        "ResourceNotFoundException" => Some(format!("there is no table {table}")),
        "AccessDeniedException" => Some(format!("no permission for table {table}")),
        _ => Some(format!("table {table} answers {code}")),
    }
}

#[cfg(test)]
mod tests {
    use super::lasting;

    #[test]
    fn only_what_somebody_must_mend_is_lasting() {
        let passing = [
            (400, "ProvisionedThroughputExceededException"),
            (400, "ThrottlingException"),
            (400, "ExpiredTokenException"),
            (429, "Whatever"),
            (500, "InternalServerError"),
            (503, "ServiceUnavailable"),
        ];
        for (status, code) in passing {
            assert_eq!(lasting(status, Some(code), "t"), None, "{status} {code}");
        }
        for (code, reason) in [
            ("ResourceNotFoundException", "there is no table t"),
            ("AccessDeniedException", "no permission for table t"),
            ("ValidationException", "table t answers ValidationException"),
        ] {
            assert_eq!(lasting(400, Some(code), "t").as_deref(), Some(reason));
        }
    }
}
