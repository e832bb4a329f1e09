use std::fmt;

use tokio::sync::watch;

use crate::driver::Wrongly;
use crate::{DriverEnd, Level};

/// A driver that ended before it was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EarlyEnd {
    /// The driver's name.
    pub name: String,
    /// Its level.
    pub level: Level,
    /// How it ended.
    pub end: DriverEnd,
}

impl fmt::Display for EarlyEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Wrongly(&self.name, &self.end).fmt(f)
    }
}

impl std::error::Error for EarlyEnd {}

/// Tells which drivers have ended while the process goes on: the optional ones, and any on the way
/// down. Cloning and asking are cheap; it outlives the [`Lifecycle`](crate::Lifecycle).
///
/// A health probe by a closure shows it to the operator:
///
/// ```
/// # use bluegreen_shutdown::{DriverWatch, EarlyEnd, Lifecycle, LifecycleConfig};
/// # struct Probe;
/// # impl Probe {
/// #     fn new<C, F>(_: C) -> Self
/// #     where C: Fn() -> F + Send + Sync + 'static, F: Future<Output = Result<(), EarlyEnd>> + Send { Self }
/// #     fn degrading(self) -> Self { self }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let lifecycle = Lifecycle::new(LifecycleConfig::default())?;
/// let drivers = lifecycle.drivers();
/// // Of bluegreen-health; any other takes the same closure.
/// let probe = Probe::new(move || std::future::ready(drivers.check())).degrading();
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct DriverWatch {
    ended: watch::Receiver<Vec<EarlyEnd>>,
}

impl DriverWatch {
    pub(crate) const fn new(ended: watch::Receiver<Vec<EarlyEnd>>) -> Self {
        Self { ended }
    }

    /// All drivers that have ended early, in that order, those that finished without an error
    /// among them. Noticed while [`Lifecycle::run`](crate::Lifecycle::run) is running.
    #[must_use]
    pub fn ended(&self) -> Vec<EarlyEnd> {
        self.ended.borrow().clone()
    }

    /// Whether all that ended early finished without an error.
    ///
    /// # Errors
    /// With the first driver that failed or panicked.
    pub fn check(&self) -> Result<(), EarlyEnd> {
        let ended = self.ended.borrow();
        match ended.iter().find(|early| early.end != DriverEnd::Finished) {
            Some(early) => Err(early.clone()),
            None => Ok(()),
        }
    }

    /// Waits until another driver has ended early; for ever once the lifecycle is gone. Cancel
    /// safe.
    pub async fn changed(&mut self) {
        if self.ended.changed().await.is_err() {
            std::future::pending().await
        }
    }
}
