use std::fmt;
use std::sync::Arc;

use bluegreen_core::ServiceIdentity;

use crate::board::Board;
use crate::layer::{Nowhere, Pages};
use crate::{HealthBuilder, HealthEvents, HealthLayer, HealthService, Snapshot, Status};

/// How this process is: a cheap handle that always has the answer at hand.
///
/// Its [`Refresher`](crate::Refresher) runs the probes; asking runs none.
#[derive(Clone)]
pub struct Health {
    board: Arc<Board>,
}

impl Health {
    /// The health of the process with this identity, whose color its answers name.
    pub fn builder(identity: &ServiceIdentity) -> HealthBuilder {
        HealthBuilder::new(identity)
    }

    pub(crate) const fn new(board: Arc<Board>) -> Self {
        Self { board }
    }

    /// How the process is now: by its probes, by whether they still run, and by whether it drains.
    #[must_use]
    pub fn status(&self) -> Status {
        self.board.status()
    }

    /// The last results of all probes.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.board.snapshot()
    }

    /// What changes from now on.
    pub fn events(&self) -> HealthEvents {
        self.board.events()
    }

    /// A layer that answers the health paths and passes everything else through. Put it outside of
    /// authentication: load balancers send no credentials.
    #[must_use]
    pub fn layer(&self) -> HealthLayer {
        HealthLayer::new(self.clone())
    }

    /// The same answers as a service for a port of their own; other paths are not found.
    #[must_use]
    pub fn service(&self) -> HealthService<Nowhere> {
        HealthService::new(Nowhere::new(), self.clone(), Pages::All)
    }

    pub(crate) fn board(&self) -> &Board {
        &self.board
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("status", &self.status()).finish_non_exhaustive()
    }
}
