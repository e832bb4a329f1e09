use std::time::Duration;

use crate::budget::{self, BudgetWarning};
use crate::{Level, LifecycleError};

/// How long each level of the shutdown may take.
///
/// The defaults fit into ECS's default `stopTimeout` of 30 s. With the setting often advised for
/// services behind a load balancer, a `stopTimeout` of 60 s, 45 s of it to drain, and a
/// deregistration delay of 30 s:
///
/// ```
/// # use std::time::Duration;
/// # use bluegreen_shutdown::{Level, LifecycleConfig};
/// let config = LifecycleConfig::default()
///     .with_stop_timeout(Duration::from_secs(60))
///     .with_deregistration_delay(Duration::from_secs(30))
///     .with_drain_delay(Duration::from_secs(10))
///     .with_requests(Duration::from_secs(34));
/// assert_eq!(config.until_end_of(Level::Requests), Duration::from_secs(45));
/// assert_eq!(config.until_end_of(Level::Metrics), Duration::from_secs(56));
/// assert_eq!(config.warnings(), []);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifecycleConfig {
    /// The time between the signal and the kill: `stopTimeout` of the ECS container, at most 120 s
    /// on Fargate; `terminationGracePeriodSeconds` on Kubernetes. All levels together should fit:
    /// see [`warnings`](Self::warnings). Default: 30 s, as on ECS.
    pub stop_timeout: Duration,
    /// How long the load balancer waits for the answers of a target that it deregisters: 0 s to
    /// 3600 s, by default 300 s on an ALB. Compared with the time that requests are sure
    /// to have; `None` compares nothing. Default: `None`.
    pub deregistration_delay: Option<Duration>,
    /// How long requests are still accepted after readiness was withdrawn. At least the time the
    /// load balancer needs to notice: its interval times its unhealthy threshold, unless the
    /// target is deregistered before the signal, as ECS does in a deployment. May be zero.
    /// Default: 5 s.
    pub drain_delay: Duration,
    /// How long what lets work in may take to close. Default: 1 s.
    pub listener: Duration,
    /// How long requests under way may take. A deregistration delay of the load balancer that is
    /// longer than this is not used up. Default: 12 s.
    pub requests: Duration,
    /// How long messages under way may take, counted from the end of the requests; consumers have
    /// been asked to stop receiving at the signal. Default: 5 s.
    pub consumers: Duration,
    /// How long a receive that cannot be broken off may last, and with it a message come in after
    /// the signal: up to 20 s for SQS with long polling. Consumers keep their whole budget after
    /// it. Default: zero, right for consumers that drop a receive under way, as that of
    /// `bluegreen-queue` does.
    pub longest_poll: Duration,
    /// How long producers and hooks may take. Default: 2 s.
    pub producers: Duration,
    /// How long followers and monitors may take. Default: 1 s.
    pub support: Duration,
    /// How long sending the last figures may take. Default: 3 s.
    pub metrics: Duration,
}

impl Default for LifecycleConfig {
    fn default() -> Self {
        Self {
            stop_timeout: Duration::from_secs(30),
            deregistration_delay: None,
            drain_delay: Duration::from_secs(5),
            listener: Duration::from_secs(1),
            requests: Duration::from_secs(12),
            consumers: Duration::from_secs(5),
            longest_poll: Duration::ZERO,
            producers: Duration::from_secs(2),
            support: Duration::from_secs(1),
            metrics: Duration::from_secs(3),
        }
    }
}

impl LifecycleConfig {
    /// The same with another [`stop_timeout`](Self::stop_timeout).
    #[must_use]
    pub const fn with_stop_timeout(mut self, stop_timeout: Duration) -> Self {
        self.stop_timeout = stop_timeout;
        self
    }

    /// The same compared with a [`deregistration_delay`](Self::deregistration_delay).
    #[must_use]
    pub const fn with_deregistration_delay(mut self, deregistration_delay: Duration) -> Self {
        self.deregistration_delay = Some(deregistration_delay);
        self
    }

    /// The same with another [`drain_delay`](Self::drain_delay).
    #[must_use]
    pub const fn with_drain_delay(mut self, drain_delay: Duration) -> Self {
        self.drain_delay = drain_delay;
        self
    }

    /// The same with another budget for the [`listener`](Self::listener).
    #[must_use]
    pub const fn with_listener(mut self, listener: Duration) -> Self {
        self.listener = listener;
        self
    }

    /// The same with another budget for [`requests`](Self::requests).
    #[must_use]
    pub const fn with_requests(mut self, requests: Duration) -> Self {
        self.requests = requests;
        self
    }

    /// The same with another budget for [`consumers`](Self::consumers).
    #[must_use]
    pub const fn with_consumers(mut self, consumers: Duration) -> Self {
        self.consumers = consumers;
        self
    }

    /// The same with another [`longest_poll`](Self::longest_poll).
    #[must_use]
    pub const fn with_longest_poll(mut self, longest_poll: Duration) -> Self {
        self.longest_poll = longest_poll;
        self
    }

    /// The same with another budget for [`producers`](Self::producers).
    #[must_use]
    pub const fn with_producers(mut self, producers: Duration) -> Self {
        self.producers = producers;
        self
    }

    /// The same with another budget for [`support`](Self::support).
    #[must_use]
    pub const fn with_support(mut self, support: Duration) -> Self {
        self.support = support;
        self
    }

    /// The same with another budget for [`metrics`](Self::metrics).
    #[must_use]
    pub const fn with_metrics(mut self, metrics: Duration) -> Self {
        self.metrics = metrics;
        self
    }

    /// The budget of a level; that of [`Level::Readiness`] is the drain delay.
    #[must_use]
    pub const fn budget(&self, level: Level) -> Duration {
        match level {
            Level::Readiness => self.drain_delay,
            Level::Listener => self.listener,
            Level::Requests => self.requests,
            Level::Consumers => self.consumers,
            Level::Producers => self.producers,
            Level::Support => self.support,
            Level::Metrics => self.metrics,
        }
    }

    /// The longest time from the signal to the end of `level`: the budgets up to it, and what the
    /// [`longest_poll`](Self::longest_poll) adds before the consumers'.
    #[must_use]
    pub fn until_end_of(&self, level: Level) -> Duration {
        let levels = Level::ALL.into_iter().take_while(|other| *other <= level);
        levels.fold(Duration::ZERO, |begin, other| self.end_of(other, begin))
    }

    /// When a level ends at the latest that begins then; both from the signal.
    pub(crate) fn end_of(&self, level: Level, begin: Duration) -> Duration {
        let begin = if level == Level::Consumers { begin.max(self.longest_poll) } else { begin };
        begin.saturating_add(self.budget(level))
    }

    /// What does not fit the times that the platform gives. [`Lifecycle::new`](crate::Lifecycle)
    /// logs these; a test can assert that there are none.
    #[must_use]
    pub fn warnings(&self) -> Vec<BudgetWarning> {
        budget::warnings(self)
    }

    pub(crate) fn check(&self) -> Result<(), LifecycleError> {
        for level in Level::ALL {
            // No drain delay is a choice; no time to end in is a mistake.
            if level != Level::Readiness && self.budget(level).is_zero() {
                return Err(LifecycleError::NoBudget { level });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_levels_end_counts_all_before_it() {
        let config = LifecycleConfig::default();
        assert_eq!(config.until_end_of(Level::Readiness), secs(5));
        assert_eq!(config.until_end_of(Level::Consumers), secs(5 + 1 + 12 + 5));
        assert_eq!(config.until_end_of(Level::Metrics), secs(29));
    }

    #[test]
    fn consumers_have_their_whole_budget_after_the_longest_poll() {
        let config = LifecycleConfig::default().with_longest_poll(secs(20));
        assert_eq!(config.until_end_of(Level::Requests), secs(18));
        assert_eq!(config.until_end_of(Level::Consumers), secs(20 + 5));
        assert_eq!(config.until_end_of(Level::Producers), secs(20 + 5 + 2));
        // Covered by the levels above, it adds nothing.
        assert_eq!(config.with_requests(secs(30)).until_end_of(Level::Consumers), secs(36 + 5));
    }

    #[test]
    fn only_the_drain_delay_may_be_zero() {
        let config = LifecycleConfig::default();
        assert!(config.with_drain_delay(Duration::ZERO).check().is_ok());
        for level in Level::ALL {
            let none = match level {
                Level::Readiness => continue,
                Level::Listener => config.with_listener(Duration::ZERO),
                Level::Requests => config.with_requests(Duration::ZERO),
                Level::Consumers => config.with_consumers(Duration::ZERO),
                Level::Producers => config.with_producers(Duration::ZERO),
                Level::Support => config.with_support(Duration::ZERO),
                Level::Metrics => config.with_metrics(Duration::ZERO),
            };
            let error = none.check().unwrap_err().to_string();
            assert_eq!(error, format!("{level} of 0s does not fit: it must be above zero"));
        }
    }
}
