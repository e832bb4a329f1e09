//! Turns what was recorded into points, window after window.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::Resolution;
use crate::amount::Amount;
use crate::point::Point;
use crate::registry::Registry;
use crate::series::{SeriesId, Targets};
use crate::watched::{Forgotten, Watched};
use crate::window::start_of;

/// The single reader of all series.
///
/// It looks once at the end of each window, of a minute or a second as the metric has it. What is
/// recorded between the end of a window and the look counts for that window: the error is as long
/// as the look is late, milliseconds on a machine that is not starved.
#[derive(Debug)]
pub(crate) struct Collector {
    registry: Arc<Registry>,
    idle_ttl: Duration,
    values_per_point: usize,
    /// One for each resolution in use.
    rounds: Vec<Round>,
}

/// The series of one resolution.
#[derive(Debug)]
struct Round {
    resolution: Resolution,
    /// The start of the window that is being recorded.
    start: SystemTime,
    watched: Vec<Box<dyn Watched>>,
}

/// What a window brought, by metric.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    amounts: Vec<(Arc<SeriesId>, Amount)>,
    places: HashMap<usize, usize>,
}

/// Windows that are over.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The start of the first of them.
    pub(crate) start: SystemTime,
    pub(crate) points: Vec<Point>,
}

impl Collector {
    pub(crate) fn new(
        registry: Arc<Registry>,
        resolutions: impl IntoIterator<Item = Resolution>,
        idle_ttl: Duration,
        values_per_point: usize,
        now: SystemTime,
    ) -> Self {
        let round = |resolution: Resolution| Round {
            resolution,
            start: start_of(now, resolution.window()),
            watched: Vec::new(),
        };
        let rounds = resolutions.into_iter().map(round).collect();
        Self { registry, idle_ttl, values_per_point, rounds }
    }

    /// How long the next window's end is away; never longer than a window, as a clock that was set
    /// back must not stop the collection.
    pub(crate) fn until_next(&self, now: SystemTime) -> Duration {
        let waits = self.rounds.iter().map(|round| {
            let window = round.resolution.window();
            (round.start + window).duration_since(now).unwrap_or(Duration::ZERO).min(window)
        });
        waits.min().unwrap_or(Duration::MAX)
    }

    /// The points of windows that are over; a clock that was set back ends them, too.
    pub(crate) fn collect_due(&mut self, now: SystemTime) -> Option<Ended> {
        self.collect_where(now, |round| {
            !(round.start..round.start + round.resolution.window()).contains(&now)
        })
    }

    /// The points of the windows so far; the next ones are those that hold `now`.
    pub(crate) fn collect(&mut self, now: SystemTime) -> Vec<Point> {
        self.collect_where(now, |_| true).map(|ended| ended.points).unwrap_or_default()
    }

    /// What came of the metrics about the metrics since the window now in progress began, and of no
    /// others.
    pub(crate) fn collect_own(&mut self) -> Vec<Point> {
        let mut points = Vec::new();
        for round in &mut self.rounds {
            let mut collected = Collected::default();
            for own in round.watched.iter_mut().filter(|watched| watched.is_own()) {
                own.take(&mut collected);
            }
            points.extend(collected.into_points(round.start, self.values_per_point));
        }
        points
    }

    fn collect_where(&mut self, now: SystemTime, due: impl Fn(&Round) -> bool) -> Option<Ended> {
        if !self.rounds.iter().any(&due) {
            return None;
        }
        for new in self.registry.take_new() {
            // Every resolution that a metric can have has its round.
            let mut rounds = self.rounds.iter_mut();
            if let Some(round) = rounds.find(|round| round.resolution == new.resolution()) {
                round.watched.push(new);
            }
        }
        let mut ended = Ended { start: now, points: Vec::new() };
        for round in self.rounds.iter_mut().filter(|round| due(round)) {
            ended.start = ended.start.min(round.start);
            let start = round.start;
            let collected = round.collect(&self.registry, self.idle_ttl, now);
            ended.points.extend(collected.into_points(start, self.values_per_point));
        }
        Some(ended)
    }
}

impl Round {
    fn collect(&mut self, registry: &Registry, idle_ttl: Duration, now: SystemTime) -> Collected {
        let window = self.resolution.window();
        let idle_limit = idle_ttl.as_secs().div_ceil(window.as_secs());
        let idle_limit = u32::try_from(idle_limit).unwrap_or(u32::MAX);
        let mut collected = Collected::default();
        for watched in &mut self.watched {
            watched.take(&mut collected);
        }
        let idle: Vec<_> =
            self.watched.extract_if(.., |watched| watched.idle() >= idle_limit).collect();
        for watched in idle {
            if let Forgotten::StillHeld(watched) = watched.forget(registry, &mut collected) {
                self.watched.push(watched);
            }
        }
        self.start = start_of(now, window);
        collected
    }
}

impl Collected {
    /// Adds to each of the metrics.
    pub(crate) fn add(&mut self, targets: &Targets, amount: &Amount) {
        for target in targets.iter() {
            let next = self.amounts.len();
            let place = *self.places.entry(Arc::as_ptr(target).addr()).or_insert(next);
            match self.amounts.get_mut(place) {
                Some((_, joined)) => {
                    let so_far = std::mem::replace(joined, Amount::Sum(0));
                    *joined = so_far.join(amount.clone());
                }
                None => self.amounts.push((Arc::clone(target), amount.clone())),
            }
        }
    }

    fn into_points(self, start: SystemTime, values_per_point: usize) -> Vec<Point> {
        let points = |(id, amount): (Arc<SeriesId>, Amount)| {
            Point::many(&id, start, &amount.values(), values_per_point).collect::<Vec<_>>()
        };
        self.amounts.into_iter().flat_map(points).collect()
    }
}

#[cfg(test)]
mod tests;
