use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::error::{BoxError, ProvideErrorMetadata as _, SdkError};
use aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataError;
use aws_sdk_cloudwatch::types::StatusCode;

use crate::Resolution;

/// The metrics could not be read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ReadError(Kind);

#[derive(Debug, thiserror::Error)]
enum Kind {
    #[error("{} of metrics are more than {most} stretches", Seconds(*span))]
    TooLong { span: Duration, most: usize },
    #[error(
        "metrics of {} ago cannot be read by the {}: CloudWatch keeps those for {}",
        Seconds(*.age), word(*.resolution), kept(*.resolution)
    )]
    BeyondRetention { age: Duration, resolution: Resolution },
    #[error("CloudWatch went on without an end")]
    Endless,
    #[error("CloudWatch could not read {figure}: {why}")]
    Incomplete { figure: String, why: StatusCode },
    #[error("CloudWatch gave no answer to {figure}")]
    Unanswered { figure: String },
    #[error("CloudWatch says of its answer: {message}")]
    Told { message: String },
    #[error("CloudWatch says {value} of {figure}, which is no count and no time")]
    Senseless { figure: String, value: f64 },
    #[error("CloudWatch throttled the reading of metrics")]
    Throttled(#[source] BoxError),
    #[error("CloudWatch refused the reading of metrics")]
    Refused(#[source] BoxError),
    #[error("CloudWatch did not answer")]
    Unavailable(#[source] BoxError),
}

const fn word(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Minute => "minute",
        Resolution::Second => "second",
    }
}

const fn kept(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Minute => "15 days",
        Resolution::Second => "3 hours",
    }
}

struct Seconds(Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}s", self.0.as_secs())
    }
}

impl ReadError {
    pub(super) fn too_long(start: SystemTime, end: SystemTime, most: usize) -> Self {
        let span = end.duration_since(start).unwrap_or(Duration::ZERO);
        Self(Kind::TooLong { span, most })
    }

    pub(super) const fn beyond_retention(age: Duration, resolution: Resolution) -> Self {
        Self(Kind::BeyondRetention { age, resolution })
    }

    pub(super) fn unanswered(figure: &str) -> Self {
        Self(Kind::Unanswered { figure: figure.to_owned() })
    }

    pub(super) fn told(message: &str) -> Self {
        Self(Kind::Told { message: message.to_owned() })
    }

    pub(super) fn senseless(figure: &str, value: f64) -> Self {
        Self(Kind::Senseless { figure: figure.to_owned(), value })
    }

    pub(super) fn endless() -> Self {
        Self(Kind::Endless)
    }

    pub(super) fn incomplete(figure: &str, why: StatusCode) -> Self {
        Self(Kind::Incomplete { figure: figure.to_owned(), why })
    }

    /// Whether the same question may be answered later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.0 {
            Kind::Throttled(_)
            | Kind::Unavailable(_)
            | Kind::Unanswered { .. }
            | Kind::Told { .. } => true,
            Kind::Incomplete { ref why, .. } => *why != StatusCode::Forbidden,
            Kind::TooLong { .. }
            | Kind::BeyondRetention { .. }
            | Kind::Endless
            | Kind::Senseless { .. }
            | Kind::Refused(_) => false,
        }
    }

    /// Whether what was asked for is older than CloudWatch keeps it so finely: 15 days by the minute,
    /// 3 hours by the second. It may then still be read by the minute.
    #[must_use]
    pub const fn is_beyond_retention(&self) -> bool {
        matches!(self.0, Kind::BeyondRetention { .. })
    }

    /// Whether the account makes too many calls.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        matches!(self.0, Kind::Throttled(_))
    }
}

impl From<SdkError<GetMetricDataError>> for ReadError {
    fn from(error: SdkError<GetMetricDataError>) -> Self {
        let answer = error.raw_response().map(|answer| answer.status().as_u16());
        let code = error.code().unwrap_or_default();
        let throttled = code.contains("Throttl") || code == "RequestLimitExceeded";
        Self(match answer {
            Some(_) if throttled => Kind::Throttled(error.into()),
            Some(400..500) => Kind::Refused(error.into()),
            _ => Kind::Unavailable(error.into()),
        })
    }
}
