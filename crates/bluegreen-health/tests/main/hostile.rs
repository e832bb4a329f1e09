//! Probes that do what no probe should, and the least that everything else may suffer from it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bluegreen_core::Stop;
use bluegreen_health::{Fault, FaultKind, Health, Probe, Status};
use tokio::time::sleep;

use crate::scene::{ask, first_result, identity, passing, run, secs};

/// Runs it beside a probe that is well; answers what it says after a minute.
async fn endure(probe: Probe) -> bluegreen_health::Check {
    let builder = Health::builder(&identity());
    let (health, task) = run(builder.probe("bad", probe.informational()).probe("good", passing()));
    sleep(secs(60)).await;
    assert!(!task.is_finished(), "the refresher has died of it");
    assert_eq!(ask(&health, "/health/ready").await.0, 200);
    assert_eq!(health.snapshot().checks[1].status, Status::Healthy);
    health.snapshot().checks[0].clone()
}

/// An error that cannot be told.
#[derive(Debug)]
enum Untold {
    Panics,
    Fails,
}

impl fmt::Display for Untold {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panics => panic!("in Display"),
            Self::Fails => Err(fmt::Error),
        }
    }
}

impl Error for Untold {}

#[tokio::test(start_paused = true)]
async fn an_error_that_cannot_be_told_is_its_own_checks_failure() {
    for error in [|| Untold::Panics, || Untold::Fails] {
        let check = endure(Probe::new(move || async move { Err::<(), _>(error()) })).await;
        assert_eq!(check.kind, Some(FaultKind::Panicked));
    }
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in Drop");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_that_panics_once_more_is_its_own_checks_failure() {
    let panics = || async {
        if true {
            std::panic::panic_any(Bomb);
        }
        Ok::<_, Fault>(())
    };
    assert_eq!(endure(Probe::new(panics)).await.kind, Some(FaultKind::Panicked));
    let blocking = || {
        if true {
            std::panic::panic_any(Bomb);
        }
        Ok::<_, Fault>(())
    };
    assert_eq!(first_result(Probe::blocking(blocking)).await.kind, Some(FaultKind::Panicked));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_panics_when_it_is_given_up_has_timed_out() {
    let hung = || {
        let bomb = Bomb;
        async move {
            let _bomb = bomb;
            std::future::pending::<Result<(), Fault>>().await
        }
    };
    assert_eq!(endure(Probe::new(hung)).await.kind, Some(FaultKind::TimedOut));
}

#[tokio::test]
async fn a_boxed_error_and_a_text_are_faults_as_well() {
    type Boxed = Box<dyn Error + Send + Sync>;
    let refused = || async {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        Err::<(), Boxed>(refused.into())
    };
    let boxed = Probe::new(move || async move { refused().await.map_err(Fault::because) });
    assert_eq!(first_result(boxed).await.kind, Some(FaultKind::Unreachable));
    let text = Probe::new(|| async { Err::<(), _>(Fault::because("the moon is full")) });
    let check = first_result(text).await;
    assert_eq!(check.cause.as_deref(), Some("the moon is full"));
}

/// Known from tokio-graceful-shutdown #50: `spawn_blocking` keeps the runtime from ending.
#[test]
fn a_blocking_probe_that_hangs_keeps_no_process_from_ending() {
    let (ended, end) = std::sync::mpsc::channel();
    let (unblock, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = std::sync::Mutex::new(blocked);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let (begun, begin) = std::sync::mpsc::channel();
            let hung = Probe::blocking(move || {
                begun.send(()).ok();
                blocked.lock().unwrap().recv().ok();
                Ok::<_, Fault>(())
            });
            let (_health, refresher) =
                Health::builder(&identity()).probe("disk", hung).build().unwrap();
            let (stopper, stop) = Stop::new();
            let running = tokio::spawn(refresher.run(stop));
            tokio::task::spawn_blocking(move || begin.recv()).await.unwrap().unwrap();
            stopper.stop(Duration::ZERO);
            running.await.unwrap().unwrap();
        });
        drop(runtime);
        ended.send(()).ok();
    });
    // It is still hung while this waits; without a bound the test would hang with it.
    end.recv_timeout(secs(60)).expect("the runtime waits for the probe");
    drop(unblock);
}

#[tokio::test(start_paused = true)]
async fn a_refresher_dropped_at_any_moment_leaves_no_run_behind() {
    struct Under(Arc<AtomicUsize>);
    impl Drop for Under {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    for moment in [0, 1, 1_999, 2_000, 2_001, 3_000, 5_000, 7_000] {
        let under_way = Arc::new(AtomicUsize::new(0));
        let probe = {
            let under_way = Arc::clone(&under_way);
            Probe::new(move || {
                under_way.fetch_add(1, Ordering::SeqCst);
                let under = Under(Arc::clone(&under_way));
                async move {
                    sleep(secs(2)).await;
                    drop(under);
                    Ok::<_, Fault>(())
                }
            })
        };
        let (_health, refresher) = Health::builder(&identity()).probe("db", probe).build().unwrap();
        let running = refresher.run(Stop::never());
        drop(tokio::time::timeout(Duration::from_millis(moment), running).await);
        sleep(secs(60)).await;
        assert_eq!(under_way.load(Ordering::SeqCst), 0, "dropped after {moment} ms");
    }
}
