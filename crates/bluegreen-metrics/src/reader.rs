use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_cloudwatch::Client;
use bluegreen_core::{ByColor, Observation, ServiceKey};

use crate::dimensions::check_namespace;
use crate::window::start_of;
use crate::{MetricsError, Resolution};

mod answers;
mod bound;
mod config;
mod error;
mod queries;
mod reading;

pub use config::ReaderConfig;
pub use error::ReadError;

use reading::Look;

/// Reads the requests of both colors of a service back, as published through
/// [`Metrics::http_layer`](crate::Metrics::http_layer).
///
/// A service is found by its key, its name and stage, in the namespace of its publishers, and a color
/// by `Environment`: exactly the dimensions of [`DimensionSet::color`](crate::DimensionSet::color),
/// which the publishers must have declared, as they have by default.
///
/// ```no_run
/// use std::time::Duration;
///
/// use bluegreen_core::{Clock, Reading, ServiceKey};
/// use bluegreen_metrics::{Reader, ReaderConfig};
///
/// # async fn example(client: aws_sdk_cloudwatch::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let config = ReaderConfig::default().with_slow_bound(Duration::from_millis(250));
/// let reader = Reader::new(client, "Shop", ServiceKey::new("orders")?, config)?;
/// let settled = Clock::system().now() - Duration::from_secs(180);
/// let seen = reader.observe(settled - Duration::from_secs(600), settled).await?;
/// for minute in seen.blue.iter().chain(&seen.green) {
///     match minute.reading {
///         Reading::Counted(figures) => println!("{}: {:?}", minute.color, figures.error_rate()),
///         Reading::NoTraffic => println!("{} had no requests", minute.color),
///         Reading::Late | Reading::Absent => println!("{} says nothing", minute.color),
///     }
/// }
/// # Ok(())
/// # }
/// ```
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
    /// oldest first; for both the same stretches. A stretch begins at a multiple of its length since
    /// 1970, in UTC, as CloudWatch's own minutes do.
    ///
    /// | a stretch reads as | when the color |
    /// |---|---|
    /// | *counted*, zero errors included | had requests |
    /// | *no traffic* | reports, and had none: its processes send a zero in each window |
    /// | *late* | says nothing, or not all yet, and the stretch has not [settled](ReaderConfig::settle): it may still come |
    /// | *absent* | says nothing, or not all, though the stretch has settled, whatever the other color says |
    ///
    /// A color says not all when its requests are there, and their errors (of which a zero is sent,
    /// too) or their latencies are not.
    ///
    /// The processes of a color report at different times, and CloudWatch shows points some time
    /// after it took them, so figures of a stretch that has not settled still grow: leave it out, or
    /// read it again.
    ///
    /// One call of `GetMetricData`, and one more for each 100,800 points beyond the first, of which
    /// each stretch has one for each figure; see [`dollars_per_look`](Self::dollars_per_look).
    ///
    /// Cancel safe; it only reads.
    ///
    /// # Errors
    /// When more than 10,080 stretches are asked for; when the oldest is older than CloudWatch keeps
    /// stretches of that length ([`ReadError::is_beyond_retention`]), as nothing could be told from
    /// their silence; when CloudWatch does not answer, or not all that it was asked, or with what
    /// cannot be a count or a time.
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
        // Before the question: what comes during it may be in the next answer.
        let now = self.config.clock.now();
        check_kept(*first, now, self.config.resolution)?;
        let points = self.query(*first..*last + length).await?;
        let settled = now.checked_sub(self.config.settle).unwrap_or(UNIX_EPOCH);
        let look = Look { length, settled, bounds: &self.config.latency_bounds };
        Ok(reading::observations(&stretches, &look, &points))
    }

    /// What one look of one page costs at most, by CloudWatch's price in us-east-1 as of November
    /// 2026: $0.01 per 1,000 metrics asked for. Four figures of two colors are eight, the
    /// [slow](ReaderConfig::slow_bound) requests and each [bound](ReaderConfig::latency_bounds) two
    /// more; a look a minute with nothing else comes to $3.50 a month.
    #[must_use]
    pub fn dollars_per_look(&self) -> f64 {
        self.queries().len() as f64 * DOLLARS_PER_METRIC
    }
}

/// The limit of one look: a week by the minute, or almost three hours by the second, which is as
/// long as CloudWatch keeps seconds.
const MOST_STRETCHES: usize = 10_080;
const DOLLARS_PER_METRIC: f64 = 0.01 / 1_000.0;

/// Checks that CloudWatch still has a stretch that starts then, if it ever had.
fn check_kept(start: SystemTime, now: SystemTime, resolution: Resolution) -> Result<(), ReadError> {
    let kept = resolution.kept();
    match now.duration_since(start) {
        Ok(age) if age > kept => Err(ReadError::beyond_retention(age, resolution)),
        _ => Ok(()),
    }
}

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
        assert_eq!(error.to_string(), "700000s of metrics are more than 10080 stretches");
        assert!(!error.is_retryable());
    }

    #[test]
    fn what_cloudwatch_no_longer_keeps_is_an_error_that_names_the_bound() {
        let day = 24 * 3600;
        let now = at(100 * day);
        for (resolution, age, error) in [
            (Resolution::Minute, 0, None),
            (Resolution::Minute, 15 * day, None),
            (
                Resolution::Minute,
                15 * day + 60,
                Some(
                    "metrics of 1296060s ago cannot be read by the minute: CloudWatch keeps those \
                     for 15 days",
                ),
            ),
            (Resolution::Second, 3 * 3600, None),
            (
                Resolution::Second,
                3 * 3600 + 1,
                Some(
                    "metrics of 10801s ago cannot be read by the second: CloudWatch keeps those for \
                     3 hours",
                ),
            ),
        ] {
            let found = check_kept(now - Duration::from_secs(age), now, resolution).err();
            assert_eq!(found.as_ref().map(ToString::to_string).as_deref(), error, "{age}");
            assert!(found.is_none_or(|error| error.is_beyond_retention()));
        }
        assert!(check_kept(now + Duration::from_secs(60), now, Resolution::Minute).is_ok());
    }
}
