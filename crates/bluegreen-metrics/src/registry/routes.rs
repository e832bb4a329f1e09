//! The requests of each route.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use super::Registry;
use crate::dimensions::Labels;
use crate::requests::{
    ERROR_COUNT, IN_FLIGHT, REQUEST_COUNT, REQUEST_LATENCY, RequestsCell, RequestsReading,
};
use crate::series::Targets;
use crate::watched::{RequestTargets, Silence, WatchedRequests};
use crate::{DimensionSet, Unit};

/// The label that tells routes apart.
const ROUTE: &str = "Route";
/// What it says of requests without a route.
const UNMATCHED: &str = "unmatched";
/// What it says of routes beyond the cap.
const OVERFLOW: &str = "overflow";

/// Looked up without a lock; a new route copies the table.
#[derive(Debug)]
pub(crate) struct Routes {
    /// Of layers that tell no routes apart; its zeros are the color's sign of life.
    all: Arc<RequestsCell>,
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
        let known = self.by_route.load();
        if let Some(cell) = known.get(route.unwrap_or(UNMATCHED)) {
            return Arc::clone(cell);
        }
        // Nothing is kept of what is beyond the cap: its number has no bound.
        match route {
            Some(route) if known.len() >= registry.max_series => self.overflow(route, registry),
            route => self.add(route.unwrap_or(UNMATCHED), registry),
        }
    }

    #[cold]
    fn add(&self, route: &str, registry: &Registry) -> Arc<RequestsCell> {
        let mut inner = registry.lock();
        // Another thread may have come first.
        let known = self.by_route.load_full();
        if let Some(cell) = known.get(route) {
            return Arc::clone(cell);
        }
        let cell = registry.watch_requests(&mut inner, &Labels::one(ROUTE, route), Silence::Keep);
        let mut more = HashMap::clone(&known);
        more.insert(route.into(), Arc::clone(&cell));
        self.by_route.store(Arc::new(more));
        cell
    }

    fn overflow(&self, route: &str, registry: &Registry) -> Arc<RequestsCell> {
        registry.folded.added.add(1);
        let overflow = self.overflow.get_or_init(|| {
            tracing::warn!(
                label = ROUTE,
                first = route,
                max_series = registry.max_series,
                "there are too many routes: further ones go into one series"
            );
            let mut inner = registry.lock();
            registry.watch_requests(&mut inner, &Labels::one(ROUTE, OVERFLOW), Silence::Keep)
        });
        Arc::clone(overflow)
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
        inner: &mut super::Inner,
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
