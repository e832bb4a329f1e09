use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::{FaultKind, Status};

/// Something about the health of this process has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthEvent {
    /// The process is another than before: what its load balancer sees. That results have become
    /// too old has no event, since nobody is left to tell it; [`Health::status`](crate::Health)
    /// knows.
    Status {
        /// How it was.
        from: Status,
        /// How it is.
        to: Status,
    },
    /// Every critical probe has passed, `rise` times in a row.
    Started,
    /// A check has changed, in its status or in the way it fails.
    Check {
        /// The probe's name.
        name: String,
        /// How the thing probed was.
        from: Status,
        /// How it is.
        to: Status,
        /// In which way the last run failed.
        kind: Option<FaultKind>,
    },
    /// So many events were lost here, as nobody took them for too long: 64 are kept, or four for
    /// each probe if these are more.
    Missed(u64),
}

/// The stream of what changes, from the moment it was asked for.
///
/// ```
/// # use bluegreen_health::{Health, HealthEvent};
/// # async fn page_somebody() {}
/// # async fn watch(health: Health) {
/// let mut events = health.events();
/// while let Some(event) = events.next().await {
///     if let HealthEvent::Status { to, .. } = event
///         && !to.serves()
///     {
///         page_somebody().await;
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
#[must_use = "events are for somebody to take"]
pub struct HealthEvents {
    receiver: Receiver<HealthEvent>,
}

/// How many events wait for one who takes them slowly: all probes may change at once.
pub(crate) fn kept(probes: usize) -> usize {
    probes.saturating_mul(4).max(64)
}

impl HealthEvents {
    pub(crate) const fn new(receiver: Receiver<HealthEvent>) -> Self {
        Self { receiver }
    }

    /// The next event, once there is one; nothing when no more can come, as the
    /// [`Refresher`](crate::Refresher) and all handles are gone. Cancel safe.
    pub async fn next(&mut self) -> Option<HealthEvent> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(missed)) => Some(HealthEvent::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}
