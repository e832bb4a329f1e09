use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::{Fault, Pass};

/// The outcome of one run.
pub(crate) type Outcome = Result<Pass, Fault>;
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
/// let disk = disk.degrading();
/// ```
#[derive(Clone)]
#[must_use = "a probe asks nothing before a health runs it"]
pub struct Probe {
    check: Arc<dyn Fn() -> Run + Send + Sync>,
    pub(crate) importance: Importance,
    pub(crate) shared: bool,
    pub(crate) timeout: Option<Duration>,
}

impl Probe {
    /// A critical probe by an async closure. Its errors may be any: only the log shows them.
    pub fn new<C, F, P, E>(check: C) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<P, E>> + Send + 'static,
        P: Into<Pass>,
        E: Into<Fault>,
    {
        let check = Arc::new(move || -> Run {
            let run = check();
            Box::pin(async move { run.await.map(Into::into).map_err(Into::into) })
        });
        Self { check, importance: Importance::Critical, shared: false, timeout: None }
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
    /// as one helps nobody.
    pub const fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// The same with a time-out of its own.
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Begins a run. The closure itself runs inside, so that its panic is caught with the rest.
    pub(crate) fn run(&self) -> impl Future<Output = Outcome> + Send + 'static {
        let check = Arc::clone(&self.check);
        async move { check().await }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("importance", &self.importance)
            .field("shared", &self.shared)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
