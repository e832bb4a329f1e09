//! Producers and hooks, which end in the order in which they were declared.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bluegreen_shutdown::{
    DriverEnd, Level, LevelEnd, Lifecycle, LifecycleConfig, Outcome, ShutdownReport,
};
use tokio::time::{Instant, sleep};

type Nothing = Result<(), std::io::Error>;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn lifecycle() -> Lifecycle {
    let config =
        LifecycleConfig::default().with_producers(secs(6)).with_drain_delay(Duration::ZERO);
    Lifecycle::new(config).unwrap()
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn write(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    async fn take(self, name: &'static str, time: Duration) -> Nothing {
        self.write(format!("{name} begins"));
        sleep(time).await;
        self.write(format!("{name} ends"));
        Ok(())
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

async fn end(lifecycle: Lifecycle) -> ShutdownReport {
    lifecycle.trigger().shut_down();
    lifecycle.run().await
}

fn took(report: &ShutdownReport) -> Vec<(&str, Duration)> {
    report.finished.iter().map(|driver| (driver.name.as_str(), driver.took)).collect()
}

#[tokio::test(start_paused = true)]
async fn hooks_and_producers_end_one_after_the_other_in_declared_order() {
    let (mut lifecycle, log) = (lifecycle(), Log::default());
    lifecycle.hook("first hook", log.clone().take("first hook", secs(1)));
    lifecycle.spawn(Level::Producers, "outbox", {
        let log = log.clone();
        |stop| async move {
            stop.requested().await;
            log.take("outbox", secs(2)).await
        }
    });
    lifecycle.hook("last hook", log.clone().take("last hook", secs(1)));
    let report = end(lifecycle).await;
    let order = ["first hook", "outbox", "last hook"];
    let lines: Vec<_> =
        order.iter().flat_map(|n| [format!("{n} begins"), format!("{n} ends")]).collect();
    assert_eq!(log.lines(), lines);
    assert_eq!(
        took(&report),
        [("first hook", secs(1)), ("outbox", secs(2)), ("last hook", secs(1))]
    );
    assert_eq!(report.outcome(), Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_is_abandoned_after_its_share_and_the_next_still_runs() {
    let (mut lifecycle, log) = (lifecycle(), Log::default());
    lifecycle.hook("hangs", std::future::pending::<Nothing>());
    lifecycle.spawn(Level::Producers, "deaf", |_| std::future::pending::<Nothing>());
    lifecycle.hook("audit log", log.clone().take("audit log", secs(1)));
    let begun = Instant::now();
    let report = end(lifecycle).await;
    // A third of six seconds, half of the four that are left, and what the last one needs.
    assert_eq!(begun.elapsed(), secs(2 + 2 + 1));
    assert_eq!(report.abandoned, ["hangs", "deaf"]);
    assert_eq!(took(&report), [("audit log", secs(1))]);
    assert_eq!(report.outcome(), Outcome::Abandoned);
    let level = report.levels.iter().find(|level| level.level == Level::Producers).unwrap();
    assert_eq!((level.took, level.end), (secs(5), LevelEnd::DeadlinePassed));
}

#[tokio::test(start_paused = true)]
async fn time_that_one_leaves_unused_goes_to_the_others() {
    let mut lifecycle = lifecycle();
    lifecycle.hook("quick", async { Nothing::Ok(()) });
    lifecycle.spawn(Level::Producers, "slow", |stop| async move {
        let deadline = stop.requested().await;
        // Half of the whole six seconds, less the notice.
        assert_eq!(deadline - Instant::now(), secs(3) - Duration::from_millis(100));
        Nothing::Ok(())
    });
    lifecycle.hook("slowest", async {
        sleep(secs(6) - Duration::from_millis(1)).await;
        Nothing::Ok(())
    });
    assert_eq!(end(lifecycle).await.outcome(), Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_ends_with_the_one_before_has_no_turn_and_takes_no_share() {
    let mut lifecycle = lifecycle();
    let (feed, fed) = tokio::sync::oneshot::channel::<()>();
    lifecycle.spawn(Level::Producers, "source", |stop| async move {
        stop.requested().await;
        drop(feed);
        sleep(secs(1)).await;
        Nothing::Ok(())
    });
    // Not asked to stop, but nothing will come any more.
    lifecycle.spawn(Level::Producers, "sink", |_| async move {
        fed.await.ok();
        Nothing::Ok(())
    });
    lifecycle.hook("hook", async {
        sleep(secs(5) - Duration::from_millis(1)).await;
        Nothing::Ok(())
    });
    let report = end(lifecycle).await;
    assert_eq!(report.outcome(), Outcome::Complete, "{report}");
    assert_eq!(report.finished.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_or_panics_is_named_and_the_next_still_runs() {
    let (mut lifecycle, log) = (lifecycle(), Log::default());
    lifecycle.hook("fails", async { Err::<(), _>("disk full") });
    lifecycle.hook("panics", async {
        if true {
            panic!("no such table");
        }
        Nothing::Ok(())
    });
    lifecycle.hook("audit log", log.clone().take("audit log", secs(1)));
    let report = end(lifecycle).await;
    let ends = [
        ("fails".to_owned(), DriverEnd::Failed("disk full".to_owned())),
        ("panics".to_owned(), DriverEnd::Panicked("no such table".to_owned())),
    ];
    assert_eq!(report.failed, ends);
    assert_eq!(report.outcome(), Outcome::Failed);
    assert_eq!(log.lines().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn hooks_run_also_when_a_driver_ends_the_process() {
    let (mut lifecycle, log) = (lifecycle(), Log::default());
    lifecycle.hook("audit log", log.clone().take("audit log", Duration::ZERO));
    lifecycle.spawn(Level::Consumers, "orders", |_| async { Err::<(), _>("queue gone") });
    let report = lifecycle.run().await;
    assert_eq!(report.outcome(), Outcome::Failed);
    assert_eq!(log.lines().len(), 2);
}
