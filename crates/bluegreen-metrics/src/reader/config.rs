use std::time::Duration;

use bluegreen_core::Clock;

use crate::{MetricsError, Resolution};

/// How a [`Reader`](crate::Reader) reads.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReaderConfig {
    /// The length of the stretches read; at most as fine as the metrics were published. Default: a
    /// minute.
    pub resolution: Resolution,
    /// How long after its end a stretch may still be reported, by the publishers' interval and jitter
    /// and the time until CloudWatch shows what it took: until then a color that says nothing is
    /// *late*, from then on *absent*. Default: 3 minutes, which is a minute's interval, a failed send
    /// that joins the next one, and a minute of CloudWatch's. Metrics by the second that are sent by
    /// the second settle within seconds. At most a day.
    pub settle: Duration,
    /// The time above which a request counts as slow. Default: none, slow requests are not counted.
    /// From a millisecond to a day.
    ///
    /// A request that took exactly the bound is not slow. As requests are published in buckets of
    /// at most 0.79 %, slow begins at the upper edge of the bound's bucket: with a bound of 250 ms at
    /// 251 ms, with 1 s at 1.004 s. What took less is never slow and what took that long always is,
    /// whatever else happened in the minute, as exactly as CloudWatch's `TC` counts.
    pub slow_bound: Option<Duration>,
    /// Bounds between which requests are counted by how long they took, as
    /// [`Observation::latencies`](bluegreen_core::Observation::latencies). Default: none, they are not
    /// counted. At most 50, ascending, each from a millisecond to a day. Each is a query more for
    /// either color.
    ///
    /// A request that took exactly the bound is within it, and so is, as of
    /// [`slow_bound`](Self::slow_bound), what took less than the upper edge of its bucket. Both count
    /// from the same edge: what is not within a bound is slow by it. Two bounds of one bucket have
    /// nothing between them.
    pub latency_bounds: Vec<Duration>,
    /// Where wall time comes from. Default: the system.
    pub clock: Clock,
}

impl Default for ReaderConfig {
    fn default() -> Self {
        Self {
            resolution: Resolution::default(),
            settle: Duration::from_secs(180),
            slow_bound: None,
            latency_bounds: Vec::new(),
            clock: Clock::system(),
        }
    }
}

impl ReaderConfig {
    /// The same with another [`resolution`](Self::resolution).
    #[must_use]
    pub const fn with_resolution(mut self, resolution: Resolution) -> Self {
        self.resolution = resolution;
        self
    }

    /// The same with another [`settle`](Self::settle).
    #[must_use]
    pub const fn with_settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
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

    /// The same with another [`clock`](Self::clock).
    #[must_use]
    pub const fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    pub(super) fn check(&self) -> Result<(), MetricsError> {
        let wrong = |field, found: String, bound| Err(MetricsError::Config { field, found, bound });
        let day = Duration::from_secs(24 * 3600);
        if self.settle > day {
            return wrong("settle", format!("{:?}", self.settle), "at most a day");
        }
        let allowed = Duration::from_millis(1)..=day;
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

const MOST_BOUNDS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_does_not_fit_is_named_with_its_value() {
        let config = ReaderConfig::default;
        let millis = Duration::from_millis;
        for (config, error) in [
            (
                config().with_settle(Duration::from_secs(90_000)),
                "settle of 90000s does not fit: it must be at most a day",
            ),
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
}
