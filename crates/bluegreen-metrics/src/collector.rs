//! Turns what was recorded into points, window after window.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::counter::CounterCell;
use crate::distribution::{DistributionCell, Reading};
use crate::gauge::GaugeCell;
use crate::point::Point;
use crate::registry::{Instrument, Registry, RequestIds, SeriesId, Source};
use crate::requests::{RequestsCell, RequestsReading};
use crate::window::start_of;

/// The single reader of all series.
///
/// It looks once, at the end of each window. What is recorded between the end of a window and the
/// look counts for that window: the error is as long as the look is late, milliseconds on a machine
/// that is not starved.
#[derive(Debug)]
pub(crate) struct Collector {
    registry: Arc<Registry>,
    length: Duration,
    /// The start of the window that is being recorded.
    start: SystemTime,
    watched: Vec<Watched>,
}

/// A source and what was already taken from it.
#[derive(Debug)]
enum Watched {
    Counter { id: Arc<SeriesId>, cell: Arc<CounterCell>, taken: u64 },
    Gauge { id: Arc<SeriesId>, cell: Arc<GaugeCell> },
    Distribution { id: Arc<SeriesId>, cell: Arc<DistributionCell>, reading: Reading },
    Requests { ids: Arc<RequestIds>, cell: Arc<RequestsCell>, reading: RequestsReading },
}

impl Collector {
    pub(crate) fn new(registry: Arc<Registry>, length: Duration, now: SystemTime) -> Self {
        Self { registry, length, start: start_of(now, length), watched: Vec::new() }
    }

    /// The start of the window that is being recorded.
    pub(crate) fn start(&self) -> SystemTime {
        self.start
    }

    /// The window's points, once it is over; a clock that was set back ends it, too.
    pub(crate) fn collect_due(&mut self, now: SystemTime) -> Option<Vec<Point>> {
        let running = (self.start..self.start + self.length).contains(&now);
        (!running).then(|| self.collect(now))
    }

    /// The points of the window so far; the next window is the one that holds `now`.
    pub(crate) fn collect(&mut self, now: SystemTime) -> Vec<Point> {
        let new = self.registry.sources_from(self.watched.len());
        self.watched.extend(new.into_iter().map(Watched::from));
        let mut points = Vec::new();
        for watched in &mut self.watched {
            watched.take(self.start, &mut points);
        }
        self.start = start_of(now, self.length);
        points
    }
}

impl From<Source> for Watched {
    fn from(source: Source) -> Self {
        match source {
            Source::One(id, Instrument::Counter(cell)) => Self::Counter { id, cell, taken: 0 },
            Source::One(id, Instrument::Gauge(cell)) => Self::Gauge { id, cell },
            Source::One(id, Instrument::Distribution(cell)) => {
                Self::Distribution { id, cell, reading: Reading::default() }
            }
            Source::Requests(ids, cell) => {
                Self::Requests { ids, cell, reading: RequestsReading::default() }
            }
        }
    }
}

impl Watched {
    fn take(&mut self, start: SystemTime, points: &mut Vec<Point>) {
        match self {
            Self::Counter { id, cell, taken } => {
                let total = cell.total();
                let new = total.wrapping_sub(std::mem::replace(taken, total));
                if new > 0 {
                    points.push(Point::one(id, start, new as f64));
                }
            }
            Self::Gauge { id, cell } => {
                points.extend(cell.level().map(|level| Point::one(id, start, level)));
            }
            Self::Distribution { id, cell, reading } => {
                points.extend(Point::many(id, start, &reading.take(cell).values()));
            }
            Self::Requests { ids, cell, reading } => {
                let window = reading.take(cell);
                // Zeros are sent too: silence must mean that nobody reports.
                points.push(Point::one(&ids.count, start, window.requests as f64));
                points.push(Point::one(&ids.errors, start, window.errors as f64));
                points.push(Point::one(&ids.in_flight, start, window.in_flight as f64));
                points.extend(Point::many(&ids.latency, start, &window.latency.values()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::dimensions::Labels;
    use crate::point::Samples;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn collector() -> (Arc<Registry>, Collector) {
        let registry = Arc::new(Registry::new(Vec::new(), 10));
        let collector = Collector::new(Arc::clone(&registry), Duration::from_secs(60), at(90));
        (registry, collector)
    }

    fn texts(points: &[Point]) -> Vec<String> {
        let text = |point: &Point| {
            let second = point.start.duration_since(UNIX_EPOCH).unwrap().as_secs();
            let samples = match &point.samples {
                Samples::One(value) => value.to_string(),
                Samples::Many { values, counts } => format!("{values:?}x{counts:?}"),
            };
            format!("{} {second} {samples}", point.series.name)
        };
        points.iter().map(text).collect()
    }

    #[test]
    fn a_window_is_collected_once_it_is_over_under_its_own_time() {
        let (registry, mut collector) = collector();
        let counter = registry.register::<CounterCell>("n", None, Labels::default()).unwrap();
        counter.cell.added.add(3);
        assert!(collector.collect_due(at(119)).is_none());
        assert_eq!(collector.start(), at(60));
        assert_eq!(texts(&collector.collect_due(at(120)).unwrap()), ["n 60 3"]);
        // Nothing counted, nothing sent.
        assert_eq!(texts(&collector.collect_due(at(180)).unwrap()), [""; 0]);
        counter.cell.added.add(1);
        // A machine that slept through three windows: what was recorded belongs to the first.
        assert_eq!(texts(&collector.collect_due(at(400)).unwrap()), ["n 180 1"]);
        assert_eq!(collector.start(), at(360));
    }

    #[test]
    fn a_clock_set_back_ends_the_window_and_goes_on_from_there() {
        let (registry, mut collector) = collector();
        let counter = registry.register::<CounterCell>("n", None, Labels::default()).unwrap();
        counter.cell.added.add(3);
        assert_eq!(texts(&collector.collect_due(at(5)).unwrap()), ["n 60 3"]);
        counter.cell.added.add(1);
        assert!(collector.collect_due(at(6)).is_none());
        assert_eq!(texts(&collector.collect_due(at(61)).unwrap()), ["n 0 1"]);
    }

    #[test]
    fn the_figures_of_requests_are_sent_even_where_there_were_none() {
        let (registry, mut collector) = collector();
        registry.requests().start();
        assert_eq!(
            texts(&collector.collect(at(120))),
            ["RequestCount 60 0", "ErrorCount 60 0", "InFlight 60 1"]
        );
    }

    #[test]
    fn a_gauge_is_sent_in_each_window_once_it_has_a_level() {
        let (registry, mut collector) = collector();
        let gauge = registry.register::<GaugeCell>("g", None, Labels::default()).unwrap();
        assert_eq!(texts(&collector.collect(at(120))), [""; 0]);
        gauge.cell.set(4.0);
        assert_eq!(texts(&collector.collect(at(180))), ["g 120 4"]);
        assert_eq!(texts(&collector.collect(at(240))), ["g 180 4"]);
    }

    #[test]
    fn more_values_than_a_datum_takes_become_several_of_the_same_window() {
        let (registry, mut collector) = collector();
        let cell =
            registry.register::<DistributionCell>("d", None, Labels::default()).unwrap().cell;
        (0..400).for_each(|n| cell.record(1.01f64.powi(n), 1));
        let points = collector.collect(at(120));
        let sizes: Vec<_> = points
            .iter()
            .map(|point| match &point.samples {
                Samples::Many { values, counts } => (values.len(), counts.iter().sum::<f64>()),
                Samples::One(_) => (0, 0.0),
            })
            .collect();
        assert!(sizes.len() >= 3 && sizes.iter().all(|(values, _)| *values <= 150), "{sizes:?}");
        assert_eq!(sizes.iter().map(|(_, count)| count).sum::<f64>(), 400.0);
        assert!(points.iter().all(|point| point.start == at(60)));
    }
}
