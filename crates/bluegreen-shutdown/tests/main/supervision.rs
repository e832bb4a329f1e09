use std::time::Duration;

use bluegreen_shutdown::{Cause, DriverEnd, EarlyEnd, Level, Lifecycle, LifecycleConfig, Outcome};
use tokio::time::{Instant, sleep};

type Nothing = Result<(), std::io::Error>;

#[tokio::test(start_paused = true)]
async fn a_panic_is_named_and_ends_the_process_in_order() {
    let mut lifecycle = Lifecycle::new(LifecycleConfig::default()).unwrap();
    let stop = lifecycle.stop(Level::Metrics);
    lifecycle.spawn(Level::Consumers, "orders", |_| async {
        sleep(Duration::from_secs(60)).await;
        if true {
            panic!("no such handler");
        }
        Nothing::Ok(())
    });
    lifecycle.spawn(Level::Metrics, "publisher", |stop| async move {
        stop.requested().await;
        Nothing::Ok(())
    });
    let begun = Instant::now();
    let report = lifecycle.run().await;
    let end = DriverEnd::Panicked("no such handler".to_owned());
    assert_eq!(report.cause, Cause::Driver { name: "orders".to_owned(), end });
    assert_eq!(report.outcome(), Outcome::Failed);
    assert!(report.to_string().contains("driver orders panicked: no such handler"), "{report}");
    assert_eq!(begun.elapsed(), Duration::from_secs(65));
    assert!(stop.is_requested());
}

#[tokio::test(start_paused = true)]
async fn an_early_end_and_an_error_end_the_process_with_their_causes() {
    let ends: [(Result<(), String>, DriverEnd); 2] = [
        (Ok(()), DriverEnd::Finished),
        (Err("queue gone".to_owned()), DriverEnd::Failed("queue gone".to_owned())),
    ];
    for (result, end) in ends {
        let mut lifecycle = Lifecycle::new(LifecycleConfig::default()).unwrap();
        lifecycle.spawn(Level::Consumers, "orders", |_| async { result });
        let report = lifecycle.run().await;
        assert_eq!(report.failed, [("orders".to_owned(), end.clone())]);
        assert_eq!(report.cause, Cause::Driver { name: "orders".to_owned(), end });
        assert_eq!(report.outcome(), Outcome::Failed);
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_optional_driver_the_process_goes_on_but_tells() {
    let mut lifecycle = Lifecycle::new(LifecycleConfig::default()).unwrap();
    lifecycle.spawn_optional(Level::Support, "warm-up", |_| async { Nothing::Ok(()) });
    lifecycle.spawn_optional(Level::Support, "geo", |_| async { Err::<(), _>("no data") });
    let trigger = lifecycle.trigger();
    let begun = Instant::now();
    tokio::spawn(async move {
        sleep(Duration::from_secs(100)).await;
        trigger.shut_down();
    });
    let report = lifecycle.run().await;
    assert!(begun.elapsed() >= Duration::from_secs(100));
    assert_eq!(report.cause, Cause::Requested);
    assert_eq!(report.failed, [("geo".to_owned(), DriverEnd::Failed("no data".to_owned()))]);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_fails_on_the_way_down_is_named_too() {
    let mut lifecycle = Lifecycle::new(LifecycleConfig::default()).unwrap();
    // Long before its level is asked to stop, and after.
    lifecycle.spawn(Level::Metrics, "publisher", {
        let stop = lifecycle.stop(Level::Readiness);
        |_| async move {
            stop.requested().await;
            Nothing::Ok(())
        }
    });
    lifecycle.spawn(Level::Support, "follower", |stop| async move {
        stop.requested().await;
        Err::<(), _>("store gone")
    });
    lifecycle.trigger().shut_down();
    let report = lifecycle.run().await;
    assert_eq!(
        report.failed,
        [
            ("publisher".to_owned(), DriverEnd::Finished),
            ("follower".to_owned(), DriverEnd::Failed("store gone".to_owned())),
        ]
    );
    assert!(report.to_string().contains("driver publisher ended early"), "{report}");
}

/// Panics when it is told, as a failure or as a report.
struct Untellable;

impl std::fmt::Display for Untellable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("cannot be told")
    }
}

impl std::fmt::Debug for Untellable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("cannot be told")
    }
}

impl std::error::Error for Untellable {}

#[tokio::test(start_paused = true)]
async fn an_end_that_panics_when_it_is_told_is_the_drivers_own_failure() {
    for end in [Ok(Untellable), Err(Untellable)] {
        let mut lifecycle = Lifecycle::new(LifecycleConfig::default()).unwrap();
        lifecycle.spawn(Level::Support, "odd", |_| async { end });
        let report = lifecycle.run().await;
        let end = DriverEnd::Panicked("cannot be told".to_owned());
        assert_eq!(report.cause, Cause::Driver { name: "odd".to_owned(), end });
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_lifecycle_takes_its_drivers_along() {
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    let mut lifecycle = Lifecycle::new(LifecycleConfig::default()).unwrap();
    lifecycle.spawn(Level::Support, "holder", |_| async move {
        let _held = sender;
        std::future::pending::<Nothing>().await
    });
    drop(lifecycle);
    assert!(receiver.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_health_probe_hears_of_drivers_that_have_ended_while_the_process_goes_on() {
    let mut lifecycle = Lifecycle::new(LifecycleConfig::default()).unwrap();
    let mut drivers = lifecycle.drivers();
    lifecycle.spawn_optional(Level::Support, "warm-up", |_| async { Nothing::Ok(()) });
    lifecycle.spawn_optional(Level::Support, "geo", |_| async {
        sleep(Duration::from_secs(1)).await;
        Err::<(), _>("no data")
    });
    lifecycle.spawn(Level::Support, "follower", |stop| async move {
        stop.requested().await;
        Nothing::Ok(())
    });
    let trigger = lifecycle.trigger();
    let running = tokio::spawn(lifecycle.run());
    drivers.changed().await;
    let ended = drivers.ended();
    assert_eq!((ended.len(), ended[0].to_string().as_str()), (1, "driver warm-up ended early"));
    assert_eq!(drivers.check(), Ok(()), "one that finished is no failure");
    drivers.changed().await;
    let EarlyEnd { name, level, .. } = drivers.check().unwrap_err();
    assert_eq!((name.as_str(), level), ("geo", Level::Support));
    assert_eq!(drivers.check().unwrap_err().to_string(), "driver geo failed: no data");
    trigger.shut_down();
    assert_eq!(running.await.unwrap().finished[0].name, "follower");
    // It outlives the lifecycle, and what ended as asked is not in it.
    assert_eq!(drivers.ended().len(), 2);
    let waited = tokio::time::timeout(Duration::from_secs(3_600), drivers.changed()).await;
    assert!(waited.is_err(), "it must not spin once nobody can tell it anything");
}

#[tokio::test(start_paused = true)]
async fn an_essential_driver_that_fails_on_the_way_down_is_told_as_well() {
    let mut lifecycle = Lifecycle::new(LifecycleConfig::default()).unwrap();
    let drivers = lifecycle.drivers();
    let readiness = lifecycle.stop(Level::Readiness);
    lifecycle.spawn(Level::Metrics, "publisher", |_| async move {
        readiness.requested().await;
        Err::<(), _>("throttled")
    });
    lifecycle.trigger().shut_down();
    assert_eq!(lifecycle.run().await.outcome(), Outcome::Failed);
    assert_eq!(drivers.ended()[0].name, "publisher");
}
