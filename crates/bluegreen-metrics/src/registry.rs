//! All series of a process. Registering takes a lock; recording never comes here.

use std::any::Any;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bluegreen_core::ServiceIdentity;

use crate::counter::CounterCell;
use crate::dimensions::{Labels, check_apart};
use crate::distribution::DistributionCell;
use crate::requests::{ERROR_COUNT, IN_FLIGHT, REQUEST_COUNT, REQUEST_LATENCY};
use crate::series::{Cell, SeriesId, Targets};
use crate::watched::{Watched, WatchedCell};
use crate::{DimensionSet, MetricsError, Resolution, Unit};

mod caps;
mod remembered;
mod routes;
mod sole;

pub(crate) use caps::Caps;
pub(crate) use routes::Routes;

use caps::Overflowing;
use remembered::Remembered;
use sole::take_sole;

#[derive(Debug)]
pub(crate) struct Registry {
    naming: Naming,
    caps: Caps,
    refused: Arc<CounterCell>,
    folded: Arc<CounterCell>,
    inner: Mutex<Inner>,
}

/// What a metric is published as, beside what its caller says.
#[derive(Debug)]
pub(crate) struct Naming {
    pub(crate) identity: ServiceIdentity,
    pub(crate) sets: Vec<DimensionSet>,
    pub(crate) resolution: Resolution,
    /// Of metrics that have another than the rest.
    pub(crate) resolutions: BTreeMap<String, Resolution>,
    /// Whether metrics and dimensions stand side by side under their names.
    pub(crate) for_logs: bool,
}

#[derive(Debug, Default)]
struct Inner {
    families: HashMap<String, Family>,
    units: HashMap<String, Unit>,
    /// Of requests, which are no family: each is published as four metrics.
    requests: Vec<Arc<SeriesId>>,
    routes: Option<Arc<Routes>>,
    remembered: Remembered,
    /// How many series count for the cap of all.
    counted: usize,
    /// Whether it was said that there are too many names.
    told: bool,
    /// Not yet picked up by the collector.
    new: Vec<Box<dyn Watched>>,
}

/// All series of one name.
#[derive(Debug)]
struct Family {
    kind: &'static str,
    unit: Arc<OnceLock<Unit>>,
    series: HashMap<Labels, Member>,
    /// What sets without labels make of all series together.
    totals: Vec<Arc<SeriesId>>,
    /// How many series count for the caps.
    counted: usize,
    /// Whether it was said that there are too many combinations of labels.
    told: bool,
}

#[derive(Debug)]
struct Member {
    cell: Arc<dyn Any + Send + Sync>,
    targets: Targets,
    counts: Counts,
}

/// Whether a series counts for the caps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    Yes,
    /// It takes what is too many, or is our own.
    No,
}

/// A metric of CloudWatch, and what is recorded for it.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) id: Arc<SeriesId>,
    kind: &'static str,
}

impl Published {
    pub(crate) fn is_distribution(&self) -> bool {
        self.kind == DistributionCell::KIND
    }
}

/// A series that was asked for, or the one it was folded into.
#[derive(Debug)]
pub(crate) struct Registered<C> {
    pub(crate) cell: Arc<C>,
    pub(crate) folded: bool,
}

impl Naming {
    pub(crate) fn resolution_of(&self, name: &str) -> Resolution {
        // What is told of a request goes together, by the name that can be chosen for.
        let of_requests = [ERROR_COUNT, REQUEST_LATENCY, IN_FLIGHT].contains(&name);
        let name = if of_requests { REQUEST_COUNT } else { name };
        self.resolutions.get(name).copied().unwrap_or(self.resolution)
    }
}

impl Registry {
    pub(crate) fn new(naming: Naming, caps: Caps) -> Self {
        let (refused, folded, inner) = Default::default();
        Self { naming, caps, refused, folded, inner }
    }

    /// The series of that name and labels, made if it is new.
    pub(crate) fn register<C: Cell>(
        &self,
        name: &str,
        unit: Option<Unit>,
        labels: Labels,
    ) -> Result<Registered<C>, MetricsError> {
        if self.naming.for_logs {
            check_apart(name, &labels)?;
        }
        let (registered, overflowing) = self.look_up(name, unit, labels)?;
        // Not with the lock held: who hears it may record.
        if let Some(overflowing) = overflowing {
            overflowing.tell(name, self.caps);
        }
        Ok(registered)
    }

    fn look_up<C: Cell>(
        &self,
        name: &str,
        unit: Option<Unit>,
        labels: Labels,
    ) -> Result<(Registered<C>, Option<Overflowing>), MetricsError> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let full = inner.counted >= self.caps.in_all;
        let Some(family) = inner.families.get(name) else {
            if full {
                return Ok(self.fold_name(inner));
            }
            let cell = self.add_or_resume(inner, name, unit, labels, Counts::Yes);
            return Ok((Registered { cell, folded: false }, None));
        };
        family.check(name, C::KIND, unit)?;
        if let Some(cell) = family.get(&labels) {
            return Ok((Registered { cell, folded: false }, None));
        }
        let full = full || family.counted >= self.caps.of_metric;
        if full && !labels.is_empty() {
            return Ok(self.fold_labels(inner, name, &labels));
        }
        let cell = self.add_or_resume(inner, name, unit, labels, Counts::Yes);
        Ok((Registered { cell, folded: false }, None))
    }

    fn fold_labels<C: Cell>(
        &self,
        inner: &mut Inner,
        name: &str,
        labels: &Labels,
    ) -> (Registered<C>, Option<Overflowing>) {
        self.folded.added.add(1);
        let mut overflowing = None;
        let mut into = labels.folded();
        if let Some(family) = inner.families.get_mut(name) {
            if !std::mem::replace(&mut family.told, true) {
                let label = family.runaway_label(labels).to_owned();
                overflowing = Some(Overflowing::Labels { label });
            }
            let shapes = family.series.len() - family.counted;
            into = caps::folded(labels, |labels| family.series.contains_key(labels), shapes);
        }
        let cell = self.get_or_add(inner, name, None, into, Counts::No);
        (Registered { cell, folded: true }, overflowing)
    }

    /// The metric that takes what has too many names.
    fn fold_name<C: Cell>(&self, inner: &mut Inner) -> (Registered<C>, Option<Overflowing>) {
        self.folded.added.add(1);
        let first = !std::mem::replace(&mut inner.told, true);
        let none = Some(Unit::None);
        let cell = self.get_or_add(inner, C::OVERFLOW, none, Labels::default(), Counts::No);
        (Registered { cell, folded: true }, first.then_some(Overflowing::Names))
    }

    fn get_or_add<C: Cell>(
        &self,
        inner: &mut Inner,
        name: &str,
        unit: Option<Unit>,
        labels: Labels,
        counts: Counts,
    ) -> Arc<C> {
        let known = inner.families.get(name).and_then(|family| family.get(&labels));
        known.unwrap_or_else(|| self.add_or_resume(inner, name, unit, labels, counts))
    }

    /// A new series, which goes on from what a forgotten one left.
    fn add_or_resume<C: Cell>(
        &self,
        inner: &mut Inner,
        name: &str,
        unit: Option<Unit>,
        labels: Labels,
        counts: Counts,
    ) -> Arc<C> {
        let cell = match inner.remembered.take(C::KIND, name, &labels) {
            Some(left) => C::resume(&self.refused, left),
            None => C::make(&self.refused),
        };
        self.add(inner, name, unit, labels, Arc::new(cell), counts)
    }

    /// Publishes a count of our own, to which no cap applies.
    pub(crate) fn adopt(&self, name: &str, labels: Labels, cell: &Arc<CounterCell>) {
        let (mut inner, cell) = (self.lock(), Arc::clone(cell));
        self.add(&mut inner, name, Some(Unit::Count), labels, cell, Counts::No);
    }

    fn add<C: Cell>(
        &self,
        inner: &mut Inner,
        name: &str,
        unit: Option<Unit>,
        labels: Labels,
        cell: Arc<C>,
        counts: Counts,
    ) -> Arc<C> {
        let Inner { families, units, new, counted, .. } = inner;
        let family = families
            .entry(name.to_owned())
            .or_insert_with(|| Family::new(C::KIND, unit.or_else(|| units.get(name).copied())));
        let targets = self.targets(name, &labels, &family.unit, &mut family.totals, &[]);
        let (same, kept) = (Arc::clone(&cell), Arc::clone(&targets));
        family.series.insert(labels.clone(), Member { cell: same, targets: kept, counts });
        if counts == Counts::Yes {
            family.counted += 1;
            *counted += 1;
        }
        new.push(Box::new(WatchedCell::new(name, labels, targets, Arc::clone(&cell))));
        cell
    }

    /// The metrics that a series is published as. Those of sets without labels are shared with all
    /// series of its name.
    fn targets(
        &self,
        name: &str,
        labels: &Labels,
        unit: &Arc<OnceLock<Unit>>,
        totals: &mut Vec<Arc<SeriesId>>,
        further: &[DimensionSet],
    ) -> Targets {
        let mut targets: Vec<Arc<SeriesId>> = Vec::new();
        for set in self.naming.sets.iter().chain(further) {
            let dimensions = set.dimensions(&self.naming.identity, labels);
            if targets.iter().any(|target| target.dimensions == dimensions) {
                continue;
            }
            if let Some(total) = totals.iter().find(|total| total.dimensions == dimensions) {
                targets.push(Arc::clone(total));
                continue;
            }
            let is_total = dimensions == set.dimensions(&self.naming.identity, &Labels::default());
            let resolution = self.naming.resolution_of(name);
            let target = Arc::new(SeriesId::new(name, dimensions, resolution, Arc::clone(unit)));
            if is_total {
                totals.push(Arc::clone(&target));
            }
            targets.push(target);
        }
        targets.into()
    }

    /// Takes a series out that nobody but the caller holds; gives it back when somebody does.
    pub(crate) fn forget<C: Cell>(
        &self,
        name: &str,
        labels: &Labels,
        cell: Arc<C>,
    ) -> Result<C, Arc<C>> {
        // A cheap look before: the registry's own, and the caller's.
        if Arc::strong_count(&cell) > 2 { Err(cell) } else { self.take_out(name, labels, cell) }
    }

    fn take_out<C: Cell>(&self, name: &str, labels: &Labels, cell: Arc<C>) -> Result<C, Arc<C>> {
        let mut inner = self.lock();
        let Inner { families, remembered, counted, .. } = &mut *inner;
        let Some(family) = families.get_mut(name) else { return Err(cell) };
        let let_go = |Member { cell, targets, counts }: Member| {
            drop(cell);
            (targets, counts)
        };
        let hold_again = |cell: Arc<C>, (targets, counts)| Member { cell, targets, counts };
        let (cell, (_, counts)) = take_sole(&mut family.series, labels, cell, let_go, hold_again)?;
        if let Some(left) = cell.left() {
            remembered.keep(C::KIND, name, labels, left);
        }
        if counts == Counts::Yes {
            family.counted -= 1;
            *counted -= 1;
        }
        if family.series.is_empty() {
            families.remove(name);
        }
        Ok(cell)
    }

    /// Names the unit of a metric that is registered without one, now or later.
    pub(crate) fn describe(&self, name: &str, unit: Unit) {
        let mut inner = self.lock();
        if let Some(family) = inner.families.get(name) {
            // The first unit stays: data in two units would be two metrics.
            let _ = family.unit.set(unit);
        }
        // Names have no end either.
        if inner.units.len() < self.caps.in_all {
            inner.units.entry(name.to_owned()).or_insert(unit);
        }
    }

    /// The series that came since the last call.
    pub(crate) fn take_new(&self) -> Vec<Box<dyn Watched>> {
        std::mem::take(&mut self.lock().new)
    }

    /// All that is published, each metric of CloudWatch once.
    pub(crate) fn published(&self) -> Vec<Published> {
        let inner = self.lock();
        let of_family = |family: &Family| {
            let kind = family.kind;
            let targets = family.series.values().flat_map(|member| member.targets.iter());
            targets.map(move |id| Published { id: Arc::clone(id), kind }).collect::<Vec<_>>()
        };
        let families = inner.families.values().flat_map(of_family);
        let requests = inner.requests.iter().map(|id| Published {
            id: Arc::clone(id),
            kind: if id.name == REQUEST_LATENCY {
                DistributionCell::KIND
            } else {
                CounterCell::KIND
            },
        });
        let mut seen = HashSet::new();
        families.chain(requests).filter(|one| seen.insert(Arc::as_ptr(&one.id).addr())).collect()
    }

    /// Records refused for their value.
    pub(crate) fn refused(&self) -> &Arc<CounterCell> {
        &self.refused
    }

    /// How often a series was folded into the overflow.
    pub(crate) fn folded(&self) -> &Arc<CounterCell> {
        &self.folded
    }

    // Nothing below panics half way; if it did, the maps would still be whole.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Family {
    fn new(kind: &'static str, unit: Option<Unit>) -> Self {
        let unit = Arc::new(unit.map_or_else(OnceLock::new, OnceLock::from));
        let (series, totals) = Default::default();
        Self { kind, unit, series, totals, counted: 0, told: false }
    }

    fn get<C: Cell>(&self, labels: &Labels) -> Option<Arc<C>> {
        let member = self.series.get(labels)?;
        // All of a family are of its kind.
        Arc::clone(&member.cell).downcast().ok()
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

    /// The label that made the metric too many series: of those asked for the one with the most
    /// values, and of two the one that fewer series have, as where the names themselves vary.
    fn runaway_label<'a>(&self, asked: &'a Labels) -> &'a str {
        let variety = |(name, asked): &(String, String)| {
            let all = self.series.keys().flat_map(Labels::iter);
            let same_name = all.filter(|(own, _)| own == name);
            let values: Vec<_> = same_name.map(|(_, value)| value).collect();
            let distinct: HashSet<_> = values.iter().copied().chain([asked]).collect();
            (distinct.len(), Reverse(values.len()))
        };
        let most = asked.iter().max_by_key(|label| variety(label));
        most.map_or("", |(name, _)| name)
    }
}

fn conflict(metric: &str, registered: &'static str, wanted: &'static str) -> MetricsError {
    MetricsError::Conflict { metric: metric.to_owned(), registered, wanted }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::{caps, naming};
