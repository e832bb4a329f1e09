use std::time::Duration;

use crate::{Level, LifecycleError};

/// How long each level of the shutdown may take.
///
/// The defaults fit into ECS's default `stopTimeout` of 30 s. With the setting often advised for
/// services behind a load balancer, a `stopTimeout` of 60 s:
///
/// ```
/// # use std::time::Duration;
/// # use bluegreen_shutdown::{Lifecycle, LifecycleConfig};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let config = LifecycleConfig::default()
///     .with_stop_timeout(Duration::from_secs(60))
///     .with_drain_delay(Duration::from_secs(10))
///     .with_requests(Duration::from_secs(30));
/// assert!(Lifecycle::new(config).is_ok());
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifecycleConfig {
    /// The time between the signal and the kill: `stopTimeout` of the ECS container, at most 120 s
    /// on Fargate; `terminationGracePeriodSeconds` on Kubernetes. All levels together must fit.
    /// Default: 30 s, as on ECS.
    pub stop_timeout: Duration,
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
            drain_delay: Duration::from_secs(5),
            listener: Duration::from_secs(1),
            requests: Duration::from_secs(12),
            consumers: Duration::from_secs(5),
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

    /// The longest time from the signal to the end of `level`.
    #[must_use]
    pub fn until_end_of(&self, level: Level) -> Duration {
        let levels = Level::ALL.into_iter().take_while(|other| *other <= level);
        levels.fold(Duration::ZERO, |sum, other| sum.saturating_add(self.budget(other)))
    }

    pub(crate) fn check(&self) -> Result<(), LifecycleError> {
        for level in Level::ALL {
            // No drain delay is a choice; no time to end in is a mistake.
            if level != Level::Readiness && self.budget(level).is_zero() {
                return Err(LifecycleError::NoBudget { level });
            }
        }
        let sum = self.until_end_of(Level::Metrics);
        if sum <= self.stop_timeout {
            return Ok(());
        }
        let parts = Level::ALL.map(|level| format!("{level} {:?}", self.budget(level)));
        let stop_timeout = self.stop_timeout;
        Err(LifecycleError::Budget { sum, stop_timeout, parts: parts.join(" + ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn the_defaults_fit_into_the_default_stop_timeout_of_ecs() {
        let config = LifecycleConfig::default();
        assert_eq!(config.check().map_err(|e| e.to_string()), Ok(()));
        assert_eq!(config.until_end_of(Level::Metrics), secs(29));
        assert_eq!(config.until_end_of(Level::Consumers), secs(5 + 1 + 12 + 5));
    }

    #[test]
    fn budgets_that_do_not_fit_are_refused_with_their_sum_and_parts() {
        let error = LifecycleConfig::default().with_requests(secs(45)).check().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the shutdown takes up to 62s (readiness 5s + listener 1s + requests 45s + \
             consumers 5s + producers 2s + support 1s + metrics 3s), but stop_timeout is 30s"
        );
        let longer = LifecycleConfig::default().with_requests(secs(45)).with_stop_timeout(secs(62));
        assert!(longer.check().is_ok());
    }

    #[test]
    fn only_the_drain_delay_may_be_zero() {
        let config = LifecycleConfig::default();
        assert!(config.with_drain_delay(Duration::ZERO).check().is_ok());
        let error = config.with_metrics(Duration::ZERO).check().unwrap_err();
        assert_eq!(error.to_string(), "metrics of 0s does not fit: it must be above zero");
    }

    #[test]
    fn budgets_beyond_all_measure_are_refused_rather_than_to_overflow() {
        let config =
            LifecycleConfig::default().with_requests(Duration::MAX).with_consumers(Duration::MAX);
        assert!(config.check().is_err());
    }
}
