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
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ReaderConfig {
    /// The length of the stretches read; at most as fine as the metrics were published. Default: a
    /// minute.
    pub resolution: Resolution,
    /// The time above which a request counts as slow; it is counted by CloudWatch's `TC` over
    /// bucket means, so within 1 % of the bound. Default: none, slow requests are not counted. From
    /// a millisecond to a day.
    pub slow_bound: Option<Duration>,
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

    fn check(&self) -> Result<(), MetricsError> {
        let allowed = Duration::from_millis(1)..=Duration::from_secs(24 * 3600);
        match self.slow_bound {
            Some(slow) if !allowed.contains(&slow) => Err(MetricsError::Config {
                field: "slow_bound",
                found: format!("{slow:?}"),
                bound: "from a millisecond to a day",
            }),
            _ => Ok(()),
        }
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
    /// When more than 10,000 stretches are asked for, or CloudWatch does not answer.
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
        Ok(reading::observations(&stretches, length, &points))
    }
}

/// The limit of one look: 10 queries of so many points are what one answer of CloudWatch holds.
const MOST_STRETCHES: usize = 10_000;

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
        assert_eq!(error.to_string(), "700000s of metrics are more than 10000 stretches");
        assert!(!error.is_retryable());
    }
}
