use std::time::Duration;

use bluegreen_core::{Backoff, Clock};

use crate::ConfigError;

/// More than that is nobody's plan, and no clock can add `Duration::MAX`.
pub(crate) const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// How a [`Shift`](crate::Shift) works, beside its plan and its thresholds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ShiftConfig {
    /// The length of the metrics' periods; it must be the one that the source of observations
    /// has, as one of another length counts as late. Default: 60 s, CloudWatch's standard; down to
    /// 1 s with high-resolution metrics. At most a year.
    pub period: Duration,
    /// How long after its end a period is looked at for the first time. Default: 60 s, as
    /// CloudWatch's points come and grow for about that long; what is later still is read again. At
    /// most a year.
    pub settle_lag: Duration,
    /// How long the living processes may take to follow a change; a forward step that is not
    /// followed by then is rolled back. Choose more than a member's lifetime, so that a killed
    /// process expires first. Default: 2 min.
    pub follow_timeout: Duration,
    /// How long the candidate may take to be healthy before its first share. Default: 2 min. At
    /// most a year.
    pub health_timeout: Duration,
    /// How long writing the weights may take before a forward step is rolled back. Default: 1 min.
    pub weights_timeout: Duration,
    /// How long a rollback tries to reach store and balancer. Default: 15 min. At most a year.
    pub rollback_timeout: Duration,
    /// How long there may be no evidence, or no store to take the next step, before the shift says
    /// that it is frozen. The share is held from the first moment. Default: 5 min.
    pub patience: Duration,
    /// How long a shift may be frozen. Default: 1 h.
    pub freeze_limit: Duration,
    /// What happens then. Default: [`FreezeEnd::Hold`].
    pub freeze_end: FreezeEnd,
    /// The delays between tries. Default: from 100 ms to 20 s.
    pub backoff: Backoff,
    /// Where wall time comes from. Default: the system.
    pub clock: Clock,
}

/// What happens to a shift that was frozen for too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FreezeEnd {
    /// It ends, and both colors keep what they have: a person decides.
    #[default]
    Hold,
    /// It is rolled back.
    RollBack,
}

impl Default for ShiftConfig {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Self {
            period: minutes(1),
            settle_lag: minutes(1),
            follow_timeout: minutes(2),
            health_timeout: minutes(2),
            weights_timeout: minutes(1),
            rollback_timeout: minutes(15),
            patience: minutes(5),
            freeze_limit: minutes(60),
            freeze_end: FreezeEnd::default(),
            backoff: Backoff::default(),
            clock: Clock::system(),
        }
    }
}

macro_rules! with {
    ($($(#[$doc:meta])* $name:ident $field:ident: $type:ty;)*) => {
        impl ShiftConfig {
            $($(#[$doc])*
            #[must_use]
            pub const fn $name(mut self, $field: $type) -> Self {
                self.$field = $field;
                self
            })*
        }
    };
}

with! {
    /// The same with another [`period`](Self::period).
    with_period period: Duration;
    /// The same with another [`settle_lag`](Self::settle_lag).
    with_settle_lag settle_lag: Duration;
    /// The same with another [`follow_timeout`](Self::follow_timeout).
    with_follow_timeout follow_timeout: Duration;
    /// The same with another [`health_timeout`](Self::health_timeout).
    with_health_timeout health_timeout: Duration;
    /// The same with another [`weights_timeout`](Self::weights_timeout).
    with_weights_timeout weights_timeout: Duration;
    /// The same with another [`rollback_timeout`](Self::rollback_timeout).
    with_rollback_timeout rollback_timeout: Duration;
    /// The same with another [`patience`](Self::patience).
    with_patience patience: Duration;
    /// The same with another [`freeze_limit`](Self::freeze_limit).
    with_freeze_limit freeze_limit: Duration;
    /// The same with another [`freeze_end`](Self::freeze_end).
    with_freeze_end freeze_end: FreezeEnd;
    /// The same with another [`backoff`](Self::backoff).
    with_backoff backoff: Backoff;
    /// The same with another [`clock`](Self::clock).
    with_clock clock: Clock;
}

impl ShiftConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let bound = "at least one millisecond";
        for (field, value) in [
            ("period", self.period),
            ("follow_timeout", self.follow_timeout),
            ("weights_timeout", self.weights_timeout),
            ("rollback_timeout", self.rollback_timeout),
        ] {
            if value < Duration::from_millis(1) {
                return Err(ConfigError { field, found: format!("{value:?}"), bound });
            }
        }
        let bound = "at most a year";
        for (field, value) in [
            ("period", self.period),
            ("settle_lag", self.settle_lag),
            ("health_timeout", self.health_timeout),
            ("rollback_timeout", self.rollback_timeout),
        ] {
            if value > YEAR {
                return Err(ConfigError { field, found: format!("{value:?}"), bound });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_that_no_clock_can_add_are_refused_by_field() {
        let config = ShiftConfig::default;
        let forever = Duration::MAX;
        for (config, field) in [
            (config().with_period(forever), "period"),
            (config().with_settle_lag(forever), "settle_lag"),
            (config().with_health_timeout(forever), "health_timeout"),
            (config().with_rollback_timeout(forever), "rollback_timeout"),
            (config().with_rollback_timeout(Duration::ZERO), "rollback_timeout"),
        ] {
            assert_eq!(config.check().unwrap_err().field, field);
        }
        assert_eq!(config().check(), Ok(()));
    }
}
