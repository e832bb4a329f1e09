use std::time::UNIX_EPOCH;

use super::*;
use crate::DimensionSet;
use crate::counter::CounterCell;
use crate::dimensions::Labels;
use crate::distribution::DistributionCell;
use crate::gauge::GaugeCell;
use crate::own_metrics::OwnMetrics;
use crate::point::Samples;
use crate::registry::{caps, naming};
use crate::requests::Ending;
use crate::series::Cell;
use crate::stats::{Counts, DropCause};

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn collector_of(sets: &[DimensionSet]) -> (Arc<Registry>, Collector) {
    let registry = Arc::new(Registry::new(naming(sets), caps(10)));
    let both = [Resolution::Minute, Resolution::Second];
    let ttl = Duration::from_secs(180);
    let collector = Collector::new(Arc::clone(&registry), both, ttl, 150, at(90));
    (registry, collector)
}

fn collector() -> (Arc<Registry>, Collector) {
    collector_of(&[DimensionSet::color().with_labels()])
}

fn cell<C: Cell>(registry: &Registry, name: &str, label: Option<&str>) -> Arc<C> {
    let labels = label.map(|label| Labels::one("label", label)).unwrap_or_default();
    registry.register::<C>(name, None, labels).unwrap().cell
}

/// Each point as name, own dimensions, second and samples.
fn texts(points: &[Point]) -> Vec<String> {
    let text = |point: &Point| {
        let second = point.start.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let samples = match &point.samples {
            Samples::One(value) => value.to_string(),
            Samples::Many { values, counts } => format!("{values:?}x{counts:?}"),
        };
        let own = point.series.dimensions.get(2..).unwrap();
        let own: String = own.iter().map(|(_, value)| format!("[{value}]")).collect();
        format!("{}{own} {second} {samples}", point.series.name)
    };
    points.iter().map(text).collect()
}

fn due(collector: &mut Collector, now: u64) -> Vec<String> {
    collector.collect_due(at(now)).map(|ended| texts(&ended.points)).unwrap_or_default()
}

#[test]
fn a_window_is_collected_once_it_is_over_under_its_own_time() {
    let (registry, mut collector) = collector();
    let counter = cell::<CounterCell>(&registry, "n", None);
    counter.added.add(3);
    assert_eq!(due(&mut collector, 119), [""; 0]);
    assert_eq!(due(&mut collector, 120), ["n 60 3"]);
    // Nothing counted, nothing sent.
    assert_eq!(due(&mut collector, 180), [""; 0]);
    counter.added.add(1);
    // A machine that slept through three windows: what was recorded belongs to the first.
    assert_eq!(due(&mut collector, 400), ["n 180 1"]);
    assert_eq!(collector.until_next(at(400)), Duration::from_secs(1));
}

#[test]
fn seconds_and_minutes_are_collected_side_by_side() {
    let (registry, mut collector) = collector();
    let (fine, coarse) = (
        cell::<CounterCell>(&registry, "fine", None),
        cell::<CounterCell>(&registry, "coarse", None),
    );
    fine.added.add(1);
    coarse.added.add(10);
    assert_eq!(collector.until_next(at(90)), Duration::from_secs(1));
    assert_eq!(due(&mut collector, 91), ["fine 90 1"]);
    fine.added.add(2);
    assert_eq!(due(&mut collector, 120), ["coarse 60 10", "fine 91 2"]);
}

#[test]
fn a_clock_set_back_ends_the_window_and_goes_on_from_there() {
    let (registry, mut collector) = collector();
    let counter = cell::<CounterCell>(&registry, "n", None);
    counter.added.add(3);
    assert_eq!(due(&mut collector, 5), ["n 60 3"]);
    counter.added.add(1);
    assert_eq!(due(&mut collector, 6), [""; 0]);
    assert_eq!(due(&mut collector, 61), ["n 0 1"]);
}

#[test]
fn the_figures_of_requests_are_sent_even_where_there_were_none() {
    let (registry, mut collector) = collector();
    registry.routes().all().start();
    let zeros = ["RequestCount 60 0", "ErrorCount 60 0", "InFlight 60 1"];
    assert_eq!(texts(&collector.collect(at(120))), zeros);
}

#[test]
fn routes_add_up_in_the_color_and_are_silent_without_requests() {
    let (registry, mut collector) = collector();
    let routes = registry.routes();
    for (route, ending) in [("/a", Ending::Failed), ("/b", Ending::Succeeded)] {
        let cell = routes.of(Some(route), &registry);
        cell.start();
        cell.end(ending, Duration::from_millis(8));
    }
    let points = texts(&collector.collect(at(120)));
    let of = |name: &'static str| points.iter().filter(move |text| text.starts_with(name)).cloned();
    let counts: Vec<_> = of("RequestCount").collect();
    assert_eq!(counts, ["RequestCount 60 2", "RequestCount[/a] 60 1", "RequestCount[/b] 60 1"]);
    let errors: Vec<_> = of("ErrorCount").collect();
    assert_eq!(errors, ["ErrorCount 60 1", "ErrorCount[/a] 60 1", "ErrorCount[/b] 60 0"]);
    let latency: Vec<_> = of("RequestLatency ").collect();
    assert_eq!(latency, ["RequestLatency 60 [8.0]x[2.0]"]);
    let quiet = texts(&collector.collect(at(180)));
    assert_eq!(quiet, ["RequestCount 120 0", "ErrorCount 120 0", "InFlight 120 0"]);
}

#[test]
fn a_gauge_is_sent_in_each_window_once_it_has_a_level_as_long_as_somebody_holds_it() {
    let (registry, mut collector) = collector();
    let gauge = cell::<GaugeCell>(&registry, "g", None);
    assert_eq!(texts(&collector.collect(at(120))), [""; 0]);
    gauge.set(4.0);
    assert_eq!(texts(&collector.collect(at(180))), ["g 120 4"]);
    assert_eq!(texts(&collector.collect(at(240))), ["g 180 4"]);
    // Far beyond the time after which it is idle.
    assert_eq!(texts(&collector.collect(at(300))), ["g 240 4"]);
    assert_eq!(texts(&collector.collect(at(360))), ["g 300 4"]);
    assert_eq!(texts(&collector.collect(at(420))), ["g 360 4"]);
    drop(gauge);
    assert_eq!(texts(&collector.collect(at(480))), ["g 420 4"]);
    assert_eq!(texts(&collector.collect(at(540))), [""; 0]);
}

#[test]
fn an_idle_series_is_forgotten_unless_somebody_holds_it() {
    let (registry, mut collector) = collector();
    let held = cell::<CounterCell>(&registry, "held", Some("a"));
    drop(cell::<CounterCell>(&registry, "dropped", Some("a")));
    for minute in 2..=4 {
        assert_eq!(registry.published().len(), 2, "{minute}");
        collector.collect(at(60 * minute));
    }
    assert_eq!(registry.published().len(), 1);
    held.added.add(1);
    assert_eq!(texts(&collector.collect(at(300))), ["held[a] 240 1"]);
    cell::<CounterCell>(&registry, "dropped", Some("a")).added.add(2);
    assert_eq!(texts(&collector.collect(at(360))), ["dropped[a] 300 2"]);
}

#[test]
fn totals_over_labels_join_what_was_recorded() {
    let color = DimensionSet::color();
    let (registry, mut collector) = collector_of(&[color.with_labels(), color]);
    for (label, n) in [("a", 1), ("b", 2)] {
        cell::<CounterCell>(&registry, "n", Some(label)).added.add(n);
        cell::<GaugeCell>(&registry, "g", Some(label)).set(7.0);
        cell::<DistributionCell>(&registry, "d", Some(label)).record(128.0 + n as f64, 1);
    }
    let points = texts(&collector.collect(at(120)));
    for expected in [
        "n[a] 60 1",
        "n[b] 60 2",
        "n 60 3",
        "g[a] 60 7",
        "g 60 [7.0]x[2.0]",
        "d[a] 60 129",
        "d 60 [129.0, 130.0]x[1.0, 1.0]",
    ] {
        assert!(points.contains(&expected.to_owned()), "{expected} of {points:?}");
    }
    assert_eq!(points.len(), 9);
}

#[test]
fn more_values_than_a_datum_takes_become_several_of_the_same_window() {
    let (registry, mut collector) = collector();
    let cell = cell::<DistributionCell>(&registry, "d", None);
    (0..400).for_each(|n| cell.record(1.01f64.powi(n), 1));
    let points = collector.collect(at(120));
    let sizes: Vec<_> = points
        .iter()
        .map(|point| match &point.samples {
            Samples::Many { values, counts } => (values.len(), counts.iter().sum::<f64>()),
            Samples::One(_) => (1, 1.0),
        })
        .collect();
    assert!(sizes.len() >= 3 && sizes.iter().all(|(values, _)| *values <= 150), "{sizes:?}");
    assert_eq!(sizes.iter().map(|(_, count)| count).sum::<f64>(), 400.0);
    assert!(points.iter().all(|point| point.start == at(60)));
}

#[test]
fn each_cause_of_a_drop_is_counted_and_published_under_its_own_name() {
    let (registry, mut collector) = collector();
    let counts = Counts::new(OwnMetrics::of(&registry));
    for (cause, datums) in DropCause::ALL.into_iter().zip([1, 20, 300, 4_000, 50_000]) {
        counts.dropped(cause, datums);
    }
    let dropped = counts.stats().dropped;
    let of = [dropped.overflow, dropped.stale, dropped.invalid, dropped.unknown, dropped.shutdown];
    assert_eq!(of, [1, 20, 300, 4_000, 50_000]);
    assert_eq!(
        texts(&collector.collect(at(120))),
        [
            "MetricsDropped 60 54321",
            "MetricsDroppedByCause[overflow] 60 1",
            "MetricsDroppedByCause[stale] 60 20",
            "MetricsDroppedByCause[invalid] 60 300",
            "MetricsDroppedByCause[unknown] 60 4000",
            "MetricsDroppedByCause[shutdown] 60 50000",
        ]
    );
}
