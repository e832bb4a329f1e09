//! The edge to CloudWatch: `PutMetricData`, once per call, and what its outcome means.

use std::error::Error;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_cloudwatch::config::retry::RetryConfig;
use aws_sdk_cloudwatch::config::{Builder, ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_cloudwatch::error::{
    BoxError, DisplayErrorContext, ProvideErrorMetadata as _, SdkError,
};
use aws_sdk_cloudwatch::operation::put_metric_data::PutMetricDataError;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};

use crate::Resolution;
use crate::budget::Budget;
use crate::point::{Point, Samples};
use crate::stats::Failure;

/// Sends points to one namespace.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) budget: Budget,
}

/// A call that failed, and what is known about it.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    pub(crate) reason: String,
}

impl Put {
    /// One try when the budget allows it, until `patience` ends, without the SDK's own repetition: the
    /// call is not idempotent, and who repeats it must know what happened.
    pub(crate) async fn put(
        &self,
        points: &[Point],
        patience: impl Future<Output = ()>,
    ) -> Result<(), Failed> {
        self.budget.wait().await;
        let handed_over = HandedOver::default();
        let once = Builder::new().retry_config(RetryConfig::disabled());
        let call = self
            .client
            .put_metric_data()
            .namespace(&self.namespace)
            .set_metric_data(Some(points.iter().map(datum).collect()))
            .customize()
            .config_override(once)
            .interceptor(handed_over.clone())
            .send();
        let error = tokio::select! {
            biased;
            answer = call => match answer {
                Ok(_) => return Ok(()),
                Err(error) => error,
            },
            () = patience => SdkError::timeout_error("there was no answer in time"),
        };
        let failure = if handed_over.is_set() { classify(&error) } else { Failure::Unreachable };
        Err(Failed { failure, reason: DisplayErrorContext(&error).to_string() })
    }
}

fn datum(point: &Point) -> MetricDatum {
    let dimension =
        |(name, value): &(String, String)| Dimension::builder().name(name).value(value).build();
    let dimensions = point.series.dimensions.iter().map(dimension).collect();
    let datum = MetricDatum::builder()
        .metric_name(&point.series.name)
        .set_dimensions(Some(dimensions))
        .timestamp(point.start.into())
        .unit(StandardUnit::from(point.series.unit().as_str()))
        .storage_resolution(match point.series.resolution {
            Resolution::Minute => 60,
            Resolution::Second => 1,
        });
    match &point.samples {
        Samples::One(value) => datum.value(*value),
        Samples::Many { values, counts } => {
            datum.set_values(Some(values.clone())).set_counts(Some(counts.clone()))
        }
    }
    .build()
}

/// Whether a request left the SDK for the connection; before, nothing can have been stored.
#[derive(Clone, Debug, Default)]
struct HandedOver(Arc<AtomicBool>);

impl HandedOver {
    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Intercept for HandedOver {
    fn name(&self) -> &'static str {
        "HandedOver"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }
}

fn classify(error: &SdkError<PutMetricDataError>) -> Failure {
    match error {
        SdkError::ConstructionFailure(_) => Failure::Unreachable,
        SdkError::ServiceError(error) => {
            of_answer(error.raw().status().as_u16(), error.err().code())
        }
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) if error.is_user() || never_connected(error) => Failure::Unreachable,
            _ => Failure::Unknown,
        },
        // A time-out, an answer that cannot be read, and what future versions add.
        _ => Failure::Unknown,
    }
}

/// What an answer with this status and error code means.
fn of_answer(status: u16, code: Option<&str>) -> Failure {
    const THROTTLED: [&str; 7] = [
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    ];
    const INVALID: [&str; 3] = ["Invalid", "Missing", "Serialization"];
    let code = code.unwrap_or_default();
    match status {
        500.. => Failure::Unknown,
        429 => Failure::Throttled,
        413 => Failure::Invalid,
        _ if THROTTLED.contains(&code) => Failure::Throttled,
        // Of these only the data's own faults; `InvalidSignature` or `InvalidClientTokenId` pass.
        _ if code.contains("Parameter") && INVALID.iter().any(|word| code.starts_with(word)) => {
            Failure::Invalid
        }
        _ if code.starts_with("SerializationException") || code.starts_with("Validation") => {
            Failure::Invalid
        }
        _ => Failure::Refused,
    }
}

/// Whether the failure came before there was a connection to send anything over.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if is_refusal(error) || error.to_string() == HYPER_CONNECT {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What hyper's client says of DNS, TCP and TLS alike, its connect time-out included. Its type is
/// not in our tree; should the text change, the outcome counts as unknown.
const HYPER_CONNECT: &str = "client error (Connect)";

fn is_refusal(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::AddrNotAvailable
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_mean() {
        for (status, code, expected) in [
            (400, Some("Throttling"), Failure::Throttled),
            (400, Some("ThrottlingException"), Failure::Throttled),
            (429, None, Failure::Throttled),
            (403, Some("AccessDenied"), Failure::Refused),
            (403, Some("InvalidClientTokenId"), Failure::Refused),
            (403, Some("ExpiredToken"), Failure::Refused),
            (400, None, Failure::Refused),
            (400, Some("InvalidParameterValue"), Failure::Invalid),
            (400, Some("InvalidParameterValueException"), Failure::Invalid),
            (400, Some("InvalidParameterCombinationException"), Failure::Invalid),
            (400, Some("MissingRequiredParameterException"), Failure::Invalid),
            (400, Some("MissingParameter"), Failure::Invalid),
            (400, Some("ValidationError"), Failure::Invalid),
            (413, Some("RequestEntityTooLarge"), Failure::Invalid),
            (500, Some("InternalServiceFault"), Failure::Unknown),
            (503, Some("Throttling"), Failure::Unknown),
        ] {
            assert_eq!(of_answer(status, code), expected, "{status} {code:?}");
        }
    }

    #[test]
    fn a_connection_that_never_was_can_have_stored_nothing() {
        for (kind, expected) in [
            (ErrorKind::ConnectionRefused, true),
            (ErrorKind::NetworkUnreachable, true),
            (ErrorKind::ConnectionReset, false),
            (ErrorKind::BrokenPipe, false),
            (ErrorKind::TimedOut, false),
        ] {
            assert_eq!(never_connected(&std::io::Error::from(kind)), expected, "{kind}");
        }
    }
}
