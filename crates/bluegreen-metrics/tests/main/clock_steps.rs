//! Wall time that is set ahead or back while metrics are recorded.

use std::time::Duration;

use bluegreen_core::{Clock, ClockHand, Color};
use bluegreen_local::World;
use bluegreen_metrics::{Metrics, MetricsConfig, Resolution, Unit};

use crate::account::{Account, NAMESPACE, Running, at, identity, seconds};

/// An account whose clock nobody sets, and metrics of a host whose clock is set.
fn start(config: MetricsConfig) -> (Account, ClockHand, Metrics, Running) {
    let clock = Clock::starting_at(at(0));
    let account = Account { world: World::builder().clock(clock).build(), clock };
    let (clock, hand) = Clock::settable(at(0));
    let (metrics, publisher) =
        Metrics::new(account.client(), NAMESPACE, &identity(Color::Blue), config.with_clock(clock))
            .unwrap();
    (account, hand, metrics, Running::new(publisher))
}

#[tokio::test(start_paused = true)]
async fn steps_of_any_size_lose_and_repeat_nothing() {
    for (what, step) in [
        ("a second back", -1i64),
        ("a minute back", -60),
        ("an hour back", -3_600),
        ("a second ahead", 1),
        ("half an hour ahead", 1_800),
        ("an hour and a half ahead", 5_400),
    ] {
        let (account, hand, metrics, running) = start(MetricsConfig::default());
        let counter = metrics.counter("n", Unit::Count).unwrap();
        let values = metrics.distribution("d", Unit::None).unwrap();
        Account::between_windows().await;
        for minute in 0..6 {
            counter.add(10);
            values.record(5.0);
            tokio::time::sleep(seconds(20)).await;
            if minute == 2 {
                let by = Duration::from_secs(step.unsigned_abs());
                if step < 0 { hand.back(by) } else { hand.ahead(by) }
            }
            counter.add(1);
            tokio::time::sleep(seconds(40)).await;
        }
        let stats = running.stop(seconds(5)).await.stats;
        assert_eq!(account.sum("n"), 66.0, "{what}: {stats:?}");
        assert_eq!(account.series("d")[0].count, 6.0, "{what}");
        assert_eq!((stats.dropped.total(), stats.failed_sends.total()), (0, 0), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_back_stops_neither_the_collection_nor_the_sends() {
    let config = MetricsConfig::default()
        .with_resolution(Resolution::Second)
        .with_flush_interval(seconds(1));
    let (account, hand, metrics, running) = start(config);
    let counter = metrics.counter("n", Unit::Count).unwrap();
    Account::between_windows().await;
    hand.back(seconds(1_800));
    for _ in 0..10 {
        counter.increment();
        tokio::time::sleep(seconds(1)).await;
    }
    // Without a stop: what was recorded half an hour ahead of time is there already.
    assert!(account.sum("n") >= 8.0, "{}", account.sum("n"));
    running.stop(seconds(5)).await;
    assert_eq!(account.sum("n"), 10.0);
}

#[tokio::test(start_paused = true)]
async fn what_a_step_has_made_too_old_or_too_new_is_counted_and_not_sent_in_vain() {
    let (account, hand, metrics, running) = start(MetricsConfig::default());
    let outage = bluegreen_local::Rule::new(Account::puts(), bluegreen_local::Fault::Throttle);
    let outage = account.world.faults().inject(outage);
    let counter = metrics.counter("n", Unit::Count).unwrap();
    Account::between_windows().await;
    counter.increment();
    tokio::time::sleep(seconds(90)).await;
    hand.ahead(Duration::from_secs(15 * 86_400));
    drop(outage);
    tokio::time::sleep(seconds(90)).await;
    let stats = running.stop(seconds(5)).await.stats;
    // The count, and that of the sends that failed until then.
    assert_eq!((stats.dropped.stale, stats.pending), (2, 0), "{stats:?}");
    assert_eq!(account.sum("n"), 0.0);
}
