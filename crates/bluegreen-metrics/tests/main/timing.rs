use std::time::Duration;

use bluegreen_core::Color;
use bluegreen_metrics::{MetricsConfig, TimeUnit};

use crate::account::{Account, seconds};

#[tokio::test(start_paused = true)]
async fn times_are_recorded_in_the_unit_of_their_metric() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    for (name, unit, expected) in [
        ("s", TimeUnit::Seconds, 1.5),
        ("ms", TimeUnit::Milliseconds, 1_500.0),
        ("us", TimeUnit::Microseconds, 1_500_000.0),
    ] {
        metrics.timer(name, unit).unwrap().record(Duration::from_millis(1_500));
        let timer = metrics.timer_with(name, unit, &[("table", "items")]).unwrap();
        timer.record(Duration::from_millis(1_500));
        let again = metrics.distribution(name, unit.into()).unwrap();
        again.record(expected);
    }
    running.stop(seconds(5)).await;
    for (name, expected) in [("s", 1.5), ("ms", 1_500.0), ("us", 1_500_000.0)] {
        let sums: Vec<_> = account.series(name).iter().map(|series| series.sum).collect();
        assert_eq!(sums, [2.0 * expected, expected], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_timing_ends_when_it_is_stopped_or_dropped_and_not_when_it_is_discarded() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let timer = metrics.timer("t", TimeUnit::Milliseconds).unwrap();
    let sleep = |millis| tokio::time::sleep(Duration::from_millis(millis));
    let stopped = timer.start();
    sleep(10).await;
    stopped.stop();
    let discarded = timer.start();
    sleep(10).await;
    discarded.discard();
    // A future that is dropped half-way took until then.
    let work = async {
        let _timing = timer.start();
        sleep(1_000).await;
    };
    assert!(tokio::time::timeout(Duration::from_millis(30), work).await.is_err());
    running.stop(seconds(5)).await;
    let series = &account.series("t")[0];
    assert_eq!((series.count, series.sum), (2.0, 40.0));
}
