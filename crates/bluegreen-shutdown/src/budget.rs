use std::fmt;
use std::time::Duration;

use crate::{Level, LifecycleConfig};

/// The longest `stopTimeout` that ECS grants on Fargate.
const FARGATE: Duration = Duration::from_secs(120);

/// Budgets that do not fit the time that the platform gives. The process runs all the same; when it
/// ends, something may be cut that need not have been.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BudgetWarning {
    /// The levels together may take longer than the process is given: the last ones, metrics among
    /// them, are killed.
    BeyondTheKill {
        /// The longest time from the signal to the end.
        longest: Duration,
        /// The time from the signal to the kill.
        stop_timeout: Duration,
        /// The budget of each level.
        levels: Vec<(Level, Duration)>,
        /// What [`longest_poll`](LifecycleConfig::longest_poll) adds to these.
        waiting_for_polls: Duration,
    },
    /// Fargate refuses a `stopTimeout` as long as this.
    BeyondFargate {
        /// The time from the signal to the kill.
        stop_timeout: Duration,
        /// What Fargate grants at most.
        limit: Duration,
    },
    /// Requests may be cut while the load balancer would still wait for their answers: their
    /// clients see a 502.
    BeforeDeregistration {
        /// The time from the signal that requests are sure to have: what the listener leaves
        /// unused is not theirs, and servers cut a moment before their level ends.
        requests_end: Duration,
        /// How long the load balancer waits.
        deregistration_delay: Duration,
    },
}

impl fmt::Display for BudgetWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeyondTheKill { longest, stop_timeout, levels, waiting_for_polls } => {
                write!(f, "the shutdown takes up to {longest:?} (")?;
                for (place, (level, budget)) in levels.iter().enumerate() {
                    let plus = if place == 0 { "" } else { " + " };
                    write!(f, "{plus}{level} {budget:?}")?;
                }
                if !waiting_for_polls.is_zero() {
                    write!(f, " + waiting for polls {waiting_for_polls:?}")?;
                }
                write!(f, "), but stop_timeout is {stop_timeout:?}")
            }
            Self::BeyondFargate { stop_timeout, limit } => {
                write!(f, "stop_timeout is {stop_timeout:?}, but Fargate grants at most {limit:?}")
            }
            Self::BeforeDeregistration { requests_end, deregistration_delay } => write!(
                f,
                "requests may be cut {requests_end:?} after the signal, but the load balancer waits \
                 for them for {deregistration_delay:?} (its deregistration delay)"
            ),
        }
    }
}

pub(crate) fn warnings(config: &LifecycleConfig) -> Vec<BudgetWarning> {
    let mut warnings = Vec::new();
    let (longest, stop_timeout) = (config.until_end_of(Level::Metrics), config.stop_timeout);
    if longest > stop_timeout {
        let levels: Vec<_> =
            Level::ALL.into_iter().map(|level| (level, config.budget(level))).collect();
        let waiting_for_polls =
            config.longest_poll.saturating_sub(config.until_end_of(Level::Requests));
        warnings.push(BudgetWarning::BeyondTheKill {
            longest,
            stop_timeout,
            levels,
            waiting_for_polls,
        });
    }
    if stop_timeout > FARGATE {
        warnings.push(BudgetWarning::BeyondFargate { stop_timeout, limit: FARGATE });
    }
    let requests_end = config.drain_delay.saturating_add(notice(config.requests));
    if let Some(deregistration_delay) = config.deregistration_delay
        && requests_end < deregistration_delay
    {
        warnings.push(BudgetWarning::BeforeDeregistration { requests_end, deregistration_delay });
    }
    warnings
}

/// The time a driver is told out of a budget: it ends a tenth sooner, at most 100 ms, which leaves
/// the driver a moment to report what it gave up.
pub(crate) fn notice(budget: Duration) -> Duration {
    budget - (budget / 10).min(Duration::from_millis(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn texts(config: &LifecycleConfig) -> Vec<String> {
        config.warnings().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_defaults_fit_into_the_default_stop_timeout_of_ecs() {
        assert_eq!(LifecycleConfig::default().warnings(), []);
    }

    #[test]
    fn levels_beyond_the_kill_are_told_with_their_sum_and_parts() {
        let config = LifecycleConfig::default().with_requests(secs(45));
        assert_eq!(
            texts(&config),
            ["the shutdown takes up to 62s (readiness 5s + listener 1s + requests 45s + \
              consumers 5s + producers 2s + support 1s + metrics 3s), but stop_timeout is 30s"]
        );
        assert_eq!(config.with_stop_timeout(secs(62)).warnings(), []);
    }

    #[test]
    fn the_longest_poll_is_part_of_the_sum_as_far_as_the_levels_above_do_not_cover_it() {
        let config = LifecycleConfig::default().with_longest_poll(secs(18));
        assert_eq!(config.warnings(), []);
        let longer = config.with_longest_poll(secs(20));
        assert_eq!(
            texts(&longer),
            ["the shutdown takes up to 31s (readiness 5s + listener 1s + requests 12s + \
              consumers 5s + producers 2s + support 1s + metrics 3s + waiting for polls 2s), but \
              stop_timeout is 30s"]
        );
    }

    #[test]
    fn more_than_fargate_grants_is_told() {
        let config = LifecycleConfig::default();
        assert_eq!(config.with_stop_timeout(secs(120)).warnings(), []);
        assert_eq!(
            texts(&config.with_stop_timeout(secs(121))),
            ["stop_timeout is 121s, but Fargate grants at most 120s"]
        );
    }

    #[test]
    fn requests_cut_before_the_load_balancer_gives_up_are_told() {
        let config = LifecycleConfig::default();
        let sure = secs(5) + secs(12) - Duration::from_millis(100);
        assert_eq!(config.with_deregistration_delay(sure).warnings(), []);
        assert_eq!(config.with_deregistration_delay(secs(17)).warnings().len(), 1);
        // Time that the listener may leave unused.
        let listener = config.with_listener(secs(10)).with_stop_timeout(secs(60));
        assert_eq!(listener.with_deregistration_delay(secs(17)).warnings().len(), 1);
        assert_eq!(
            texts(&config.with_deregistration_delay(secs(300))),
            [
                "requests may be cut 16.9s after the signal, but the load balancer waits for them for 300s \
              (its deregistration delay)"
            ]
        );
    }

    #[test]
    fn budgets_beyond_all_measure_do_not_overflow() {
        let config =
            LifecycleConfig::default().with_requests(Duration::MAX).with_consumers(Duration::MAX);
        assert_eq!(config.warnings().len(), 1);
    }
}
