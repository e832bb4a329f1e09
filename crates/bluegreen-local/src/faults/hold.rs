//! A point at which a call waits until a test lets it go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use super::Faults;
use crate::Calls;
use crate::service::Call;

/// Where in its life a call is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Arrival,
    Reply,
}

/// One call, the `n`th of its kind, held until released. Dropping it releases the call.
///
/// Processes share such points, not time: a test waits until the call [is held](Self::reached),
/// does what must happen in between, and releases it.
#[derive(Debug)]
#[must_use = "dropping it releases the call at once"]
pub struct Hold {
    faults: Faults,
    barrier: Arc<Barrier>,
}

impl Hold {
    pub(super) fn new(faults: Faults, barrier: Arc<Barrier>) -> Self {
        Self { faults, barrier }
    }

    /// Waits until the call is held. Cancel safe.
    pub async fn reached(&self) {
        until(&self.barrier.reached).await;
    }

    /// Whether the call is held, or was.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        *self.barrier.reached.borrow()
    }

    /// Lets the call go on.
    pub fn release(self) {
        drop(self);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.barrier.released.send_replace(true);
        self.faults.remove_barrier(&self.barrier);
    }
}

#[derive(Debug)]
pub(super) struct Barrier {
    calls: Calls,
    n: u64,
    moment: Moment,
    seen: AtomicU64,
    reached: watch::Sender<bool>,
    released: watch::Sender<bool>,
}

impl Barrier {
    pub(super) fn new(calls: Calls, n: u64, moment: Moment) -> Self {
        let (reached, released) = (watch::Sender::new(false), watch::Sender::new(false));
        Self { calls, n, moment, seen: AtomicU64::new(0), reached, released }
    }

    /// Whether this very call is the one to hold; counts it.
    pub(super) fn catches(&self, moment: Moment, call: &Call) -> bool {
        moment == self.moment
            && self.calls.contains(call)
            && self.seen.fetch_add(1, Ordering::Relaxed) + 1 == self.n
    }

    pub(super) async fn wait(&self) {
        self.reached.send_replace(true);
        until(&self.released).await;
    }
}

async fn until(happened: &watch::Sender<bool>) {
    // The sender is alive while it is borrowed, so the channel cannot close.
    drop(happened.subscribe().wait_for(|happened| *happened).await);
}
