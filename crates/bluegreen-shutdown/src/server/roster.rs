//! The open connections of a server, from accept to the closing of the socket: also those that a
//! handler took over by an upgrade, which hyper has forgotten by then.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bluegreen_core::{InFlight, InFlightGuard};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::activity::{Activity, Unfinished};
use crate::ServerReport;
use crate::abandoned::keep_oldest;

#[derive(Clone, Debug)]
pub(crate) struct Roster {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    open: Mutex<HashMap<u64, Arc<Activity>>>,
    next: AtomicU64,
    sockets: InFlight,
    cut: watch::Receiver<()>,
    /// What the cut lost: after it the connections are gone.
    lost: OnceLock<ServerReport>,
}

/// Dropping it cuts the upgraded connections; the others end with their tasks.
#[derive(Debug)]
pub(super) struct Cutter {
    _sender: watch::Sender<()>,
}

/// An open socket's place in the roster. Dropping it gives it up, with the permit to be open.
#[derive(Debug)]
pub(super) struct Place {
    roster: Roster,
    number: u64,
    activity: Arc<Activity>,
    _socket: Option<InFlightGuard>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Roster {
    pub(super) fn new() -> (Cutter, Self) {
        let (sender, cut) = watch::channel(());
        let (open, next, sockets) = (Mutex::default(), AtomicU64::new(0), InFlight::new());
        let lost = OnceLock::new();
        let shared = Shared { open, next, sockets, cut, lost };
        (Cutter { _sender: sender }, Self { shared: Arc::new(shared) })
    }

    pub(super) fn enter(&self, permit: Option<OwnedSemaphorePermit>, now: Instant) -> Place {
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let activity = Arc::new(Activity::new(now));
        self.open().insert(number, Arc::clone(&activity));
        let socket = self.shared.sockets.enter();
        Place { roster: self.clone(), number, activity, _socket: socket, _permit: permit }
    }

    /// The open sockets, upgraded ones included.
    pub(super) fn sockets(&self) -> &InFlight {
        &self.shared.sockets
    }

    /// What is lost as all connections are cut now, or was when they were: a server may be
    /// abandoned amid its own cut.
    pub(crate) fn lost(&self, now: Instant) -> ServerReport {
        self.shared.lost.get_or_init(|| self.unfinished(now)).clone()
    }

    fn unfinished(&self, now: Instant) -> ServerReport {
        let mut report = ServerReport::default();
        let open: Vec<_> = self.open().values().cloned().collect();
        for activity in open {
            let Unfinished { requests, upgrades, mut named } = activity.unfinished(now);
            report.connections_cut += u64::from(requests > 0);
            report.requests_abandoned += requests;
            report.upgrades_cut += upgrades;
            report.abandoned.append(&mut named);
        }
        keep_oldest(&mut report.abandoned);
        report
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Activity>>> {
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Closed once the connections are cut.
    pub(super) fn cut(&self) -> &watch::Receiver<()> {
        &self.roster.shared.cut
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.roster.open().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_a_cut_lost_is_still_known_when_the_connections_are_gone() {
        let (_cutter, roster) = Roster::new();
        let place = roster.enter(None, Instant::now());
        let uri = http::Uri::from_static("/export");
        place.activity().request_begins(&http::Method::GET, &uri, false, Instant::now());
        assert_eq!(roster.lost(Instant::now()).requests_abandoned, 1);
        drop(place);
        let lost = roster.lost(Instant::now());
        assert_eq!((lost.requests_abandoned, lost.abandoned[0].path.as_str()), (1, "/export"));
    }
}
