//! The numbers of the report, through the `metrics` facade.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bluegreen_core::ByColor;
use bluegreen_queue::{ConsumerConfig, Subscription, UnknownPolicy};
use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};

use crate::shop::{Blue, Color, Green, Log, Shop, following, until, writing};

/// Keeps counters by name and labels.
#[derive(Clone, Debug, Default)]
struct Counts(Arc<Mutex<BTreeMap<String, u64>>>);

#[derive(Debug)]
struct Count(Counts, String);

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += value;
    }

    fn absolute(&self, _: u64) {}
}

impl metrics::Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels: Vec<_> = key.labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
        let name = format!("{} {}", key.name(), labels.join(" "));
        Counter::from_arc(Arc::new(Count(self.clone(), name)))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test(start_paused = true)]
async fn each_number_of_the_report_is_a_counter() {
    let counts = Counts::default();
    // The test and all of its tasks run on this thread.
    let _recorder = metrics::set_default_local_recorder(&counts);
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 3).await;
    shop.put(&shop.urls.blue, "poison").await;
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    until(|| running.handle.report().parked == 1).await;
    log.reach(3).await;
    let report = running.stop(Duration::from_secs(5)).await;
    let expected = [
        ("handled", report.handled),
        ("parked", report.parked),
        ("received", report.received),
        ("receives", report.receives),
    ];
    let expected = expected.map(|(what, count)| {
        (format!("bluegreen_queue_consumer queue=orders color=blue what={what}"), count)
    });
    let mut expected = BTreeMap::from(expected);
    expected.insert("bluegreen_queue_handled ".to_owned(), report.handled);
    assert_eq!(*counts.0.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_counters_of_both_colors_tell_the_measured_share_of_a_shared_queue() {
    let (shop, log) = (Shop::open().await, Log::default());
    let mut counts = ByColor::<Counts>::default();
    // Each color's processes have a recorder of their own: nobody knows what the other did.
    for (color, many) in [(Blue, 270), (Green, 30)] {
        shop.put_orders(&shop.urls.blue, many).await;
        let recorder = counts.get_mut(color);
        let _recorder = metrics::set_default_local_recorder(recorder);
        let own = Subscription::own(&shop.shared(), color, &shop.dead);
        let dispatch = writing(&log, UnknownPolicy::Park);
        let running = shop.consume(own, following(Some(500)), dispatch, ConsumerConfig::default());
        until(|| running.handle.report().handled == u64::try_from(many).unwrap()).await;
        running.stop(Duration::from_secs(5)).await;
    }
    // What the README has CloudWatch compute.
    let of = |color: Color| {
        let name = format!("bluegreen_queue_consumer queue=orders color={color} what=handled");
        let counts = counts.get(color).0.lock().unwrap();
        assert_eq!(counts["bluegreen_queue_handled "], counts[&name]);
        assert!(counts.keys().all(|key| !key.contains(&format!("color={}", color.other()))));
        counts[&name]
    };
    let (blue, green) = (of(Blue), of(Green));
    assert_eq!((blue, green, 100 * green / (blue + green)), (270, 30, 10));
}
