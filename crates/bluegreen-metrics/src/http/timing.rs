use std::sync::Arc;

use tokio::time::Instant;

use crate::requests::{Ending, RequestsCell};

/// A request in progress. Dropping it ends the request, so none is forgotten.
#[derive(Debug)]
pub(super) struct Timing {
    requests: Arc<RequestsCell>,
    started: Instant,
    ending: Ending,
}

impl Timing {
    pub(super) fn start(requests: Arc<RequestsCell>) -> Self {
        requests.start();
        Self { requests, started: Instant::now(), ending: Ending::Succeeded }
    }

    /// Does a part of the request's work. Should it panic, the request has failed, also where a layer
    /// outside catches the panic and drops the rest in peace.
    pub(super) fn during<T>(timing: &mut Option<Self>, work: impl FnOnce() -> T) -> T {
        let Some(own) = timing else { return work() };
        let before = std::mem::replace(&mut own.ending, Ending::Failed);
        let done = work();
        own.ending = before;
        done
    }

    /// Has the request count as failed when it ends.
    pub(super) fn fail(&mut self) {
        self.ending = Ending::Failed;
    }
}

impl Drop for Timing {
    fn drop(&mut self) {
        let ending = if std::thread::panicking() { Ending::Failed } else { self.ending };
        self.requests.end(ending, self.started.elapsed());
    }
}
