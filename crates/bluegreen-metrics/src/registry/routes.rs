//! The requests of each route.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, OnceLock};

use arc_swap::ArcSwap;

use super::caps::Overflowing;
use super::{Inner, Registry};
use crate::dimensions::{Labels, adapt_value};
use crate::requests::{
    ERROR_COUNT, IN_FLIGHT, REQUEST_COUNT, REQUEST_LATENCY, RequestsCell, RequestsReading,
};
use crate::series::Targets;
use crate::watched::{RequestTargets, Silence, WatchedRequests};
use crate::{DimensionSet, Unit};

/// The label that tells routes apart.
pub(super) const ROUTE: &str = "Route";
/// What it says of requests without a route.
const UNMATCHED: &str = "unmatched";
/// What it says of routes beyond the cap.
const OVERFLOW: &str = "overflow";
/// How many metrics a route is published as.
const METRICS: usize = 4;

/// Looked up without a lock; a new route copies the table.
#[derive(Debug)]
pub(crate) struct Routes {
    /// Of layers that tell no routes apart; its zeros are the color's sign of life.
    all: Arc<RequestsCell>,
    /// By the route as CloudWatch has it: of two that are one there each would count for the caps.
    by_route: ArcSwap<HashMap<Box<str>, Arc<RequestsCell>>>,
    overflow: OnceLock<Arc<RequestsCell>>,
}

impl Routes {
    /// The requests of a layer without routes.
    pub(crate) fn all(&self) -> &Arc<RequestsCell> {
        &self.all
    }

    /// The requests of one route.
    pub(crate) fn of(&self, route: Option<&str>, registry: &Registry) -> Arc<RequestsCell> {
        let written = route.unwrap_or(UNMATCHED);
        if let Some(cell) = self.by_route.load().get(written) {
            return Arc::clone(cell);
        }
        let name = &*adapt_value(written);
        if let Some(cell) = self.by_route.load().get(name) {
            return Arc::clone(cell);
        }
        // Routes are never forgotten: once some were too many, all further ones are.
        if let (Some(_), Some(overflow)) = (route, self.overflow.get()) {
            registry.folded.added.add(1);
            return Arc::clone(overflow);
        }
        self.add(name, route.is_some(), registry)
    }

    #[cold]
    fn add(&self, name: &str, is_route: bool, registry: &Registry) -> Arc<RequestsCell> {
        let mut inner = registry.lock();
        // Another thread may have come first, with this route or with the last that fits.
        let known = self.by_route.load_full();
        if let Some(cell) = known.get(name) {
            return Arc::clone(cell);
        }
        let caps = registry.caps;
        let full = known.len() >= caps.of_metric || inner.counted >= caps.in_all;
        // Requests without a route are one series, so that it cannot be one too many.
        if full && is_route {
            return self.overflow(name, inner, registry);
        }
        inner.counted += METRICS;
        let cell = registry.watch_requests(&mut inner, &Labels::one(ROUTE, name), Silence::Keep);
        let mut more = HashMap::clone(&known);
        more.insert(name.into(), Arc::clone(&cell));
        self.by_route.store(Arc::new(more));
        cell
    }

    fn overflow(
        &self,
        first: &str,
        mut inner: MutexGuard<'_, Inner>,
        registry: &Registry,
    ) -> Arc<RequestsCell> {
        registry.folded.added.add(1);
        if let Some(overflow) = self.overflow.get() {
            return Arc::clone(overflow);
        }
        let labels = Labels::one(ROUTE, OVERFLOW);
        let overflow = registry.watch_requests(&mut inner, &labels, Silence::Keep);
        // Set nowhere else, and here with the lock held.
        let overflow = Arc::clone(self.overflow.get_or_init(|| overflow));
        drop(inner);
        Overflowing::Routes.tell(first, registry.caps);
        overflow
    }
}

impl Registry {
    /// The figures of requests, one set in a process.
    pub(crate) fn routes(&self) -> Arc<Routes> {
        let mut inner = self.lock();
        if let Some(routes) = &inner.routes {
            return Arc::clone(routes);
        }
        let all = self.watch_requests(&mut inner, &Labels::default(), Silence::SendZeros);
        let (by_route, overflow) = Default::default();
        let routes = Arc::new(Routes { all, by_route, overflow });
        inner.routes = Some(Arc::clone(&routes));
        routes
    }

    fn watch_requests(
        &self,
        inner: &mut Inner,
        labels: &Labels,
        silence: Silence,
    ) -> Arc<RequestsCell> {
        let cell = Arc::new(RequestsCell::new(&self.refused));
        let mut targets = |name: &str, unit| {
            let unit = Arc::new(OnceLock::from(unit));
            let known = inner.requests.iter().filter(|id| id.name == name);
            let mut totals = known.cloned().collect();
            // The color as a whole is what a reader reads, whatever is declared.
            let color = [DimensionSet::color()];
            let targets: Targets = self.targets(name, labels, &unit, &mut totals, &color);
            let is_known = |id: &Arc<_>| inner.requests.iter().any(|known| Arc::ptr_eq(known, id));
            let new: Vec<_> = targets.iter().filter(|id| !is_known(id)).cloned().collect();
            inner.requests.extend(new);
            targets
        };
        let targets = RequestTargets {
            count: targets(REQUEST_COUNT, Unit::Count),
            errors: targets(ERROR_COUNT, Unit::Count),
            latency: targets(REQUEST_LATENCY, Unit::Milliseconds),
            in_flight: targets(IN_FLIGHT, Unit::Count),
        };
        let (watched, reading) = (Arc::clone(&cell), RequestsReading::default());
        inner.new.push(Box::new(WatchedRequests { targets, cell: watched, silence, reading }));
        cell
    }
}
