mod gate;

use std::sync::Arc;

use tokio::sync::Notify;

use gate::Gate;

/// Counts what is under way, and can be closed: to new work, while the rest drains.
///
/// Entering *increments, looks whether it is closed, and undoes itself if so*. Once
/// [`drained`](Self::drained) has answered after a [`close`](Self::close), nothing is under way and
/// nothing can slip in until it is opened again. Cloning is cheap; all clones are one counter.
#[derive(Clone, Debug, Default)]
pub struct InFlight {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    gate: Gate,
    empty: Notify,
}

/// One piece of work under way; dropping it ends the work.
#[derive(Debug)]
#[must_use = "dropped at once it counts nothing"]
pub struct InFlightGuard {
    shared: Arc<Shared>,
}

impl InFlight {
    /// An open counter at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Work begins, unless the counter is closed.
    #[must_use]
    pub fn enter(&self) -> Option<InFlightGuard> {
        if self.shared.gate.enter() {
            return Some(InFlightGuard { shared: Arc::clone(&self.shared) });
        }
        // The undone increment may have hidden a zero from a waiter.
        self.shared.empty.notify_waiters();
        None
    }

    /// No more work may begin.
    pub fn close(&self) {
        self.shared.gate.close();
        self.shared.empty.notify_waiters();
    }

    /// Work may begin again.
    pub fn open(&self) {
        self.shared.gate.open();
    }

    /// Whether work may not begin.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.gate.is_closed()
    }

    /// How much is under way.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.shared.gate.count()
    }

    /// Waits until nothing is under way. Only after [`close`](Self::close) is that final. Cancel
    /// safe.
    pub async fn drained(&self) {
        loop {
            let empty = self.shared.empty.notified();
            tokio::pin!(empty);
            // Register before looking, or a wake-up between the two would be lost.
            empty.as_mut().enable();
            if self.shared.gate.count() == 0 {
                return;
            }
            empty.await;
        }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        if self.shared.gate.leave() {
            self.shared.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn closing_lets_the_rest_drain_and_nothing_new_in() {
        let in_flight = InFlight::new();
        let one = in_flight.enter().unwrap();
        let two = in_flight.enter().unwrap();
        in_flight.close();
        assert!(in_flight.enter().is_none());
        assert_eq!(in_flight.count(), 2);
        let waiter = tokio::spawn({
            let in_flight = in_flight.clone();
            async move { in_flight.drained().await }
        });
        tokio::task::yield_now().await;
        drop(one);
        tokio::task::yield_now().await;
        assert!(!waiter.is_finished());
        drop(two);
        waiter.await.unwrap();
        in_flight.open();
        assert!(in_flight.enter().is_some());
    }
}
