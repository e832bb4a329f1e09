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
