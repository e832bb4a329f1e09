use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch::Client;
use bluegreen_core::{ByColor, Observation, ServiceKey};

use crate::dimensions::check_namespace;
use crate::window::start_of;
use crate::{MetricsError, Resolution};

mod error;
mod queries;
mod reading;

pub use error::ReadError;

/// How a [`Reader`] reads.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReaderConfig {
    /// The length of the stretches read; at most as fine as the metrics were published. Default: a
    /// minute.
    pub resolution: Resolution,
    /// The time above which a request counts as slow; it is counted by CloudWatch's `TC` over
    /// bucket means, so within 1 % of the bound. Default: none, slow requests are not counted. From
    /// a millisecond to a day.
    pub slow_bound: Option<Duration>,
    /// Bounds between which requests are counted by how long they took, as
    /// [`Observation::latencies`]; each within 1 %. Default: none, they are not counted. At most 50,
    /// ascending, each from a millisecond to a day. Each is a query more in the call, and CloudWatch
    /// charges reading by the metric asked for ($0.01 per 1,000).
    pub latency_bounds: Vec<Duration>,
}

impl ReaderConfig {
    /// The same with another [`resolution`](Self::resolution).
    #[must_use]
    pub const fn with_resolution(mut self, resolution: Resolution) -> Self {
        self.resolution = resolution;
        self
    }

    /// The same with another [`slow_bound`](Self::slow_bound).
    #[must_use]
    pub const fn with_slow_bound(mut self, bound: Duration) -> Self {
        self.slow_bound = Some(bound);
        self
    }

    /// The same with other [`latency_bounds`](Self::latency_bounds).
    #[must_use]
    pub fn with_latency_bounds(mut self, bounds: impl IntoIterator<Item = Duration>) -> Self {
        self.latency_bounds = bounds.into_iter().collect();
        self
    }

    fn check(&self) -> Result<(), MetricsError> {
        let wrong = |field, found: String, bound| Err(MetricsError::Config { field, found, bound });
        let allowed = Duration::from_millis(1)..=Duration::from_secs(24 * 3600);
        let unfit = |bound: &&Duration| !allowed.contains(*bound);
        let bounds = &self.latency_bounds;
        if let Some(slow) = self.slow_bound.iter().find(unfit) {
            return wrong("slow_bound", format!("{slow:?}"), "from a millisecond to a day");
        }
        if let Some(bound) = bounds.iter().find(unfit) {
            return wrong("latency_bounds", format!("{bound:?}"), "from a millisecond to a day");
        }
        if bounds.len() > MOST_BOUNDS {
            return wrong("latency_bounds", bounds.len().to_string(), "at most 50");
        }
        if !bounds.is_sorted_by(|one, next| one < next) {
            return wrong("latency_bounds", format!("{bounds:?}"), "ascending");
        }
        Ok(())
    }
}

/// Reads the requests of both colors of a service back, as published through
/// [`Metrics::http_layer`](crate::Metrics::http_layer).
#[derive(Clone, Debug)]
pub struct Reader {
    client: Client,
    namespace: String,
    key: ServiceKey,
    config: ReaderConfig,
}

impl Reader {
    /// A reader of one service in a namespace.
    ///
    /// # Errors
    /// When the namespace is not one that CloudWatch takes, or a field of the configuration is out
    /// of bounds.
    pub fn new(
        client: Client,
        namespace: impl Into<String>,
        key: ServiceKey,
        config: ReaderConfig,
    ) -> Result<Self, MetricsError> {
        let namespace = namespace.into();
        check_namespace(&namespace)?;
        config.check()?;
        Ok(Self { client, namespace, key, config })
    }

    /// What both colors did in each aligned stretch that lies whole between `start` and `end`,
    /// oldest first; for both the same stretches.
    ///
    /// A stretch reads as
    /// - *counted* when there were requests;
    /// - *no traffic* when the color reports and had none: its processes send a zero in each window;
    /// - *absent* when the color says nothing while the other one does;
    /// - *late* when neither says anything yet, or the requests are there and their errors (a zero is
    ///   sent too) or latencies not.
    ///
    /// The processes of a color report at different times, and CloudWatch shows points some time
    /// after it took them, so figures of a young stretch still grow: leave out the newest, by the
    /// publishers' interval and jitter and a settling time, or read them again.
    ///
    /// Cancel safe; it only reads.
    ///
    /// # Errors
    /// When more than 10,080 stretches are asked for, or CloudWatch does not answer.
    pub async fn observe(
        &self,
        start: SystemTime,
        end: SystemTime,
    ) -> Result<ByColor<Vec<Observation>>, ReadError> {
        let length = self.config.resolution.window();
        let stretches = stretches(start, end, length)?;
        let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else {
            return Ok(ByColor::default());
        };
        let between = *first..*last + length;
        let points = self.query(between).await?;
        let bounds = &self.config.latency_bounds;
        Ok(reading::observations(&stretches, length, bounds, &points))
    }
}

/// The limit of one look: a week by the minute, or almost three hours by the second, which is as
/// long as CloudWatch keeps seconds.
const MOST_STRETCHES: usize = 10_080;
const MOST_BOUNDS: usize = 50;

/// The starts of the aligned stretches that lie whole between the two times.
fn stretches(
    start: SystemTime,
    end: SystemTime,
    length: Duration,
) -> Result<Vec<SystemTime>, ReadError> {
    let mut next = start_of(start, length);
    if next < start {
        next += length;
    }
    let mut stretches = Vec::new();
    while next + length <= end {
        if stretches.len() == MOST_STRETCHES {
            return Err(ReadError::too_long(start, end, MOST_STRETCHES));
        }
        stretches.push(next);
        next += length;
    }
    Ok(stretches)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_field_that_does_not_fit_is_named_with_its_value() {
        let config = ReaderConfig::default;
        let millis = Duration::from_millis;
        for (config, error) in [
            (
                config().with_slow_bound(Duration::ZERO),
                "slow_bound of 0ns does not fit: it must be from a millisecond to a day",
            ),
            (
                config().with_latency_bounds([millis(10), Duration::MAX]),
                "latency_bounds of 18446744073709551615.999999999s does not fit: it must be from a \
                 millisecond to a day",
            ),
            (
                config().with_latency_bounds([millis(10), millis(10)]),
                "latency_bounds of [10ms, 10ms] does not fit: it must be ascending",
            ),
            (
                config().with_latency_bounds((1..=51).map(millis)),
                "latency_bounds of 51 does not fit: it must be at most 50",
            ),
        ] {
            assert_eq!(config.check().unwrap_err().to_string(), error);
        }
        assert_eq!(config().with_latency_bounds((1..=50).map(millis)).check(), Ok(()));
    }

    #[test]
    fn only_whole_aligned_stretches_are_read() {
        let minute = Duration::from_secs(60);
        for (start, end, expected) in [
            (60, 180, &[60, 120][..]),
            (61, 180, &[120]),
            (60, 179, &[60]),
            (61, 179, &[]),
            (180, 60, &[]),
        ] {
            let expected: Vec<_> = expected.iter().copied().map(at).collect();
            assert_eq!(stretches(at(start), at(end), minute).unwrap(), expected, "{start} {end}");
        }
        let error = stretches(at(0), at(700_000), minute).unwrap_err();
        assert_eq!(error.to_string(), "700000s of metrics are more than 10080 stretches");
        assert!(!error.is_retryable());
    }
}
