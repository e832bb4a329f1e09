use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::{Color, ServiceIdentity, Stop};

use crate::board::Board;
use crate::config::LONGEST;
use crate::history::History;
use crate::layer::Nowhere;
use crate::refresher::{Probed, Refresher};
use crate::{HealthConfig, HealthError, HealthLayer, HealthService, Probe, Snapshot, Status};

/// How this process is: a cheap handle that always has the answer at hand.
///
/// Its [`Refresher`] runs the probes; asking runs none.
#[derive(Clone, Debug)]
pub struct Health {
    board: Arc<Board>,
}

/// A [`Health`] being put together.
#[derive(Debug)]
#[must_use = "nothing is built before `build`"]
pub struct HealthBuilder {
    color: Color,
    config: HealthConfig,
    draining: Stop,
    probes: Vec<(String, Probe)>,
}

impl Health {
    /// The health of the process with this identity, whose color its answers name.
    pub fn builder(identity: &ServiceIdentity) -> HealthBuilder {
        HealthBuilder {
            color: identity.color,
            config: HealthConfig::default(),
            draining: Stop::never(),
            probes: Vec::new(),
        }
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

    /// A layer that answers the health paths and passes everything else through. Put it outside of
    /// authentication: load balancers send no credentials.
    #[must_use]
    pub fn layer(&self) -> HealthLayer {
        HealthLayer::new(self.clone())
    }

    /// The same answers as a service for a port of their own; other paths are not found.
    #[must_use]
    pub fn service(&self) -> HealthService<Nowhere> {
        HealthService::new(Nowhere::new(), self.clone())
    }

    pub(crate) fn board(&self) -> &Board {
        &self.board
    }
}

impl HealthBuilder {
    /// Adds a probe by a name that its answers use.
    pub fn probe(mut self, name: impl Into<String>, probe: impl Into<Probe>) -> Self {
        self.probes.push((name.into(), probe.into()));
        self
    }

    /// Takes another configuration.
    pub fn config(mut self, config: HealthConfig) -> Self {
        self.config = config;
        self
    }

    /// From the moment this stop is requested, the process is not ready.
    pub fn draining_when(mut self, stop: Stop) -> Self {
        self.draining = stop;
        self
    }

    /// The handle, and the driver that runs the probes.
    ///
    /// # Errors
    /// When a field of the configuration does not fit, or the name or time-out of a probe.
    pub fn build(self) -> Result<(Health, Refresher), HealthError> {
        let Self { color, config, draining, probes } = self;
        let mut longest = config.timeout;
        for (at, (name, probe)) in probes.iter().enumerate() {
            if name.is_empty() || probes.iter().skip(at + 1).any(|(other, _)| other == name) {
                return Err(HealthError::Name { found: name.clone() });
            }
            longest = longest.max(fitting_timeout(name, probe)?);
        }
        config.check(longest)?;
        let histories: Vec<_> =
            probes.iter().map(|(name, probe)| History::new(name.clone(), probe, &config)).collect();
        let first = Snapshot::of(&histories, config.clock.now());
        let staleness = config.staleness_given(longest);
        let board = Board::new(first, color, draining, config.paths.clone(), staleness);
        let board = Arc::new(board);
        let probes = probes.into_iter().map(|(name, probe)| Probed { name, probe }).collect();
        let refresher = Refresher::new(probes, histories, config, Arc::clone(&board));
        Ok((Health { board }, refresher))
    }
}

fn fitting_timeout(name: &str, probe: &Probe) -> Result<Duration, HealthError> {
    match probe.timeout {
        Some(value) if value.is_zero() || value > LONGEST => {
            Err(HealthError::Timeout { probe: name.to_owned(), value })
        }
        timeout => Ok(timeout.unwrap_or_default()),
    }
}
