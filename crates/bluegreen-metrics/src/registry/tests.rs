use bluegreen_core::{Color, Release, ServiceKey};

use super::*;
use crate::gauge::GaugeCell;

pub(crate) fn naming(sets: &[DimensionSet]) -> Naming {
    let release = Release::new("1").unwrap();
    let key = ServiceKey::new("orders").unwrap();
    Naming {
        identity: ServiceIdentity::new(key, Color::Blue, release, "host-1"),
        sets: sets.to_vec(),
        resolution: Resolution::Minute,
        resolutions: BTreeMap::from([("fine".to_owned(), Resolution::Second)]),
        for_logs: false,
    }
}

pub(crate) const fn caps(of_metric: usize) -> Caps {
    Caps { of_metric, in_all: 1_000 }
}

fn registry(max_series: usize) -> Registry {
    Registry::new(naming(&[DimensionSet::color().with_labels()]), caps(max_series))
}

fn labels(value: &str) -> Labels {
    Labels::checked("m", &[("route", value)]).unwrap()
}

/// What is published, as the last dimension's value.
fn published(registry: &Registry) -> Vec<String> {
    let mut all: Vec<_> = registry
        .published()
        .iter()
        .map(|one| {
            let id = &one.id;
            let own = id.dimensions.get(2..).unwrap_or_default();
            let own: Vec<_> = own.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} {}", id.name, own.join(" "))
        })
        .collect();
    all.sort();
    all
}

#[test]
fn the_same_name_and_labels_are_the_same_series() {
    let registry = registry(10);
    let counter = || registry.register::<CounterCell>("m", Some(Unit::Count), labels("a"));
    assert!(Arc::ptr_eq(&counter().unwrap().cell, &counter().unwrap().cell));
    let other = registry.register::<CounterCell>("m", Some(Unit::Count), labels("b")).unwrap();
    assert!(!Arc::ptr_eq(&counter().unwrap().cell, &other.cell));
    assert_eq!(registry.take_new().len(), 2);
    assert_eq!(registry.take_new().len(), 0);
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
    assert_eq!(registry.take_new().len(), 101);
    assert_eq!(registry.folded().total(), 19_900);
    let overflow = labels("anything").folded();
    let overflow = registry.register::<CounterCell>("m", None, overflow).unwrap().cell;
    assert_eq!(overflow.total(), 19_900);
}

#[test]
fn the_label_that_ran_away_is_named_once() {
    let registry = registry(3);
    let ask = |user: &str| {
        let labels = Labels::checked("m", &[("queue", "a"), ("user", user)]).unwrap();
        registry.look_up::<CounterCell>("m", None, labels).unwrap().1
    };
    let told: Vec<_> = (0..6).filter_map(|user| ask(&user.to_string())).collect();
    assert_eq!(told, [Overflowing::Labels { label: "user".to_owned() }]);
}

#[test]
fn names_of_labels_that_run_away_are_folded_and_named_too() {
    let registry = registry(100);
    let mut told = Vec::new();
    for n in 0..20_000 {
        let name = format!("label-{n}");
        let labels = Labels::checked("m", &[("queue", "a"), (&name, "x")]).unwrap();
        let (made, overflowing) = registry.look_up::<CounterCell>("m", None, labels).unwrap();
        made.cell.added.add(1);
        told.extend(overflowing);
    }
    assert_eq!(told, [Overflowing::Labels { label: "label-100".to_owned() }]);
    // Those of the cap, ten that keep their names, and one for all others.
    assert_eq!(published(&registry).len(), 111);
    let rest = registry.register::<CounterCell>("m", None, Labels::overflow()).unwrap().cell;
    assert_eq!(rest.total(), 20_000 - 110);
    assert_eq!(registry.folded().total(), 20_000 - 100);
}

#[test]
fn names_of_metrics_that_run_away_are_folded_by_kind_and_make_room_when_forgotten() {
    let caps = Caps { of_metric: 100, in_all: 10 };
    let registry = Registry::new(naming(&[DimensionSet::color().with_labels()]), caps);
    let counter = |name: &str| {
        let none = Labels::default();
        registry.look_up::<CounterCell>(name, Some(Unit::Bytes), none).unwrap()
    };
    let mut told = Vec::new();
    for n in 0..1_000 {
        let (made, overflowing) = counter(&n.to_string());
        assert_eq!(made.folded, n >= 10);
        told.extend(overflowing);
    }
    assert_eq!(told, [Overflowing::Names]);
    let gauge = registry.register::<GaugeCell>("another", None, Labels::default()).unwrap();
    assert!(gauge.folded);
    assert_eq!(registry.folded().total(), 991);
    assert_eq!(published(&registry).len(), 12);
    // Labels of a known name are beyond the cap of all, too.
    let labeled = registry.register::<CounterCell>("1", None, labels("a")).unwrap();
    assert!(labeled.folded);
    drop(registry.take_new());
    let one = counter("1").0.cell;
    registry.forget("1", &Labels::default(), one).unwrap();
    assert!(!counter("now there is room").0.folded);
    assert!(counter("and now there is none").0.folded);
}

#[test]
fn a_name_of_which_all_was_forgotten_leaves_nothing_behind() {
    let registry = registry(10);
    for n in 0..10_000 {
        let name = n.to_string();
        let cell = registry.register::<CounterCell>(&name, None, labels("a")).unwrap();
        assert!(!cell.folded);
        drop(registry.take_new());
        registry.forget(&name, &labels("a"), cell.cell).unwrap();
    }
    assert_eq!(registry.lock().families.len(), 0);
    assert_eq!(registry.lock().counted, 0);
}

#[test]
fn threads_that_meet_at_the_last_route_keep_to_the_cap() {
    for _ in 0..50 {
        let registry = registry(3);
        let routes = registry.routes();
        let all_here = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for n in 0..8 {
                let (routes, registry, all_here) = (&routes, &registry, &all_here);
                scope.spawn(move || {
                    all_here.wait();
                    routes.of(Some(&n.to_string()), registry).start();
                });
            }
        });
        let counts = published(&registry).into_iter().filter(|id| id.starts_with("RequestCount"));
        assert_eq!(counts.count(), 1 + 3 + 1);
        assert_eq!(registry.folded().total(), 5);
    }
}

#[test]
fn a_description_gives_its_unit_to_labeled_series_before_and_after() {
    let registry = registry(10);
    registry.register::<DistributionCell>("early", None, labels("a")).unwrap();
    registry.describe("early", Unit::Seconds);
    registry.describe("late", Unit::Bytes);
    registry.register::<DistributionCell>("late", None, labels("a")).unwrap();
    for Published { id, .. } in registry.published() {
        let expected = if id.name == "early" { Unit::Seconds } else { Unit::Bytes };
        assert_eq!(id.unit(), expected, "{}", id.name);
    }
}

#[test]
fn each_declared_set_is_a_metric_and_totals_are_shared() {
    let color = DimensionSet::color();
    let sets = [color.with_labels(), color, color.with_instance()];
    let registry = Registry::new(naming(&sets), caps(10));
    for value in ["a", "b"] {
        registry.register::<CounterCell>("m", None, labels(value)).unwrap();
    }
    let with_labels = ["m ", "m Instance=host-1", "m route=a", "m route=b"];
    assert_eq!(published(&registry), with_labels);
    // Without labels it is the total.
    registry.register::<CounterCell>("m", None, Labels::default()).unwrap();
    assert_eq!(published(&registry), with_labels);
}

#[test]
fn the_color_as_a_whole_has_requests_whatever_is_declared() {
    let instance = DimensionSet::color().with_instance();
    let registry = Registry::new(naming(&[instance]), caps(10));
    let routes = registry.routes();
    assert!(Arc::ptr_eq(&routes, &registry.routes()));
    routes.of(Some("/orders"), &registry);
    let counts = published(&registry).into_iter().filter(|id| id.starts_with("RequestCount"));
    assert_eq!(counts.collect::<Vec<_>>(), ["RequestCount ", "RequestCount Instance=host-1"]);
}

#[test]
fn routes_are_known_again_and_beyond_the_cap_one() {
    let registry = registry(2);
    let routes = registry.routes();
    let of = |route: &str| routes.of(Some(route), &registry);
    assert!(Arc::ptr_eq(&of("/a"), &of("/a")));
    assert!(!Arc::ptr_eq(&of("/a"), &routes.of(None, &registry)));
    for n in 0..100 {
        assert!(Arc::ptr_eq(&of("/x"), &of(&n.to_string())));
    }
    assert_eq!(registry.folded().total(), 200);
    let counts = published(&registry).into_iter().filter(|id| id.starts_with("RequestCount"));
    let expected = ["", "Route=/a", "Route=overflow", "Route=unmatched"];
    assert_eq!(counts.collect::<Vec<_>>(), expected.map(|route| format!("RequestCount {route}")));
}

#[test]
fn routes_that_are_one_to_cloudwatch_are_one_for_the_caps_too() {
    let caps = Caps { of_metric: 2, in_all: 8 };
    let registry = Registry::new(naming(&[DimensionSet::color().with_labels()]), caps);
    let routes = registry.routes();
    let of = |route: &str| routes.of(Some(route), &registry);
    let long = "x".repeat(1_024);
    for (one, other) in [("/ä", "/ö"), (&*format!("{long}a"), &format!("{long}b"))] {
        assert!(Arc::ptr_eq(&of(one), &of(other)), "{one}");
    }
    assert_eq!(registry.folded().total(), 0);
    let counts = published(&registry).into_iter().filter(|id| id.starts_with("RequestCount"));
    assert_eq!(counts.count(), 1 + 2);
    assert_eq!(registry.lock().counted, 8);
}

#[test]
fn a_series_is_forgotten_only_when_nobody_holds_it() {
    let registry = registry(1);
    let held = registry.register::<CounterCell>("m", None, labels("a")).unwrap().cell;
    // What watches it is the one that forgets it, here.
    drop(registry.take_new());
    let held = registry.forget("m", &labels("a"), held).unwrap();
    assert_eq!(held.total(), 0);
    // Its place is free again.
    let again = registry.register::<CounterCell>("m", None, labels("b")).unwrap();
    assert!(!again.folded);
    drop(registry.take_new());
    let handle = Arc::clone(&again.cell);
    let kept = registry.forget("m", &labels("b"), again.cell).unwrap_err();
    assert!(Arc::ptr_eq(&kept, &handle));
    // Somebody got hold of it after the look.
    let kept = registry.take_out("m", &labels("b"), kept).unwrap_err();
    assert!(Arc::ptr_eq(&kept, &handle));
    let same = registry.register::<CounterCell>("m", None, labels("b")).unwrap().cell;
    assert!(Arc::ptr_eq(&same, &handle));
}

#[test]
fn a_metric_may_have_a_resolution_of_its_own() {
    let registry = registry(1);
    for name in ["fine", "coarse"] {
        registry.register::<CounterCell>(name, None, Labels::default()).unwrap();
    }
    for Published { id, .. } in registry.published() {
        let fine = id.name == "fine";
        assert_eq!(id.resolution == Resolution::Second, fine, "{}", id.name);
    }
}
