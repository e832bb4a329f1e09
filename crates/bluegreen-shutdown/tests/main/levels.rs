use std::sync::{Arc, Mutex};
use std::time::Duration;

use bluegreen_core::Stop;
use bluegreen_shutdown::{
    Cause, Level, LevelEnd, Lifecycle, LifecycleConfig, LifecycleError, Outcome,
};
use tokio::time::{Instant, sleep};

type Log = Arc<Mutex<Vec<String>>>;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A driver that takes `work` after it was asked to stop, and writes down both moments.
async fn driver(name: Level, work: Duration, log: Log, stop: Stop) -> Result<(), std::io::Error> {
    stop.requested().await;
    log.lock().unwrap().push(format!("{name} asked"));
    sleep(work).await;
    log.lock().unwrap().push(format!("{name} done"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn levels_end_in_order_each_after_the_one_above_is_done() {
    let mut lifecycle = Lifecycle::new(LifecycleConfig::default()).unwrap();
    let log = Log::default();
    for level in Level::ALL {
        let log = Arc::clone(&log);
        lifecycle.spawn(level, level.as_str(), move |stop| {
            driver(level, Duration::from_millis(500), log, stop)
        });
    }
    lifecycle.trigger().shut_down();
    let begun = Instant::now();
    let report = lifecycle.run().await;
    assert_eq!((report.cause.clone(), report.outcome()), (Cause::Requested, Outcome::Complete));
    // The drain delay is waited out; the others end when they are done, not at their deadlines.
    assert_eq!(begun.elapsed(), secs(5) + Duration::from_millis(2_000 + 500));
    let mut expected = vec!["consumers asked".to_owned(), "readiness asked".to_owned()];
    expected.extend(["consumers done", "readiness done"].map(str::to_owned));
    for level in
        [Level::Listener, Level::Requests, Level::Producers, Level::Support, Level::Metrics]
    {
        expected.push(format!("{level} asked"));
        expected.push(format!("{level} done"));
    }
    let mut log = log.lock().unwrap().clone();
    log[..2].sort();
    log[2..4].sort();
    assert_eq!(log, expected);
}

#[tokio::test(start_paused = true)]
async fn a_level_that_does_not_end_is_left_at_its_deadline_and_its_driver_is_named() {
    let config = LifecycleConfig::default().with_producers(secs(2));
    let mut lifecycle = Lifecycle::new(config).unwrap();
    let log = Log::default();
    lifecycle.spawn(Level::Producers, "outbox", {
        let log = Arc::clone(&log);
        |stop| driver(Level::Producers, secs(3_600), log, stop)
    });
    lifecycle.spawn(Level::Metrics, "publisher", {
        let log = Arc::clone(&log);
        |stop| driver(Level::Metrics, Duration::ZERO, log, stop)
    });
    lifecycle.trigger().shut_down();
    let report = lifecycle.run().await;
    assert_eq!(report.abandoned, ["outbox"]);
    assert_eq!(report.outcome(), Outcome::Abandoned);
    let producers = report.levels.iter().find(|l| l.level == Level::Producers).unwrap();
    assert_eq!((producers.took, producers.end), (secs(2), LevelEnd::DeadlinePassed));
    let text = ["producers asked", "metrics asked", "metrics done"];
    assert_eq!(*log.lock().unwrap(), text);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_keeps_to_its_deadline_can_still_report() {
    let mut lifecycle = Lifecycle::new(LifecycleConfig::default()).unwrap();
    lifecycle.spawn(Level::Producers, "outbox", |stop| async move {
        stop.expired().await;
        Ok::<_, std::io::Error>("gave up two records")
    });
    lifecycle.trigger().shut_down();
    assert_eq!(lifecycle.run().await.outcome(), Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn consumers_stop_receiving_at_the_signal_and_have_until_the_end_of_their_level() {
    let config = LifecycleConfig::default();
    let mut lifecycle = Lifecycle::new(config).unwrap();
    let begun = Instant::now();
    lifecycle.spawn(Level::Consumers, "orders", move |stop| async move {
        let deadline = stop.requested().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        let longest = config.until_end_of(Level::Consumers);
        assert!(deadline - begun <= longest && deadline - begun > longest - secs(1));
        // Nothing is at the listener and at the requests, so the level comes sooner.
        sleep(config.drain_delay + Duration::from_millis(1)).await;
        assert!(stop.time_left().unwrap() <= config.consumers);
        Ok::<_, std::io::Error>(())
    });
    lifecycle.trigger().shut_down();
    let report = lifecycle.run().await;
    assert_eq!(report.outcome(), Outcome::Complete, "{report}");
}

#[tokio::test(start_paused = true)]
async fn the_whole_never_takes_longer_than_the_budgets_however_drivers_misbehave() {
    let config = LifecycleConfig::default();
    let mut lifecycle = Lifecycle::new(config).unwrap();
    for level in Level::ALL {
        lifecycle.spawn(level, level.as_str(), |_| std::future::pending::<Result<(), String>>());
    }
    lifecycle.trigger().shut_down();
    let begun = Instant::now();
    let report = lifecycle.run().await;
    assert!(begun.elapsed() <= config.stop_timeout, "{report}");
    assert_eq!(report.abandoned.len(), Level::ALL.len());
}

#[tokio::test(start_paused = true)]
async fn without_a_drain_delay_a_driver_that_ends_at_once_is_not_abandoned() {
    let config = LifecycleConfig::default().with_drain_delay(Duration::ZERO);
    let mut lifecycle = Lifecycle::new(config).unwrap();
    lifecycle.spawn(Level::Readiness, "deregister", |stop| async move {
        stop.requested().await;
        Ok::<_, std::io::Error>(())
    });
    lifecycle.trigger().shut_down();
    let begun = Instant::now();
    let report = lifecycle.run().await;
    assert_eq!(report.outcome(), Outcome::Complete, "{report}");
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn without_a_drain_delay_a_driver_that_does_not_end_is_left_all_the_same() {
    let config = LifecycleConfig::default().with_drain_delay(Duration::ZERO);
    let mut lifecycle = Lifecycle::new(config).unwrap();
    lifecycle.spawn(Level::Readiness, "deaf", |_| std::future::pending::<Result<(), String>>());
    lifecycle.trigger().shut_down();
    let begun = Instant::now();
    let report = lifecycle.run().await;
    assert_eq!(report.abandoned, ["deaf"]);
    assert!(begun.elapsed() < Duration::from_millis(100), "{report}");
}

/// Not when the signal comes, when nobody looks any more.
#[test]
fn a_runtime_without_io_or_without_time_is_noticed_at_the_start() {
    let io_alone = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let time_alone = tokio::runtime::Builder::new_current_thread().enable_time().build();
    for (runtime, lacks) in [(io_alone, "enable_time"), (time_alone, "enable_io")] {
        let _entered = runtime.as_ref().unwrap().enter();
        let made = std::panic::catch_unwind(|| Lifecycle::new(LifecycleConfig::default()).is_ok());
        let panic = made.unwrap_err();
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap();
        assert!(text.contains(lacks), "{text}");
    }
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let error = Lifecycle::new(LifecycleConfig::default()).unwrap_err();
    assert!(matches!(error, LifecycleError::NoRuntime), "{error}");
}
