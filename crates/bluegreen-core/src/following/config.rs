use std::fmt;
use std::time::Duration;

use crate::{Clock, Deployment, Reads, ServiceKey};

/// How a process follows its deployment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FollowConfig {
    /// The longest time between two looks at the store; each is drawn anew between half of it and
    /// the whole, so that a fleet does not look in step. Default: 2 s.
    pub interval: Duration,
    /// How long one call to the store, or to the memory on this machine, may take. Default: 3 s.
    pub timeout: Duration,
    /// How long the process counts as living after an announcement; it announces itself at least
    /// three times as often, as long as the store answers at once. At least three intervals.
    /// Default: 15 s.
    pub member_ttl: Duration,
    /// What this process understands, for others to see. Each process of a service announces each
    /// contract of its release, those that it happens not to read itself among them: a living
    /// member that names no version of a contract holds its writers at the version before.
    /// Default: nothing.
    pub reads: Reads,
    /// What to assume while neither the store nor an earlier run tells. Any record of the store
    /// is newer. Default: nothing.
    pub assume: Option<Deployment>,
    /// Where wall time comes from. Default: the system.
    pub clock: Clock,
    /// Seeds the jitter; nothing seeds it at random. Default: nothing.
    pub seed: Option<u64>,
}

impl Default for FollowConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(3),
            member_ttl: Duration::from_secs(15),
            reads: Reads::default(),
            assume: None,
            clock: Clock::system(),
            seed: None,
        }
    }
}

impl FollowConfig {
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

    /// The same with another [`member_ttl`](Self::member_ttl).
    #[must_use]
    pub const fn with_member_ttl(mut self, ttl: Duration) -> Self {
        self.member_ttl = ttl;
        self
    }

    /// The same with what this process understands.
    #[must_use]
    pub fn with_reads(mut self, reads: Reads) -> Self {
        self.reads = reads;
        self
    }

    /// The same with a deployment to assume.
    #[must_use]
    pub fn with_assume(mut self, deployment: Deployment) -> Self {
        self.assume = Some(deployment);
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

    pub(super) fn check(&self, key: &ServiceKey) -> Result<(), FollowError> {
        let fields = [
            ("interval", self.interval),
            ("timeout", self.timeout),
            ("member_ttl", self.member_ttl),
        ];
        for (field, value) in fields {
            if value.is_zero() {
                return Err(FollowError::new(field, value, "above zero"));
            }
        }
        if self.member_ttl < self.interval.saturating_mul(3) {
            return Err(FollowError::new(
                "member_ttl",
                self.member_ttl,
                "at least three intervals",
            ));
        }
        match &self.assume {
            Some(other) if other.service() != key => {
                let value = format_args!("a deployment of {}", other.service());
                Err(FollowError::new("assume", value, format!("a deployment of {key}")))
            }
            _ => Ok(()),
        }
    }
}

/// A field of a [`FollowConfig`] or a [`RosterConfig`](crate::RosterConfig) does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} of {value} does not fit: it must be {bound}")]
pub struct FollowError {
    field: &'static str,
    value: String,
    bound: String,
}

impl FollowError {
    pub(crate) fn new(
        field: &'static str,
        value: impl fmt::Debug,
        bound: impl Into<String>,
    ) -> Self {
        Self { field, value: format!("{value:?}"), bound: bound.into() }
    }
}
