use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::fault::Failure;
use crate::{Fault, Pass};

/// The outcome of one run, as plain data: what an error says and how it is dropped is foreign
/// code, and stays inside the run.
pub(crate) type Outcome = Result<Pass, Failure>;
type Run = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// What a failed probe means for the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Importance {
    /// Without it the process is unhealthy.
    Critical,
    /// Without it the process is degraded: it still serves.
    Degrading,
    /// It is shown, and changes nothing.
    Informational,
}

/// What sort of thing a probe asks, as `application/health+json` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ComponentType {
    /// Another service, a queue, a part of this process.
    Component,
    /// A database or a table.
    Datastore,
    /// The machine: disk, memory, time.
    System,
}

impl ComponentType {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Datastore => "datastore",
            Self::System => "system",
        }
    }
}

/// A question to something that the process depends on, asked again and again in the background.
///
/// Each run gets a task of its own, so that a run that hangs, panics or blocks its thread is that
/// probe's failure and nobody else's. A run is dropped when its time is over.
///
/// ```
/// # use bluegreen_health::{Fault, FaultKind, Probe};
/// # async fn free_space() -> std::io::Result<u64> { Ok(0) }
/// let disk = Probe::new(|| async {
///     match free_space().await? {
///         0..1_000_000 => Err(Fault::new(FaultKind::Saturated).with_message("the disk is full")),
///         _ => Ok(()),
///     }
/// });
/// let disk = disk.degrading().tagged("storage");
/// ```
#[derive(Clone)]
#[must_use = "a probe asks nothing before a health runs it"]
pub struct Probe {
    check: Check,
    pub(crate) importance: Importance,
    pub(crate) shared: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) interval: Option<Duration>,
    /// Rise and fall.
    pub(crate) thresholds: Option<(NonZeroU32, NonZeroU32)>,
    pub(crate) component: ComponentType,
    pub(crate) tags: Vec<String>,
}

#[derive(Clone)]
enum Check {
    Async(Arc<dyn Fn() -> Run + Send + Sync>),
    Blocking(Arc<dyn Fn() -> Outcome + Send + Sync>),
}

/// One run that is about to begin.
pub(crate) enum Begun {
    Async(Run),
    Blocking(Box<dyn FnOnce() -> Outcome + Send>),
}

impl Probe {
    /// A critical probe by an async closure. Its errors may be any: the public answers show none.
    pub fn new<C, F, P, E>(check: C) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<P, E>> + Send + 'static,
        P: Into<Pass>,
        E: Into<Fault>,
    {
        Self::by(Check::Async(Arc::new(move || -> Run {
            let run = check();
            Box::pin(async move { run.await.map(Into::into).map_err(failure) })
        })))
    }

    /// A critical probe by a closure that blocks: it runs on a thread of its own, which it keeps
    /// for as long as it hangs, and which does not keep the process from exiting.
    pub fn blocking<C, P, E>(check: C) -> Self
    where
        C: Fn() -> Result<P, E> + Send + Sync + 'static,
        P: Into<Pass>,
        E: Into<Fault>,
    {
        Self::by(Check::Blocking(Arc::new(move || check().map(Into::into).map_err(failure))))
    }

    const fn by(check: Check) -> Self {
        Self {
            check,
            importance: Importance::Critical,
            shared: false,
            timeout: None,
            interval: None,
            thresholds: None,
            component: ComponentType::Component,
            tags: Vec::new(),
        }
    }

    /// The same, and its failure takes the process out of service: for a probe that is less by
    /// itself.
    pub const fn critical(mut self) -> Self {
        self.importance = Importance::Critical;
        self
    }

    /// The same, but its failure only degrades the process.
    pub const fn degrading(mut self) -> Self {
        self.importance = Importance::Degrading;
        self
    }

    /// The same, but its failure is only shown.
    pub const fn informational(mut self) -> Self {
        self.importance = Importance::Informational;
        self
    }

    /// The same for something that all processes share: once it has passed, its failure only
    /// degrades. When it fails it fails for all, and a fleet that takes itself out of service
    /// as one helps nobody. Not for what only this process may lose: a file, a connection of its
    /// own, credentials that were given to it alone.
    pub const fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// The same with a time-out of its own; see
    /// [`HealthConfig::timeout`](crate::HealthConfig::timeout).
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The same with an interval of its own; see
    /// [`HealthConfig::interval`](crate::HealthConfig::interval).
    pub const fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// The same with thresholds of its own; see [`HealthConfig::rise`](crate::HealthConfig::rise)
    /// and [`HealthConfig::fall`](crate::HealthConfig::fall).
    pub const fn with_thresholds(mut self, rise: NonZeroU32, fall: NonZeroU32) -> Self {
        self.thresholds = Some((rise, fall));
        self
    }

    /// The same with a tag, by which a [`group`](crate::HealthBuilder::group) finds it.
    pub fn tagged(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// The same of another component type; a [`Component`](ComponentType::Component) otherwise.
    pub const fn of_type(mut self, component: ComponentType) -> Self {
        self.component = component;
        self
    }

    /// A run. The closure itself is called inside, so that its panic is caught with the rest.
    pub(crate) fn begin(&self) -> Begun {
        match &self.check {
            Check::Async(check) => {
                let check = Arc::clone(check);
                Begun::Async(Box::pin(async move { check().await }))
            }
            Check::Blocking(check) => {
                let check = Arc::clone(check);
                Begun::Blocking(Box::new(move || check()))
            }
        }
    }
}

fn failure(error: impl Into<Fault>) -> Failure {
    error.into().into()
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("importance", &self.importance)
            .field("shared", &self.shared)
            .field("timeout", &self.timeout)
            .field("interval", &self.interval)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}
