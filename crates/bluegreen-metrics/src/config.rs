use std::time::Duration;

use bluegreen_core::Clock;

use crate::MetricsError;

/// How a [`Publisher`](crate::Publisher) collects and sends.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MetricsConfig {
    /// How finely CloudWatch keeps the metrics. Default: by the minute.
    pub resolution: Resolution,
    /// The time between two sends. Default: 60 s. A whole multiple of the resolution, at most one
    /// hour. CloudWatch charges by the call ($0.01 per 1,000) and allows 500 calls a second in an
    /// account and region, all its users together.
    pub flush_interval: Duration,
    /// The longest a process waits after the aligned moment before it sends, so that a fleet does
    /// not send in one instant. Each process waits its own fixed part of it, by its instance's name.
    /// Default: a sixth of [`flush_interval`](Self::flush_interval). Shorter than the interval.
    pub max_jitter: Option<Duration>,
    /// How long one call may take before its outcome counts as unknown. Default: 10 s. Above zero.
    pub send_timeout: Duration,
    /// What to do after a call whose outcome is unknown. Default: [`OnUnknown::Resend`].
    pub on_unknown: OnUnknown,
    /// How much memory, in bytes, may hold what could not be sent yet. Default: 16 MiB, which is a
    /// day's figures of about fifty metrics. Past it the oldest are dropped and counted. At least
    /// 64 KiB.
    pub max_pending_bytes: usize,
    /// How many combinations of labels one metric may have. Default: 100. Each is a metric to
    /// CloudWatch, at $0.30 a month for the first 10,000. What comes later is folded into one
    /// series whose labels all say `overflow`. At least 1.
    pub max_series: usize,
    /// Where wall time comes from. Default: the system.
    pub clock: Clock,
}

/// How finely CloudWatch keeps a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            resolution: Resolution::Minute,
            flush_interval: Duration::from_secs(60),
            max_jitter: None,
            send_timeout: Duration::from_secs(10),
            on_unknown: OnUnknown::Resend,
            max_pending_bytes: 16 * 1024 * 1024,
            max_series: 100,
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

    pub(crate) fn check(&self) -> Result<(), MetricsError> {
        let window = self.resolution.window().as_nanos();
        let interval = self.flush_interval;
        let wrong = |field, found: String, bound| Err(MetricsError::Config { field, found, bound });
        if interval.is_zero() || !interval.as_nanos().is_multiple_of(window) {
            let bound = "a whole multiple of the resolution";
            return wrong("flush_interval", format!("{interval:?}"), bound);
        }
        if interval > Duration::from_secs(3600) {
            return wrong("flush_interval", format!("{interval:?}"), "at most one hour");
        }
        if self.jitter() >= interval {
            let found = format!("{:?}", self.jitter());
            return wrong("max_jitter", found, "shorter than flush_interval");
        }
        if self.send_timeout.is_zero() {
            return wrong("send_timeout", format!("{:?}", self.send_timeout), "above zero");
        }
        if self.max_pending_bytes < 64 * 1024 {
            return wrong(
                "max_pending_bytes",
                self.max_pending_bytes.to_string(),
                "at least 65536",
            );
        }
        if self.max_series == 0 {
            return wrong("max_series", "0".to_owned(), "at least 1");
        }
        Ok(())
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
                "flush_interval of 90s does not fit: it must be a whole multiple of the resolution",
            ),
            (
                config().with_flush_interval(Duration::ZERO),
                "flush_interval of 0ns does not fit: it must be a whole multiple of the resolution",
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
        ] {
            assert_eq!(config.check().unwrap_err().to_string(), error);
        }
        let fine = config().with_resolution(Resolution::Second).with_flush_interval(seconds(2));
        assert_eq!(fine.check(), Ok(()));
        assert_eq!(config().check(), Ok(()));
    }
}
