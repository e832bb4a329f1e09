//! One series under the collector's eyes.

use std::fmt::Debug;
use std::sync::Arc;

use crate::Resolution;
use crate::amount::{Amount, Taken};
use crate::collector::Collected;
use crate::dimensions::Labels;
use crate::own_metrics;
use crate::registry::Registry;
use crate::requests::{RequestsCell, RequestsReading};
use crate::series::{Cell, Targets};

/// A series and what was already taken of it.
pub(crate) trait Watched: Debug + Send {
    /// Takes what came since the last call, and a level that stands.
    fn take(&mut self, into: &mut Collected);

    /// How long its windows are.
    fn resolution(&self) -> Resolution;

    /// Whether it is about the metrics themselves.
    fn is_own(&self) -> bool {
        false
    }

    /// For so many windows nothing was recorded.
    fn idle(&self) -> u32;

    /// Forgets the series, if nobody but the registry and this holds it; otherwise it stays watched.
    fn forget(self: Box<Self>, registry: &Registry, into: &mut Collected) -> Forgotten;
}

/// How forgetting ended.
#[derive(Debug)]
pub(crate) enum Forgotten {
    Yes,
    /// Somebody may still record into it.
    StillHeld(Box<dyn Watched>),
}

/// A counter, gauge or distribution.
#[derive(Debug)]
pub(crate) struct WatchedCell<C: Cell> {
    pub(crate) name: String,
    pub(crate) labels: Labels,
    pub(crate) targets: Targets,
    pub(crate) cell: Arc<C>,
    reading: C::Reading,
    idle: u32,
}

impl<C: Cell> WatchedCell<C> {
    pub(crate) fn new(name: &str, labels: Labels, targets: Targets, cell: Arc<C>) -> Self {
        let reading = C::Reading::default();
        Self { name: name.to_owned(), labels, targets, cell, reading, idle: 0 }
    }
}

impl<C: Cell> Watched for WatchedCell<C> {
    fn take(&mut self, into: &mut Collected) {
        let taken = self.cell.take(&mut self.reading);
        self.idle = if matches!(taken, Taken::New(_)) { 0 } else { self.idle.saturating_add(1) };
        match taken {
            Taken::New(amount) | Taken::Standing(amount) => into.add(&self.targets, &amount),
            Taken::Nothing => {}
        }
    }

    fn resolution(&self) -> Resolution {
        resolution_of(&self.targets)
    }

    fn is_own(&self) -> bool {
        own_metrics::is_own(&self.name)
    }

    fn idle(&self) -> u32 {
        self.idle
    }

    fn forget(self: Box<Self>, registry: &Registry, into: &mut Collected) -> Forgotten {
        let Self { name, labels, targets, cell, mut reading, idle } = *self;
        match registry.forget(&name, &labels, cell) {
            // Nobody can reach it any more; what came since the look is in it.
            Ok(last) => {
                if let Taken::New(amount) = last.take(&mut reading) {
                    into.add(&targets, &amount);
                }
                Forgotten::Yes
            }
            Err(cell) => {
                Forgotten::StillHeld(Box::new(Self { name, labels, targets, cell, reading, idle }))
            }
        }
    }
}

fn resolution_of(targets: &Targets) -> Resolution {
    targets.first().map(|target| target.resolution).unwrap_or_default()
}

/// What the requests of one route, or of all without one, are published as.
#[derive(Clone, Debug)]
pub(crate) struct RequestTargets {
    pub(crate) count: Targets,
    pub(crate) errors: Targets,
    pub(crate) latency: Targets,
    pub(crate) in_flight: Targets,
}

/// When the figures of requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Never silent: zeros are sent too, as silence must mean that nobody reports.
    SendZeros,
    /// Only with requests ended or in flight.
    Keep,
}

/// The figures of requests.
#[derive(Debug)]
pub(crate) struct WatchedRequests {
    pub(crate) targets: RequestTargets,
    pub(crate) cell: Arc<RequestsCell>,
    pub(crate) silence: Silence,
    pub(crate) reading: RequestsReading,
}

impl Watched for WatchedRequests {
    fn take(&mut self, into: &mut Collected) {
        let window = self.reading.take(&self.cell);
        let quiet = window.requests == 0 && window.in_flight == 0;
        if quiet && self.silence == Silence::Keep {
            return;
        }
        into.add(&self.targets.count, &Amount::Sum(window.requests));
        into.add(&self.targets.errors, &Amount::Sum(window.errors));
        into.add(&self.targets.in_flight, &Amount::Sum(window.in_flight));
        into.add(&self.targets.latency, &Amount::Values(window.latency));
    }

    fn resolution(&self) -> Resolution {
        resolution_of(&self.targets.count)
    }

    // Routes are as many as the code has, or the cap: none is ever forgotten.
    fn idle(&self) -> u32 {
        0
    }

    fn forget(self: Box<Self>, _: &Registry, _: &mut Collected) -> Forgotten {
        Forgotten::StillHeld(self)
    }
}
