use std::num::NonZeroU32;
use std::time::Duration;

use bluegreen_core::Clock;

use crate::{HealthError, HealthPaths, Probe};

/// How health is probed and answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HealthConfig {
    /// The time between two runs of a probe, unless the probe has its own; each is drawn anew
    /// within a tenth of it, so that a fleet does not probe in step. Above zero, at most a day.
    /// Default: 5 s.
    pub interval: Duration,
    /// How long one run may take, unless the probe has its own. Above zero, at most a day.
    /// Default: 3 s.
    pub timeout: Duration,
    /// After how many failures in a row a probe counts as failed, unless the probe has its own;
    /// until then it is shown as degraded. Default: 2.
    pub fall: NonZeroU32,
    /// After how many passes in a row a failed or new probe counts as healthy, unless the probe has
    /// its own. Default: 1.
    pub rise: NonZeroU32,
    /// The age at which results no longer count, as what refreshes them may be dead. Default:
    /// for each probe three of its intervals and its time-out. At least two intervals and a
    /// time-out of every probe, at most a week.
    pub staleness: Option<Duration>,
    /// Where the answers are found.
    pub paths: HealthPaths,
    /// Where the timestamps come from. Default: the system.
    pub clock: Clock,
    /// Seeds the jitter; nothing seeds it at random. Default: nothing.
    pub seed: Option<u64>,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(3),
            fall: NonZeroU32::MIN.saturating_add(1),
            rise: NonZeroU32::MIN,
            staleness: None,
            paths: HealthPaths::default(),
            clock: Clock::system(),
            seed: None,
        }
    }
}

impl HealthConfig {
    /// The same with another [`interval`](Self::interval).
    #[must_use]
    pub const fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// The same with another [`timeout`](Self::timeout).
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same with other thresholds: [`rise`](Self::rise) and [`fall`](Self::fall).
    #[must_use]
    pub const fn with_thresholds(mut self, rise: NonZeroU32, fall: NonZeroU32) -> Self {
        self.rise = rise;
        self.fall = fall;
        self
    }

    /// The same with another [`staleness`](Self::staleness).
    #[must_use]
    pub const fn with_staleness(mut self, staleness: Duration) -> Self {
        self.staleness = Some(staleness);
        self
    }

    /// The same with other [`paths`](Self::paths).
    #[must_use]
    pub fn with_paths(mut self, paths: HealthPaths) -> Self {
        self.paths = paths;
        self
    }

    /// The same with another [`clock`](Self::clock).
    #[must_use]
    pub const fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The same with a seed for the jitter.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The interval of a probe.
    pub(crate) fn interval_of(&self, probe: &Probe) -> Duration {
        probe.interval.unwrap_or(self.interval)
    }

    /// The time-out of a probe.
    pub(crate) fn timeout_of(&self, probe: &Probe) -> Duration {
        probe.timeout.unwrap_or(self.timeout)
    }

    /// The age at which the results of a probe no longer count.
    pub(crate) fn staleness_of(&self, probe: &Probe) -> Duration {
        let otherwise =
            || self.interval_of(probe).saturating_mul(3).saturating_add(self.timeout_of(probe));
        self.staleness.unwrap_or_else(otherwise)
    }

    /// The age at which it shows that nobody is here, where there is no probe and only a beat.
    pub(crate) fn staleness_without_probes(&self) -> Duration {
        let least = self.interval.saturating_mul(3);
        self.staleness.map_or(least, |staleness| staleness.max(least))
    }

    pub(crate) fn check(&self) -> Result<(), HealthError> {
        for (field, value) in [("interval", self.interval), ("timeout", self.timeout)] {
            if !fits(value) {
                return Err(HealthError::Duration { field, value, bound: FITTING });
            }
        }
        if let Some(value) = self.staleness
            && (value.is_zero() || value > STALEST)
        {
            let bound = "above zero, at most a week";
            return Err(HealthError::Duration { field: "staleness", value, bound });
        }
        Ok(())
    }

    pub(crate) fn check_probe(&self, name: &str, probe: &Probe) -> Result<(), HealthError> {
        let own = [("interval", probe.interval), ("time-out", probe.timeout)];
        for (field, value) in own {
            if let Some(value) = value.filter(|value| !fits(*value)) {
                return Err(HealthError::Probe { probe: name.to_owned(), field, value });
            }
        }
        // Two runs are up to an interval, its jitter and a time-out apart.
        let (interval, timeout) = (self.interval_of(probe), self.timeout_of(probe));
        let value = self.staleness_of(probe);
        if value < interval.saturating_mul(2).saturating_add(timeout) {
            return Err(HealthError::Duration { field: "staleness", value, bound: FRESH });
        }
        Ok(())
    }
}

/// Beyond it a time-out is none.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Beyond it a bound of staleness is none; the default for the longest interval is below it.
const STALEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const FITTING: &str = "above zero, at most a day";
const FRESH: &str = "at least two intervals and a time-out of every probe";

fn fits(value: Duration) -> bool {
    !value.is_zero() && value <= LONGEST
}
