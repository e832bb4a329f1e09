use std::time::Duration;

use bluegreen_shutdown::{Cause, DriverEnd, Level, Lifecycle, LifecycleConfig, Outcome};
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
