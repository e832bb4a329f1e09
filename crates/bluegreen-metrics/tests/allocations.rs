//! In a binary of its own, as the counting allocator is global.

use allocation_counter::measure;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::{BehaviorVersion, Config};
use bluegreen_core::{Color, Release, ServiceIdentity, ServiceKey};
use bluegreen_metrics::{Metrics, MetricsConfig, Unit};

#[test]
fn a_record_allocates_nothing() {
    let config = Config::builder().behavior_version(BehaviorVersion::latest()).build();
    let who = ServiceIdentity::new(
        ServiceKey::new("orders").unwrap(),
        Color::Blue,
        Release::new("1").unwrap(),
        "1",
    );
    let (metrics, _publisher) =
        Metrics::new(Client::from_conf(config), "Shop", &who, MetricsConfig::default()).unwrap();
    let counter = metrics.counter("n", Unit::Count).unwrap();
    let gauge = metrics.gauge("g", Unit::Count).unwrap();
    let values = metrics.distribution("d", Unit::Milliseconds).unwrap();
    // The thread's number among the recording ones is drawn once in its life.
    metrics.counter("first", Unit::Count).unwrap().increment();
    let records = || {
        for n in 0..10_000 {
            counter.increment();
            gauge.add(1.0);
            values.record(1.0 + f64::from(n) / 10.0);
        }
    };
    let first = measure(records);
    // The thread's copies of the counter and of the distribution, and of the latter one piece of
    // 2 KiB for each doubling from 1 to 1,000: once in a thread's life.
    assert_eq!(first.count_total, 12, "{first:?}");
    assert!(first.bytes_total < 10 * 2_048 + 2_048, "{first:?}");
    assert_eq!(measure(records).count_total, 0);
}

#[test]
fn a_record_through_the_facade_allocates_nothing_with_a_handle_in_hand() {
    let config = Config::builder().behavior_version(BehaviorVersion::latest()).build();
    let who = ServiceIdentity::new(
        ServiceKey::new("orders").unwrap(),
        Color::Blue,
        Release::new("1").unwrap(),
        "1",
    );
    let (metrics, _publisher) =
        Metrics::new(Client::from_conf(config), "Shop", &who, MetricsConfig::default()).unwrap();
    let (counter, values) = ::metrics::with_local_recorder(&metrics.recorder(), || {
        (::metrics::counter!("n", "queue" => "a"), ::metrics::histogram!("d", "queue" => "a"))
    });
    counter.increment(1);
    values.record(5.0);
    let info = measure(|| {
        for _ in 0..1_000 {
            counter.increment(1);
            values.record(5.0);
        }
    });
    assert_eq!(info.count_total, 0);
}
