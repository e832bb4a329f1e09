//! All series of a process. Registering takes a lock; recording never comes here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::counter::CounterCell;
use crate::dimensions::{Dimension, Labels};
use crate::distribution::DistributionCell;
use crate::gauge::GaugeCell;
use crate::requests::{ERROR_COUNT, IN_FLIGHT, REQUEST_COUNT, REQUEST_LATENCY, RequestsCell};
use crate::{MetricsError, Unit};

#[derive(Debug)]
pub(crate) struct Registry {
    fixed: Vec<Dimension>,
    max_series: usize,
    refused: Arc<AtomicU64>,
    folded: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    families: HashMap<String, Family>,
    units: HashMap<String, Unit>,
    requests: Option<Arc<RequestsCell>>,
    sources: Vec<Source>,
}

/// All series of one name.
#[derive(Debug)]
struct Family {
    kind: &'static str,
    unit: Arc<OnceLock<Unit>>,
    series: HashMap<Labels, Instrument>,
    warned: bool,
}

/// Name, unit and dimensions of a series.
#[derive(Debug)]
pub(crate) struct SeriesId {
    pub(crate) name: String,
    pub(crate) dimensions: Vec<Dimension>,
    unit: Arc<OnceLock<Unit>>,
}

impl SeriesId {
    pub(crate) fn unit(&self) -> Unit {
        self.unit.get().copied().unwrap_or_default()
    }
}

/// What a series is recorded in.
#[derive(Clone, Debug)]
pub(crate) enum Instrument {
    Counter(Arc<CounterCell>),
    Gauge(Arc<GaugeCell>),
    Distribution(Arc<DistributionCell>),
}

/// What the collector looks at.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    One(Arc<SeriesId>, Instrument),
    Requests(Arc<RequestIds>, Arc<RequestsCell>),
}

/// The series that requests make.
#[derive(Debug)]
pub(crate) struct RequestIds {
    pub(crate) count: Arc<SeriesId>,
    pub(crate) errors: Arc<SeriesId>,
    pub(crate) latency: Arc<SeriesId>,
    pub(crate) in_flight: Arc<SeriesId>,
}

/// A kind of series.
pub(crate) trait Cell: Sized {
    const KIND: &'static str;
    fn make(refused: &Arc<AtomicU64>) -> Self;
    fn into_instrument(cell: Arc<Self>) -> Instrument;
    fn of(instrument: &Instrument) -> Option<Arc<Self>>;
}

/// A series that was asked for, or the one it was folded into.
#[derive(Debug)]
pub(crate) struct Registered<C> {
    pub(crate) cell: Arc<C>,
    pub(crate) folded: bool,
}

impl Registry {
    pub(crate) fn new(fixed: Vec<Dimension>, max_series: usize) -> Self {
        Self {
            fixed,
            max_series,
            refused: Arc::default(),
            folded: AtomicU64::new(0),
            inner: Mutex::default(),
        }
    }

    /// The series of that name and labels, made if it is new.
    pub(crate) fn register<C: Cell>(
        &self,
        name: &str,
        unit: Option<Unit>,
        labels: Labels,
    ) -> Result<Registered<C>, MetricsError> {
        let mut inner = self.lock();
        let Inner { families, units, sources, .. } = &mut *inner;
        if !families.contains_key(name) {
            families.insert(name.to_owned(), Family::new(C::KIND, units.get(name).copied()));
        }
        let Some(family) = families.get_mut(name) else {
            return Err(conflict(name, C::KIND, C::KIND));
        };
        family.check(name, C::KIND, unit)?;
        if let Some(cell) = family.get(&labels) {
            return Ok(Registered { cell, folded: false });
        }
        let folded = !labels.is_empty() && family.series.len() >= self.max_series;
        let labels = if folded { self.fold(name, family, &labels) } else { labels };
        if let Some(cell) = family.get(&labels) {
            return Ok(Registered { cell, folded });
        }
        let cell = Arc::new(C::make(&self.refused));
        let instrument = C::into_instrument(Arc::clone(&cell));
        let dimensions = self.fixed.iter().chain(labels.iter()).cloned().collect();
        let id = SeriesId { name: name.to_owned(), dimensions, unit: Arc::clone(&family.unit) };
        family.series.insert(labels, instrument.clone());
        sources.push(Source::One(Arc::new(id), instrument));
        Ok(Registered { cell, folded })
    }

    fn fold(&self, name: &str, family: &mut Family, labels: &Labels) -> Labels {
        self.folded.fetch_add(1, Ordering::Relaxed);
        if !std::mem::replace(&mut family.warned, true) {
            let label = family.most_various_label().unwrap_or_default();
            tracing::warn!(
                metric = name,
                label,
                max_series = self.max_series,
                "a metric has too many combinations of labels: further ones go into one series"
            );
        }
        labels.folded()
    }

    /// Names the unit of a metric that is registered without one, now or later.
    pub(crate) fn describe(&self, name: &str, unit: Unit) {
        let mut inner = self.lock();
        if let Some(family) = inner.families.get(name) {
            // The first unit stays: data in two units would be two metrics.
            let _ = family.unit.set(unit);
        }
        inner.units.entry(name.to_owned()).or_insert(unit);
    }

    /// The figures of requests, one set in a process.
    pub(crate) fn requests(&self) -> Arc<RequestsCell> {
        let mut inner = self.lock();
        if let Some(cell) = &inner.requests {
            return Arc::clone(cell);
        }
        let cell = Arc::new(RequestsCell::new(&self.refused));
        let id = |name: &str, unit| {
            let unit = Arc::new(OnceLock::from(unit));
            Arc::new(SeriesId { name: name.to_owned(), dimensions: self.fixed.clone(), unit })
        };
        let ids = RequestIds {
            count: id(REQUEST_COUNT, Unit::Count),
            errors: id(ERROR_COUNT, Unit::Count),
            latency: id(REQUEST_LATENCY, Unit::Milliseconds),
            in_flight: id(IN_FLIGHT, Unit::Count),
        };
        inner.sources.push(Source::Requests(Arc::new(ids), Arc::clone(&cell)));
        inner.requests = Some(Arc::clone(&cell));
        cell
    }

    /// The sources after the first `known`; they are never taken away or reordered.
    pub(crate) fn sources_from(&self, known: usize) -> Vec<Source> {
        self.lock().sources.get(known..).unwrap_or_default().to_vec()
    }

    /// Records refused for their value.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How often a series was folded into the overflow.
    pub(crate) fn folded(&self) -> u64 {
        self.folded.load(Ordering::Relaxed)
    }

    // Nothing below panics half way; if it did, the maps would still be whole.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Family {
    fn new(kind: &'static str, unit: Option<Unit>) -> Self {
        let unit = Arc::new(unit.map_or_else(OnceLock::new, OnceLock::from));
        Self { kind, unit, series: HashMap::new(), warned: false }
    }

    fn get<C: Cell>(&self, labels: &Labels) -> Option<Arc<C>> {
        self.series.get(labels).and_then(C::of)
    }

    fn check(
        &self,
        name: &str,
        kind: &'static str,
        unit: Option<Unit>,
    ) -> Result<(), MetricsError> {
        if self.kind != kind {
            return Err(conflict(name, self.kind, kind));
        }
        let Some(unit) = unit else { return Ok(()) };
        let registered = *self.unit.get_or_init(|| unit);
        if registered == unit {
            Ok(())
        } else {
            Err(conflict(name, registered.as_str(), unit.as_str()))
        }
    }

    /// The label with the most different values: the one that ran away.
    fn most_various_label(&self) -> Option<&str> {
        let mut values: HashMap<&str, std::collections::HashSet<&str>> = HashMap::new();
        for (name, value) in self.series.keys().flat_map(Labels::iter) {
            values.entry(name).or_default().insert(value);
        }
        values.into_iter().max_by_key(|(_, values)| values.len()).map(|(name, _)| name)
    }
}

fn conflict(metric: &str, registered: &'static str, wanted: &'static str) -> MetricsError {
    MetricsError::Conflict { metric: metric.to_owned(), registered, wanted }
}

macro_rules! cell {
    ($cell:ty, $variant:ident, $kind:literal, $make:expr) => {
        impl Cell for $cell {
            const KIND: &'static str = $kind;

            fn make(refused: &Arc<AtomicU64>) -> Self {
                let make: fn(&Arc<AtomicU64>) -> Self = $make;
                make(refused)
            }

            fn into_instrument(cell: Arc<Self>) -> Instrument {
                Instrument::$variant(cell)
            }

            fn of(instrument: &Instrument) -> Option<Arc<Self>> {
                match instrument {
                    Instrument::$variant(cell) => Some(Arc::clone(cell)),
                    _ => None,
                }
            }
        }
    };
}

cell!(CounterCell, Counter, "a counter", |_| Self::default());
cell!(GaugeCell, Gauge, "a gauge", |refused| Self::new(Arc::clone(refused)));
cell!(DistributionCell, Distribution, "a distribution", |refused| Self::new(Arc::clone(refused)));

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(max_series: usize) -> Registry {
        Registry::new(vec![("Environment".to_owned(), "blue".to_owned())], max_series)
    }

    fn labels(value: &str) -> Labels {
        Labels::checked("m", &[("route", value)]).unwrap()
    }

    #[test]
    fn the_same_name_and_labels_are_the_same_series() {
        let registry = registry(10);
        let counter = || registry.register::<CounterCell>("m", Some(Unit::Count), labels("a"));
        assert!(Arc::ptr_eq(&counter().unwrap().cell, &counter().unwrap().cell));
        let other = registry.register::<CounterCell>("m", Some(Unit::Count), labels("b")).unwrap();
        assert!(!Arc::ptr_eq(&counter().unwrap().cell, &other.cell));
        assert_eq!(registry.sources_from(0).len(), 2);
        assert_eq!(registry.sources_from(1).len(), 1);
        assert_eq!(registry.sources_from(9).len(), 0);
    }

    #[test]
    fn another_kind_or_unit_of_one_name_is_a_conflict() {
        let registry = registry(10);
        registry.register::<CounterCell>("m", Some(Unit::Count), Labels::default()).unwrap();
        let kind = registry.register::<GaugeCell>("m", None, Labels::default()).unwrap_err();
        assert_eq!(kind.to_string(), "the metric \"m\" is a counter already and cannot be a gauge");
        let unit = registry.register::<CounterCell>("m", Some(Unit::Bytes), labels("a"));
        let unit = unit.unwrap_err().to_string();
        assert_eq!(unit, "the metric \"m\" is Count already and cannot be Bytes");
    }

    #[test]
    fn twenty_thousand_label_values_make_no_more_series_than_allowed() {
        let registry = registry(100);
        for value in 0..20_000 {
            let labels = labels(&value.to_string());
            let made = registry.register::<CounterCell>("m", None, labels).unwrap();
            assert_eq!(made.folded, value >= 100);
            made.cell.added.add(1);
        }
        let sources = registry.sources_from(0);
        assert_eq!(sources.len(), 101);
        assert_eq!(registry.folded(), 19_900);
        let Some(Source::One(id, Instrument::Counter(cell))) = sources.last() else { panic!() };
        assert_eq!(id.dimensions.last().unwrap().1, "overflow");
        assert_eq!(cell.total(), 19_900);
    }

    #[test]
    fn a_description_gives_its_unit_to_labeled_series_before_and_after() {
        let registry = registry(10);
        registry.register::<DistributionCell>("early", None, labels("a")).unwrap();
        registry.describe("early", Unit::Seconds);
        registry.describe("late", Unit::Bytes);
        registry.register::<DistributionCell>("late", None, labels("a")).unwrap();
        let units: Vec<_> = registry
            .sources_from(0)
            .iter()
            .map(|source| match source {
                Source::One(id, _) => id.unit(),
                Source::Requests(..) => Unit::None,
            })
            .collect();
        assert_eq!(units, [Unit::Seconds, Unit::Bytes]);
    }
}
