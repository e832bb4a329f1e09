use std::error::Error;

use aws_sdk_elasticloadbalancingv2::config::http::HttpResponse;
use aws_sdk_elasticloadbalancingv2::error::{ProvideErrorMetadata, SdkError};

use crate::SourceError;

/// An error of the SDK, which has tried again by itself where that made sense.
pub(super) fn failed<E>(what: &'static str, error: SdkError<E, HttpResponse>) -> SourceError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let refused = matches!(&error, SdkError::ServiceError(_))
        && !error.code().is_some_and(|code| code.starts_with("Throttling"))
        && !error.raw_response().is_some_and(|response| response.status().is_server_error());
    if refused || matches!(&error, SdkError::ConstructionFailure(_)) {
        SourceError::lasting(what, error)
    } else {
        SourceError::passing(what, error)
    }
}
