//! In a binary of its own: every test beside it would take and give back numbers of threads.

use std::sync::Barrier;

use allocation_counter::measure;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::{BehaviorVersion, Config};
use bluegreen_core::{Color, Release, ServiceIdentity, ServiceKey};
use bluegreen_metrics::{Metrics, MetricsConfig, Unit};

/// Each thread has a copy of its own; a thread that comes when another has ended takes over that
/// one's, to the byte.
#[test]
fn memory_grows_by_the_threads_that_record_at_a_time_and_not_by_those_that_ever_did() {
    let config = Config::builder().behavior_version(BehaviorVersion::latest()).build();
    let key = ServiceKey::new("orders").unwrap();
    let who = ServiceIdentity::new(key, Color::Blue, Release::new("1").unwrap(), "1");
    let config = (Client::from_conf(config), MetricsConfig::default());
    let metrics = Metrics::new(config.0, "Shop", &who, config.1).unwrap().0;
    let counter = metrics.counter("n", Unit::Count).unwrap();
    let values = metrics.distribution("d", Unit::Milliseconds).unwrap();
    let record = || {
        // The thread's number is drawn once in its life, and is no memory of a series.
        counter.add(0);
        let info = measure(|| {
            for n in 0..10_000 {
                counter.increment();
                values.record(1.0 + f64::from(n) / 10.0);
            }
        });
        info.bytes_total
    };
    let at_a_time = |threads: usize| -> u64 {
        let all_done = Barrier::new(threads);
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        let bytes = record();
                        all_done.wait();
                        bytes
                    })
                })
                .collect();
            running.into_iter().map(|thread| thread.join().unwrap()).sum()
        })
    };
    let one = at_a_time(1);
    assert!((20_000..24_000).contains(&one), "{one}");
    // The one's copy is there already, as its thread has ended.
    assert_eq!(at_a_time(4), 3 * one);
    assert_eq!((0..1_000).map(|_| at_a_time(1)).sum::<u64>(), 0);
}
