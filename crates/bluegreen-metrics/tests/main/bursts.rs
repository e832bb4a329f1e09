//! Bursts of many threads, shutdowns in the middle, sends refused or without an answer: what arrives
//! is what was recorded. The full size is the bench's.

use std::time::Duration;

use bluegreen_core::{Color, Share};
use bluegreen_local::{Fault, Rule};
use bluegreen_metrics::{Metrics, MetricsConfig, Unit};

use crate::account::{Account, seconds};

const THREADS: u64 = 4;

/// Each thread records so many of everything, as fast as it can.
fn burst(metrics: &Metrics, each: u64) {
    let counter = metrics.counter("n", Unit::Count).unwrap();
    let values = metrics.distribution("d", Unit::Milliseconds).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (counter, values) = (counter.clone(), values.clone());
            scope.spawn(move || {
                for n in 0..each {
                    counter.increment();
                    values.record((1 + (n * THREADS + thread) % 5_000) as f64);
                }
            });
        }
    });
}

#[tokio::test(start_paused = true)]
async fn bursts_with_shutdowns_in_the_middle_and_a_third_of_the_sends_refused_arrive_to_the_bit() {
    const BURSTS: u64 = 20;
    const EACH: u64 = 2_500;
    let account = Account::new();
    let refused = Rule::new(Account::puts(), Fault::Throttle).some(Share::percent(30).unwrap(), 3);
    let refused = account.world.faults().inject(refused);
    let (mut recorded, mut dropped) = (0, 0);
    // A process ends and another one goes on.
    for _ in 0..2 {
        let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
        for burst_number in 0..BURSTS {
            burst(&metrics, EACH);
            recorded += THREADS * EACH;
            tokio::time::sleep(Duration::from_secs(20 + burst_number * 3)).await;
        }
        dropped += running.stop(seconds(60)).await.stats.dropped.total();
    }
    assert!(refused.count() > 3, "{}", refused.count());
    assert_eq!(dropped, 0);
    assert_eq!(account.sum("n"), recorded as f64);
    let values = &account.series("d")[0];
    assert_eq!(values.count, recorded as f64);
    let expected = recorded as f64 * 2_500.5;
    assert!((values.sum - expected).abs() <= 1e-9 * expected, "{values:?}");
}

#[tokio::test(start_paused = true)]
async fn with_replies_lost_the_surplus_is_at_most_what_was_counted_as_sent_again() {
    let account = Account::new();
    let lost = Rule::new(Account::puts(), Fault::LostReply).some(Share::percent(30).unwrap(), 5);
    account.world.faults().inject(lost).keep();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let counter = metrics.counter("n", Unit::Count).unwrap();
    Account::between_windows().await;
    for _ in 0..60 {
        counter.add(1_000);
        tokio::time::sleep(seconds(60)).await;
    }
    let stats = running.stop(seconds(300)).await.stats;
    let arrived = account.sum("n");
    // One datum of a thousand in each minute: the surplus is whole minutes, and each was told.
    let surplus = (arrived - 60_000.0) / 1_000.0;
    assert!(surplus > 0.0 && surplus <= stats.resent as f64, "{surplus} {stats:?}");
    assert_eq!(surplus.fract(), 0.0);
    assert!(account.sum("MetricsResent") >= surplus, "{stats:?}");
    assert_eq!(stats.dropped.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_million_records_need_as_few_calls_as_the_limit_allows() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    burst(&metrics, 1_000_000 / THREADS / 10);
    tokio::time::sleep(seconds(75)).await;
    // One minute, and all of it below a thousand datums.
    assert_eq!(metrics.stats().sends, 1);
    running.stop(seconds(5)).await;
    assert_eq!(account.world.cloudwatch_service().put_calls(), 1);
}
