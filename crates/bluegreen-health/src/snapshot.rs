use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use crate::{ComponentType, FaultKind, Importance, Observed};

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
    /// Whether every critical probe has passed, `rise` times in a row.
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
    /// What sort of thing it asks.
    pub component: ComponentType,
    /// The tags by which groups find it.
    pub tags: Vec<String>,
    /// How the thing probed is.
    pub status: Status,
    /// Whether it has passed, `rise` times in a row.
    pub started: bool,
    /// In which way the last run failed.
    pub kind: Option<FaultKind>,
    /// What there is to say, without secrets.
    pub message: Option<Cow<'static, str>>,
    /// What the error behind it said, which may hold secrets: host names, accounts, statements.
    pub cause: Option<String>,
    /// What was counted or measured.
    pub observed: Vec<Observed>,
    /// The last run: when it ended, and how long it took.
    pub last_run: Option<LastRun>,
}

/// When and how long a probe ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastRun {
    /// When it ended.
    pub at: SystemTime,
    /// How long it took.
    pub took: Duration,
}

impl Check {
    /// What it means for the process as a whole.
    #[must_use]
    pub const fn weight(&self) -> Status {
        match (self.importance, self.status) {
            (Importance::Informational, _) => Status::Healthy,
            (Importance::Degrading, Status::Unhealthy) => Status::Degraded,
            (_, status) => status,
        }
    }

    /// Whether it lets the process start.
    const fn lets_start(&self) -> bool {
        self.started || !matches!(self.importance, Importance::Critical)
    }
}

/// What some checks say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overall {
    pub(crate) status: Status,
    pub(crate) started: bool,
}

impl Overall {
    pub(crate) fn of<'a>(checks: impl IntoIterator<Item = &'a Check>) -> Self {
        let mut overall = Self { status: Status::Healthy, started: true };
        for check in checks {
            overall.status = overall.status.max(check.weight());
            overall.started &= check.lets_start();
        }
        if !overall.started {
            overall.status = Status::Unhealthy;
        }
        overall
    }
}

impl Snapshot {
    pub(crate) fn of(checks: Vec<Check>, at: SystemTime) -> Self {
        let Overall { status, started } = Overall::of(&checks);
        Self { status, started, checks, at }
    }
}
