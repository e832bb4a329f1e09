//! Threads that record as fast as they can while windows are collected at any moment: each record
//! is in exactly one window, and all windows together are what was recorded. Nobody orders these
//! threads, so which minute has a record is not known; in `promises` a case orders them.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use bluegreen_core::Color;
use bluegreen_metrics::{MetricsConfig, Unit};
use proptest::prelude::*;

use crate::account::{Account, seconds};

/// How often each thread records its values, so that collections fall in between.
const ROUNDS: u64 = 200;

/// The records of one thread, of four decades.
fn thread() -> impl Strategy<Value = Vec<f64>> {
    let decades = (-1.0..3.0f64).prop_map(|exponent| 10f64.powf(exponent));
    prop::collection::vec(prop_oneof![8 => decades, 1 => Just(0.0)], 1..40)
}

async fn check(threads: Vec<Vec<f64>>) -> Result<(), TestCaseError> {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let counter = metrics.counter("n", Unit::Count).unwrap();
    let values = metrics.distribution("d", Unit::Milliseconds).unwrap();
    let done = std::sync::Arc::new(AtomicUsize::new(0));
    let all_here = std::sync::Arc::new(Barrier::new(threads.len()));
    let recording: Vec<_> = { threads.clone().into_iter() }
        .map(|records| {
            let (counter, values) = (counter.clone(), values.clone());
            let (done, all_here) = (done.clone(), all_here.clone());
            std::thread::spawn(move || {
                all_here.wait();
                for _ in 0..ROUNDS {
                    for value in &records {
                        counter.increment();
                        values.record(*value);
                    }
                }
                done.fetch_add(1, Ordering::Release);
            })
        })
        .collect();
    // So many as can be read back.
    for _ in 0..110 {
        if done.load(Ordering::Acquire) < recording.len() {
            // In real time, as the threads run in it.
            std::thread::yield_now();
            tokio::time::sleep(seconds(60)).await;
        }
    }
    recording.into_iter().for_each(|thread| thread.join().unwrap());
    let report = running.stop(seconds(60)).await;
    prop_assert_eq!(report.stats.dropped.total(), 0);
    let records = || threads.iter().flatten().copied();
    let count = ROUNDS as f64 * records().count() as f64;
    prop_assert_eq!(account.sum("n"), count);
    let arrived = &account.series("d")[0];
    prop_assert_eq!(arrived.count, count);
    let extreme = async |stat: &str, of: fn(f64, f64) -> f64| {
        let windows = account.read("d", stat, 60).await;
        windows.into_iter().map(|(_, value)| value).reduce(of)
    };
    prop_assert_eq!(extreme("Minimum", f64::min).await, records().reduce(f64::min));
    prop_assert_eq!(extreme("Maximum", f64::max).await, records().reduce(f64::max));
    let sum = ROUNDS as f64 * records().sum::<f64>();
    prop_assert!((arrived.sum - sum).abs() <= 1e-9 * sum, "{} {}", arrived.sum, sum);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn each_record_of_racing_threads_is_in_exactly_one_window(
        threads in prop::collection::vec(thread(), 2..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(check(threads))?;
    }
}
