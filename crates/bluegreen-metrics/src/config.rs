use std::collections::BTreeMap;
use std::time::Duration;

use bluegreen_core::Clock;

use crate::requests::{ERROR_COUNT, IN_FLIGHT, REQUEST_LATENCY};
use crate::{DimensionSet, MetricsError};

/// How a [`Publisher`](crate::Publisher) collects and sends.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MetricsConfig {
    /// How finely CloudWatch keeps the metrics. Default: by the minute.
    pub resolution: Resolution,
    /// Metrics that are kept more or less finely than the others, by name. Default: none. The four
    /// metrics of requests go by `RequestCount`.
    pub resolutions: BTreeMap<String, Resolution>,
    /// The dimensions that every metric is published with, each set making it a metric more.
    /// Default: one set, the color's with labels. At least one, and none twice.
    pub dimension_sets: Vec<DimensionSet>,
    /// The time between two sends. Default: 60 s. A whole multiple of the finest resolution, at most
    /// one hour. CloudWatch charges by the call ($0.01 per 1,000), finer metrics or not.
    pub flush_interval: Duration,
    /// The longest a process waits after the aligned moment before it sends, so that a fleet does
    /// not send in one instant. Each process waits its own fixed part of it, by its instance's name.
    /// Default: a sixth of [`flush_interval`](Self::flush_interval). Shorter than the interval.
    pub max_jitter: Option<Duration>,
    /// How many calls a second this process makes at most. Default: 10. From 1 to 500, which is what
    /// CloudWatch allows in an account and region, all its users together. A process needs one call
    /// for each thousand datums; what an outage has left is sent at this pace, also at the stop.
    pub max_calls_per_second: u32,
    /// How long one call may take before its outcome counts as unknown. Default: 10 s. Above zero.
    pub send_timeout: Duration,
    /// What to do after a call whose outcome is unknown. Default: [`OnUnknown::Resend`].
    pub on_unknown: OnUnknown,
    /// How much memory, in bytes, may hold what could not be sent yet. Default: 16 MiB, which is a
    /// day's figures of about fifty metrics, their names and labels included. Past it the oldest are
    /// dropped and counted. At least 64 KiB.
    pub max_pending_bytes: usize,
    /// How many combinations of labels one metric may have. Default: 100. Each is a metric to
    /// CloudWatch, at $0.30 a month for the first 10,000. What comes later is folded into one
    /// series whose labels all say `overflow`; beyond ten sets of label names, into one whose only
    /// label is `overflow`. At least 1.
    pub max_series: usize,
    /// How many series all metrics together may have. Default: 10,000, which is CloudWatch's first step
    /// of prices and $3,000 a month. Of what comes later, labels of known metrics are folded as beyond
    /// [`max_series`](Self::max_series), and metrics of new names into `OverflowCounter`,
    /// `OverflowGauge` and `OverflowDistribution`, by their kind. Each is published once for each of
    /// the [`dimension_sets`](Self::dimension_sets). At least 1.
    pub max_total_series: usize,
    /// After how long without a record a series is idle. Default: 15 minutes. One that nobody holds a
    /// handle of is then forgotten: a gauge's level is no longer sent, and memory and the place below
    /// [`max_series`](Self::max_series) are free again. Macros of the `metrics` facade hold none
    /// beyond the call. At least a minute.
    pub idle_ttl: Duration,
    /// Where wall time comes from. Default: the system.
    pub clock: Clock,
}

/// How finely CloudWatch keeps a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Resolution {
    /// By the minute, kept for 15 days.
    #[default]
    Minute,
    /// By the second, kept for 3 hours and by the minute after that.
    Second,
}

/// What becomes of a batch when nobody knows whether CloudWatch took it: after a time-out, a 5xx
/// answer, or a connection lost in mid-call. `PutMetricData` is not idempotent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnUnknown {
    /// Send it again: nothing is lost, and what was taken after all counts twice. The surplus is at
    /// most what [`Stats::resent`](crate::Stats::resent) and the metric `MetricsResent` tell.
    #[default]
    Resend,
    /// Drop it: nothing counts twice, and what was not taken is lost. The loss is at most what
    /// [`Dropped::unknown`](crate::Dropped::unknown) and the metric `MetricsDropped` tell.
    Drop,
}

impl Resolution {
    /// The length of one window.
    #[must_use]
    pub const fn window(self) -> Duration {
        match self {
            Self::Minute => Duration::from_secs(60),
            Self::Second => Duration::from_secs(1),
        }
    }

    /// How long CloudWatch keeps points that fine.
    #[must_use]
    pub const fn kept(self) -> Duration {
        match self {
            Self::Minute => Duration::from_secs(15 * 24 * 3600),
            Self::Second => Duration::from_secs(3 * 3600),
        }
    }
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            resolution: Resolution::Minute,
            resolutions: BTreeMap::new(),
            dimension_sets: vec![DimensionSet::color().with_labels()],
            flush_interval: Duration::from_secs(60),
            max_jitter: None,
            max_calls_per_second: 10,
            send_timeout: Duration::from_secs(10),
            on_unknown: OnUnknown::Resend,
            max_pending_bytes: 16 * 1024 * 1024,
            max_series: 100,
            max_total_series: 10_000,
            idle_ttl: Duration::from_secs(15 * 60),
            clock: Clock::system(),
        }
    }
}

impl MetricsConfig {
    /// The same with another [`resolution`](Self::resolution).
    #[must_use]
    pub const fn with_resolution(mut self, resolution: Resolution) -> Self {
        self.resolution = resolution;
        self
    }

    /// The same with another resolution of one metric; see [`resolutions`](Self::resolutions).
    #[must_use]
    pub fn with_resolution_of(mut self, metric: impl Into<String>, resolution: Resolution) -> Self {
        self.resolutions.insert(metric.into(), resolution);
        self
    }

    /// The same with other [`dimension_sets`](Self::dimension_sets).
    #[must_use]
    pub fn with_dimension_sets(mut self, sets: impl IntoIterator<Item = DimensionSet>) -> Self {
        self.dimension_sets = sets.into_iter().collect();
        self
    }

    /// The same with another [`flush_interval`](Self::flush_interval).
    #[must_use]
    pub const fn with_flush_interval(mut self, interval: Duration) -> Self {
        self.flush_interval = interval;
        self
    }

    /// The same with another [`max_jitter`](Self::max_jitter).
    #[must_use]
    pub const fn with_max_jitter(mut self, jitter: Duration) -> Self {
        self.max_jitter = Some(jitter);
        self
    }

    /// The same with another [`max_calls_per_second`](Self::max_calls_per_second).
    #[must_use]
    pub const fn with_max_calls_per_second(mut self, calls: u32) -> Self {
        self.max_calls_per_second = calls;
        self
    }

    /// The same with another [`send_timeout`](Self::send_timeout).
    #[must_use]
    pub const fn with_send_timeout(mut self, timeout: Duration) -> Self {
        self.send_timeout = timeout;
        self
    }

    /// The same with another [`on_unknown`](Self::on_unknown).
    #[must_use]
    pub const fn with_on_unknown(mut self, on_unknown: OnUnknown) -> Self {
        self.on_unknown = on_unknown;
        self
    }

    /// The same with another [`max_pending_bytes`](Self::max_pending_bytes).
    #[must_use]
    pub const fn with_max_pending_bytes(mut self, bytes: usize) -> Self {
        self.max_pending_bytes = bytes;
        self
    }

    /// The same with another [`max_series`](Self::max_series).
    #[must_use]
    pub const fn with_max_series(mut self, series: usize) -> Self {
        self.max_series = series;
        self
    }

    /// The same with another [`max_total_series`](Self::max_total_series).
    #[must_use]
    pub const fn with_max_total_series(mut self, series: usize) -> Self {
        self.max_total_series = series;
        self
    }

    /// The same with another [`idle_ttl`](Self::idle_ttl).
    #[must_use]
    pub const fn with_idle_ttl(mut self, ttl: Duration) -> Self {
        self.idle_ttl = ttl;
        self
    }

    /// The same with another [`clock`](Self::clock).
    #[must_use]
    pub const fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The longest wait before a send, chosen or by default.
    pub(crate) fn jitter(&self) -> Duration {
        self.max_jitter.unwrap_or(self.flush_interval / 6)
    }

    /// The resolutions in use, each once.
    pub(crate) fn resolutions_in_use(&self) -> Vec<Resolution> {
        let mut all: Vec<_> = self.resolutions.values().copied().collect();
        all.push(self.resolution);
        all.sort_unstable();
        all.dedup();
        all
    }

    pub(crate) fn check(&self) -> Result<(), MetricsError> {
        let wrong = |field, found: String, bound| Err(MetricsError::Config { field, found, bound });
        let windows = self.resolutions_in_use().into_iter().map(Resolution::window);
        let finest = windows.min().unwrap_or(Duration::ZERO).as_nanos().max(1);
        let interval = self.flush_interval;
        if interval.is_zero() || !interval.as_nanos().is_multiple_of(finest) {
            let bound = "a whole multiple of the finest resolution";
            return wrong("flush_interval", format!("{interval:?}"), bound);
        }
        if interval > Duration::from_secs(3600) {
            return wrong("flush_interval", format!("{interval:?}"), "at most one hour");
        }
        if self.jitter() >= interval {
            let found = format!("{:?}", self.jitter());
            return wrong("max_jitter", found, "shorter than flush_interval");
        }
        if !(1..=500).contains(&self.max_calls_per_second) {
            let found = self.max_calls_per_second.to_string();
            return wrong("max_calls_per_second", found, "from 1 to 500");
        }
        if self.send_timeout.is_zero() {
            return wrong("send_timeout", format!("{:?}", self.send_timeout), "above zero");
        }
        if self.max_pending_bytes < 64 * 1024 {
            let found = self.max_pending_bytes.to_string();
            return wrong("max_pending_bytes", found, "at least 65536");
        }
        if self.max_series == 0 {
            return wrong("max_series", "0".to_owned(), "at least 1");
        }
        if self.max_total_series == 0 {
            return wrong("max_total_series", "0".to_owned(), "at least 1");
        }
        if self.idle_ttl < Duration::from_secs(60) {
            return wrong("idle_ttl", format!("{:?}", self.idle_ttl), "at least a minute");
        }
        self.check_names()
    }

    fn check_names(&self) -> Result<(), MetricsError> {
        let wrong = |field, found: String, bound| Err(MetricsError::Config { field, found, bound });
        let one_record = [ERROR_COUNT, REQUEST_LATENCY, IN_FLIGHT];
        if let Some(name) = self.resolutions.keys().find(|name| one_record.contains(&&***name)) {
            let bound = "RequestCount for all metrics of requests, as one record makes them";
            return wrong("resolutions", name.clone(), bound);
        }
        let sets = &self.dimension_sets;
        let twice =
            sets.iter().enumerate().find(|(n, set)| sets.iter().take(*n).any(|s| s == *set));
        match twice {
            Some((_, twice)) => wrong("dimension_sets", format!("{twice:?}"), "there only once"),
            None if sets.is_empty() => wrong("dimension_sets", "none".to_owned(), "at least one"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_does_not_fit_is_named_with_its_value() {
        let config = MetricsConfig::default;
        let seconds = Duration::from_secs;
        for (config, error) in [
            (
                config().with_flush_interval(seconds(90)),
                "flush_interval of 90s does not fit: it must be a whole multiple of the finest \
                 resolution",
            ),
            (
                config().with_flush_interval(Duration::ZERO),
                "flush_interval of 0ns does not fit: it must be a whole multiple of the finest \
                 resolution",
            ),
            (
                config().with_flush_interval(seconds(7200)),
                "flush_interval of 7200s does not fit: it must be at most one hour",
            ),
            (
                config().with_max_jitter(seconds(60)),
                "max_jitter of 60s does not fit: it must be shorter than flush_interval",
            ),
            (
                config().with_send_timeout(Duration::ZERO),
                "send_timeout of 0ns does not fit: it must be above zero",
            ),
            (
                config().with_max_pending_bytes(10),
                "max_pending_bytes of 10 does not fit: it must be at least 65536",
            ),
            (config().with_max_series(0), "max_series of 0 does not fit: it must be at least 1"),
            (
                config().with_max_total_series(0),
                "max_total_series of 0 does not fit: it must be at least 1",
            ),
            (
                config().with_max_calls_per_second(501),
                "max_calls_per_second of 501 does not fit: it must be from 1 to 500",
            ),
            (
                config().with_idle_ttl(seconds(59)),
                "idle_ttl of 59s does not fit: it must be at least a minute",
            ),
            (
                config().with_dimension_sets([]),
                "dimension_sets of none does not fit: it must be at least one",
            ),
            (
                config().with_resolution_of("InFlight", Resolution::Second),
                "resolutions of InFlight does not fit: it must be RequestCount for all metrics of \
                 requests, as one record makes them",
            ),
        ] {
            assert_eq!(config.check().unwrap_err().to_string(), error);
        }
        let fine = config().with_resolution(Resolution::Second).with_flush_interval(seconds(2));
        assert_eq!(fine.check(), Ok(()));
        assert_eq!(config().check(), Ok(()));
        let mixed = config().with_resolution_of("RequestCount", Resolution::Second);
        assert_eq!(mixed.with_flush_interval(seconds(5)).check(), Ok(()));
        let twice = config().with_dimension_sets([DimensionSet::color(); 2]).check().unwrap_err();
        assert!(twice.to_string().ends_with("it must be there only once"), "{twice}");
    }
}
