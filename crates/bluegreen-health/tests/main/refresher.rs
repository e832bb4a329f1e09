use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bluegreen_core::Stop;
use bluegreen_health::{Fault, FaultKind, Health, HealthBuilder, HealthConfig, Probe, Status};
use tokio::time::sleep;

use crate::scene::{ask, check, identity, until};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn passing() -> Probe {
    Probe::new(|| async { Ok::<_, Fault>(()) })
}

/// A probe whose outcome the test decides.
fn switched() -> (Probe, Arc<AtomicBool>) {
    let good = Arc::new(AtomicBool::new(false));
    let probe = {
        let good = Arc::clone(&good);
        Probe::new(move || {
            let good = good.load(Ordering::SeqCst);
            async move {
                if good { Ok(()) } else { Err(std::io::Error::other("secret host db-1.internal")) }
            }
        })
    };
    (probe, good)
}

fn run(builder: HealthBuilder) -> (Health, tokio::task::JoinHandle<()>) {
    let (health, refresher) = builder.build().unwrap();
    let task = tokio::spawn(async move {
        refresher.run(Stop::never()).await.unwrap();
    });
    (health, task)
}

#[tokio::test(start_paused = true)]
async fn start_up_is_closed_until_every_critical_probe_has_passed_once() {
    let (probe, good) = switched();
    let (never, _) = switched();
    let builder = Health::builder(&identity())
        .probe("db", probe)
        .probe("cache", never.degrading())
        .probe("mail", passing());
    let (health, _task) = run(builder);
    assert_eq!(check(&health, "db").await["message"], "not checked yet");
    for _ in 0..2 {
        for path in ["/health", "/health/ready", "/health/startup"] {
            assert_eq!(ask(&health, path).await.0, 503, "{path}");
        }
        assert_eq!(ask(&health, "/health/live").await.0, 200);
        sleep(secs(7)).await;
    }
    good.store(true, Ordering::SeqCst);
    sleep(secs(7)).await;
    assert_eq!(health.status(), Status::Degraded);
    for path in ["/health", "/health/ready", "/health/startup"] {
        assert_eq!(ask(&health, path).await.0, 200, "{path}");
    }
    // Once open it stays open, whatever becomes of readiness.
    good.store(false, Ordering::SeqCst);
    sleep(secs(20)).await;
    assert_eq!(ask(&health, "/health/ready").await.0, 503);
    assert_eq!(ask(&health, "/health/startup").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn raw_errors_stay_out_of_every_answer() {
    let (probe, _) = switched();
    let (health, _task) = run(Health::builder(&identity()).probe("db", probe));
    sleep(secs(1)).await;
    let (_, body) = ask(&health, "/health").await;
    assert!(!body.contains("secret") && body.contains("the check failed"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_hung_probe_fails_alone_and_never_runs_twice_at_a_time() {
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    struct Leave(Arc<AtomicUsize>);
    impl Drop for Leave {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let hung = {
        let most = Arc::clone(&most);
        Probe::new(move || {
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            let leave = Leave(Arc::clone(&running));
            async move {
                let _leave = leave;
                std::future::pending::<Result<(), Fault>>().await
            }
        })
    };
    let (health, _task) = run(Health::builder(&identity()).probe("db", hung).probe("q", passing()));
    sleep(secs(1)).await;
    // The other one's result does not wait for it.
    assert_eq!(check(&health, "q").await["status"], "healthy");
    sleep(secs(60)).await;
    let db = check(&health, "db").await;
    assert_eq!((&db["status"], &db["class"]), (&"unhealthy".into(), &"timed-out".into()));
    assert_eq!(db["message"], "timed out after 3s");
    assert_eq!(most.load(Ordering::SeqCst), 1);
    assert_eq!(check(&health, "q").await["status"], "healthy");
}

#[tokio::test(start_paused = true)]
async fn a_panicking_probe_fails_alone_and_runs_again() {
    let runs = Arc::new(AtomicUsize::new(0));
    let panicking = {
        let runs = Arc::clone(&runs);
        // In the closure itself at first, then in its future.
        Probe::new(move || {
            let run = runs.fetch_add(1, Ordering::SeqCst);
            assert!(run > 0, "in the closure");
            async move {
                assert!(run > 2, "in the future");
                Ok::<_, Fault>(())
            }
        })
    };
    let builder = Health::builder(&identity()).probe("db", panicking).probe("q", passing());
    let (health, _task) = run(builder);
    for _ in 0..2 {
        sleep(secs(1)).await;
        assert_eq!(check(&health, "db").await["class"], "panicked");
        assert_eq!(check(&health, "q").await["status"], "healthy");
        sleep(secs(5)).await;
    }
    sleep(secs(15)).await;
    assert!(runs.load(Ordering::SeqCst) > 3);
    assert_eq!(ask(&health, "/health").await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_probe_that_blocks_its_thread_fails_alone_and_takes_one_thread_only() {
    let (unblock, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let runs = Arc::new(AtomicUsize::new(0));
    let blocking = {
        let runs = Arc::clone(&runs);
        Probe::new(move || {
            let (blocked, runs) = (Arc::clone(&blocked), Arc::clone(&runs));
            async move {
                runs.fetch_add(1, Ordering::SeqCst);
                blocked.lock().unwrap().recv().ok();
                Ok::<_, Fault>(())
            }
        })
    };
    let passes = Arc::new(AtomicUsize::new(0));
    let other = {
        let passes = Arc::clone(&passes);
        Probe::new(move || {
            passes.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, Fault>(()) }
        })
    };
    let config = HealthConfig::default()
        .with_interval(Duration::from_millis(20))
        .with_timeout(Duration::from_millis(20));
    let builder = Health::builder(&identity()).config(config);
    let (health, _task) = run(builder.probe("db", blocking).probe("q", other));
    let message = |health: &Health| health.snapshot().checks[0].message.clone();
    let says = "an earlier check still blocks its thread";
    until(|| message(&health).as_deref() == Some(says)).await;
    let so_far = passes.load(Ordering::SeqCst);
    until(|| passes.load(Ordering::SeqCst) > so_far + 3).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    drop(unblock);
    until(|| health.status() == Status::Healthy).await;
}

#[tokio::test(start_paused = true)]
async fn results_that_nobody_refreshes_become_unhealthy_by_themselves() {
    let (health, task) = run(Health::builder(&identity()).probe("db", passing()));
    sleep(secs(60)).await;
    assert_eq!(ask(&health, "/health").await.0, 200);
    task.abort();
    // Three intervals and a time-out, and no sooner than two intervals.
    sleep(secs(10)).await;
    assert_eq!(ask(&health, "/health").await.0, 200);
    sleep(secs(9)).await;
    for path in ["/health", "/health/ready"] {
        let (status, body) = ask(&health, path).await;
        assert_eq!(status, 503);
        assert!(body.contains("the checks no longer run"), "{body}");
    }
    assert_eq!(health.status(), Status::Unhealthy);
    assert_eq!(ask(&health, "/health/live").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_requests_runs_no_probe() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = {
        let runs = Arc::clone(&runs);
        Probe::new(move || {
            runs.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, Fault>(()) }
        })
    };
    let (health, _task) = run(Health::builder(&identity()).probe("db", counted));
    sleep(secs(1)).await;
    for _ in 0..1_000 {
        assert_eq!(ask(&health, "/health").await.0, 200);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    sleep(secs(100)).await;
    // Every five seconds, give or take a tenth.
    let runs = runs.load(Ordering::SeqCst);
    assert!((18..=24).contains(&runs), "{runs}");
}

#[tokio::test(start_paused = true)]
async fn probes_of_two_processes_do_not_run_in_step() {
    let times = |seed| async move {
        let begun = tokio::time::Instant::now();
        let times = Arc::new(Mutex::new(Vec::new()));
        let probe = {
            let times = Arc::clone(&times);
            Probe::new(move || {
                times.lock().unwrap().push(begun.elapsed());
                async { Ok::<_, Fault>(()) }
            })
        };
        let config = HealthConfig::default().with_seed(seed);
        let (_health, task) = run(Health::builder(&identity()).config(config).probe("db", probe));
        sleep(secs(60)).await;
        task.abort();
        times.lock().unwrap().clone()
    };
    let (one, same, other) = (times(1).await, times(1).await, times(2).await);
    assert_eq!(one, same);
    assert!(one.iter().skip(1).zip(other.iter().skip(1)).all(|(one, other)| one != other));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_refresher_drops_the_run_under_way_and_says_what_it_did() {
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    let sender = Mutex::new(Some(sender));
    let hung = Probe::new(move || {
        let held = sender.lock().unwrap().take();
        async move {
            let _held = held;
            std::future::pending::<Result<(), Fault>>().await
        }
    });
    let builder = Health::builder(&identity()).probe("db", hung).probe("q", passing());
    let (_health, refresher) = builder.build().unwrap();
    let (stopper, stop) = Stop::new();
    let task = tokio::spawn(refresher.run(stop));
    sleep(secs(1)).await;
    stopper.stop(secs(1));
    let report = task.await.unwrap().unwrap();
    assert_eq!((report.runs, report.failed), (1, 0));
    assert!(receiver.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_partial_fault_degrades_and_keeps_the_process_in_service() {
    let throttled = Arc::new(AtomicBool::new(false));
    let probe = {
        let throttled = Arc::clone(&throttled);
        Probe::new(move || {
            let throttled = throttled.load(Ordering::SeqCst);
            async move { if throttled { Err(Fault::new(FaultKind::Throttled)) } else { Ok(()) } }
        })
    };
    let (health, _task) = run(Health::builder(&identity()).probe("db", probe));
    sleep(secs(1)).await;
    throttled.store(true, Ordering::SeqCst);
    sleep(secs(60)).await;
    let (status, body) = ask(&health, "/health").await;
    assert_eq!(status, 200);
    assert!(body.starts_with("{\"status\":\"degraded\""), "{body}");
}
