use std::num::NonZeroU32;
use std::time::Duration;

use bluegreen_core::Clock;

use crate::HealthError;

/// How health is probed and answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HealthConfig {
    /// The time between two runs of a probe; each is drawn anew within a tenth of it, so that a
    /// fleet does not probe in step. Default: 5 s.
    pub interval: Duration,
    /// How long one run may take, unless the probe has its own. Default: 3 s.
    pub timeout: Duration,
    /// After how many failures in a row a probe counts as failed; until then it is shown as
    /// degraded. Default: 2.
    pub fall: NonZeroU32,
    /// After how many passes in a row a failed probe counts as healthy. Default: 1.
    pub rise: NonZeroU32,
    /// The age at which results no longer count, as what refreshes them may be dead. Default:
    /// three intervals and the longest time-out of a probe.
    pub staleness: Option<Duration>,
    /// Where the answers are found.
    pub paths: HealthPaths,
    /// Where the timestamps come from. Default: the system.
    pub clock: Clock,
    /// Seeds the jitter; nothing seeds it at random. Default: nothing.
    pub seed: Option<u64>,
}

/// Where the answers are found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthPaths {
    /// All checks with their messages. Default: `/health`.
    pub all: String,
    /// Whether the process lives, whatever it depends on. Default: `/health/live`.
    pub live: String,
    /// Whether the process wants requests. Default: `/health/ready`.
    pub ready: String,
    /// Whether every critical probe has passed once. Default: `/health/startup`.
    pub startup: String,
}

impl Default for HealthPaths {
    fn default() -> Self {
        Self {
            all: "/health".to_owned(),
            live: "/health/live".to_owned(),
            ready: "/health/ready".to_owned(),
            startup: "/health/startup".to_owned(),
        }
    }
}

impl HealthPaths {
    /// The paths `base`, `base/live`, `base/ready` and `base/startup`.
    #[must_use]
    pub fn under(base: &str) -> Self {
        Self {
            all: base.to_owned(),
            live: format!("{base}/live"),
            ready: format!("{base}/ready"),
            startup: format!("{base}/startup"),
        }
    }

    const fn all(&self) -> [&String; 4] {
        [&self.all, &self.live, &self.ready, &self.startup]
    }
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

    /// The age at which results no longer count, when runs take up to `longest`.
    pub(crate) fn staleness_given(&self, longest: Duration) -> Duration {
        self.staleness.unwrap_or_else(|| self.interval.saturating_mul(3).saturating_add(longest))
    }

    pub(crate) fn check(&self, longest: Duration) -> Result<(), HealthError> {
        for (field, value) in [("interval", self.interval), ("timeout", self.timeout)] {
            if value.is_zero() || value > LONGEST {
                return Err(HealthError::Duration {
                    field,
                    value,
                    bound: "above zero, below a day",
                });
            }
        }
        let (field, value) = ("staleness", self.staleness_given(longest));
        // Two runs are up to an interval, its jitter and a time-out apart.
        if value < self.interval.saturating_mul(2).saturating_add(longest) {
            let bound = "at least two intervals and the longest time-out";
            return Err(HealthError::Duration { field, value, bound });
        }
        self.check_paths()
    }

    fn check_paths(&self) -> Result<(), HealthError> {
        let paths = self.paths.all();
        for (at, path) in paths.into_iter().enumerate() {
            let plain = path.starts_with('/') && !path.contains(['?', '#', ' ']);
            if !plain || paths.into_iter().skip(at + 1).any(|other| other == path) {
                return Err(HealthError::Path { found: path.clone() });
            }
        }
        Ok(())
    }
}

/// Beyond it a time-out is none.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
