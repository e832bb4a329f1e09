use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use crate::history::History;
use crate::{FaultKind, Importance, Observed};

/// How the process, or something it depends on, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Status {
    /// All is well.
    Healthy,
    /// Something is missing or slow; requests are served.
    Degraded,
    /// Requests would fail.
    Unhealthy,
    /// The process is on its way out and wants no more requests.
    Draining,
}

impl Status {
    /// The status as answers spell it: `healthy`, `degraded`, `unhealthy`, `draining`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
        }
    }

    /// Whether requests are served.
    #[must_use]
    pub const fn serves(self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The results of all probes at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// How the process is by its probes. That it drains, or that nobody refreshes this snapshot
    /// any more, [`Health::status`](crate::Health::status) knows.
    pub status: Status,
    /// Whether every critical probe has passed once.
    pub started: bool,
    /// The probes in the order they were added.
    pub checks: Vec<Check>,
    /// The moment.
    pub at: SystemTime,
}

/// The result of one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// The probe's name.
    pub name: String,
    /// What its failure means.
    pub importance: Importance,
    /// How the thing probed is.
    pub status: Status,
    /// In which way the last run failed.
    pub kind: Option<FaultKind>,
    /// What there is to say, without secrets.
    pub message: Option<Cow<'static, str>>,
    /// What was counted or measured.
    pub observed: Vec<Observed>,
}

impl Snapshot {
    pub(crate) fn of(histories: &[History], at: SystemTime) -> Self {
        let started = histories.iter().all(History::has_started);
        let worst = histories.iter().map(History::weight).max().unwrap_or(Status::Healthy);
        let status = if started { worst } else { Status::Unhealthy };
        Self { status, started, checks: histories.iter().map(History::check).collect(), at }
    }
}
