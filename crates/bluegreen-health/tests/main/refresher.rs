use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bluegreen_core::Stop;
use bluegreen_health::{Fault, FaultKind, Health, HealthConfig, Probe, Status};
use tokio::time::sleep;

use crate::scene::{ask, check, identity, passing, run, secs, switched, until};

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
    good.set(true);
    sleep(secs(7)).await;
    assert_eq!(health.status(), Status::Degraded);
    for path in ["/health", "/health/ready", "/health/startup"] {
        assert_eq!(ask(&health, path).await.0, 200, "{path}");
    }
    // Once open it stays open, whatever becomes of readiness.
    good.set(false);
    sleep(secs(20)).await;
    assert_eq!(ask(&health, "/health/ready").await.0, 503);
    assert_eq!(ask(&health, "/health/startup").await.0, 200);
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

#[tokio::test]
async fn a_blocking_probe_blocks_nobody_and_never_runs_twice_at_a_time() {
    // A single thread: were the probe to run on it, this test would not get far.
    let (unblock, blocked) = mpsc::channel::<()>();
    let blocked = Mutex::new(blocked);
    let runs = Arc::new(AtomicUsize::new(0));
    let blocking = {
        let runs = Arc::clone(&runs);
        Probe::blocking(move || {
            runs.fetch_add(1, Ordering::SeqCst);
            blocked.lock().unwrap().recv().ok();
            Ok::<_, Fault>(())
        })
    };
    let config = HealthConfig::default()
        .with_interval(Duration::from_millis(20))
        .with_timeout(Duration::from_millis(20))
        .with_staleness(secs(60));
    let builder = Health::builder(&identity()).config(config);
    let (health, _task) = run(builder.probe("db", blocking).probe("q", passing()));
    let says = "an earlier check still blocks its thread";
    until(|| health.snapshot().checks[0].message.as_deref() == Some(says)).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(health.snapshot().checks[1].status, Status::Healthy);
    drop(unblock);
    until(|| health.status() == Status::Healthy).await;
}

#[tokio::test]
async fn a_blocking_probe_that_panics_fails_alone() {
    let panicking = Probe::blocking(|| {
        if true {
            panic!("no such file");
        }
        Ok::<_, Fault>(())
    });
    let check = crate::scene::first_result(panicking).await;
    assert_eq!(check.kind, Some(FaultKind::Panicked));
    assert_eq!(check.cause.as_deref(), Some("panicked: no such file"));
}

/// What can be done where the service itself has but one thread.
#[tokio::test]
async fn on_a_thread_of_its_own_a_blocked_refresher_turns_the_answers_stale() {
    let (unblock, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let (blocks, is_blocked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let probe = {
        let (blocks, is_blocked) = (Arc::clone(&blocks), Arc::clone(&is_blocked));
        Probe::new(move || {
            let (blocked, blocks) = (Arc::clone(&blocked), Arc::clone(&blocks));
            let is_blocked = Arc::clone(&is_blocked);
            async move {
                if blocks.load(Ordering::SeqCst) {
                    is_blocked.store(true, Ordering::SeqCst);
                    blocked.lock().unwrap().recv().ok();
                }
                Ok::<_, Fault>(())
            }
        })
    };
    let config = HealthConfig::default()
        .with_interval(Duration::from_millis(20))
        .with_timeout(Duration::from_millis(20));
    let builder = Health::builder(&identity()).config(config).probe("db", probe);
    let (health, refresher) = builder.build().unwrap();
    let (stopper, stop) = Stop::new();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(refresher.run(stop)).unwrap()
    });
    until(|| health.status() == Status::Healthy).await;
    blocks.store(true, Ordering::SeqCst);
    until(|| is_blocked.load(Ordering::SeqCst)).await;
    until(|| health.status() == Status::Unhealthy).await;
    assert!(ask(&health, "/health/ready").await.1.contains("the checks no longer run"));
    stopper.stop(Duration::ZERO);
    drop(unblock);
    assert!(thread.join().unwrap().runs >= 1);
}

#[tokio::test(start_paused = true)]
async fn a_probe_may_have_an_interval_of_its_own() {
    let counted = || {
        let runs = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&runs);
        let probe = Probe::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, Fault>(()) }
        });
        (probe, runs)
    };
    let ((often, often_runs), (rarely, rare_runs)) = (counted(), counted());
    let builder = Health::builder(&identity())
        .probe("often", often.with_interval(secs(1)))
        .probe("rarely", rarely.with_interval(secs(60)));
    let (health, task) = run(builder);
    for _ in 0..300 {
        sleep(secs(1)).await;
        // The rare one is not too old in between.
        assert_eq!(health.status(), Status::Healthy);
    }
    let (often, rare) = (often_runs.load(Ordering::SeqCst), rare_runs.load(Ordering::SeqCst));
    assert!((270..=334).contains(&often) && (5..=6).contains(&rare), "{often} and {rare}");
    task.abort();
    // The first of them to be too old is enough: three of its intervals and a time-out.
    sleep(secs(8)).await;
    assert_eq!(health.status(), Status::Unhealthy);
}

#[tokio::test(start_paused = true)]
async fn each_run_has_a_span_with_its_name() {
    let spans = tracing_subscriber::registry();
    let _here = tracing::subscriber::set_default(spans);
    let seen = Arc::new(Mutex::new(None));
    let probe = {
        let seen = Arc::clone(&seen);
        Probe::new(move || {
            let seen = Arc::clone(&seen);
            async move {
                let name = tracing::Span::current().metadata().map(|span| span.name());
                *seen.lock().unwrap() = name;
                Ok::<_, Fault>(())
            }
        })
    };
    let (_health, _task) = run(Health::builder(&identity()).probe("db", probe));
    sleep(secs(1)).await;
    assert_eq!(*seen.lock().unwrap(), Some("health_check"));
}

#[tokio::test(start_paused = true)]
async fn a_process_without_probes_stays_healthy_while_somebody_is_here() {
    let (health, task) = run(Health::builder(&identity()));
    sleep(secs(600)).await;
    assert_eq!(ask(&health, "/health/ready").await.0, 200);
    task.abort();
    sleep(secs(21)).await;
    assert_eq!(ask(&health, "/health/ready").await.0, 503);
}

#[tokio::test(start_paused = true)]
async fn a_result_is_as_fresh_as_the_end_of_its_run() {
    // Each run takes nearly its time-out; counted from its beginning, results would be too old.
    let slow = Probe::new(|| async {
        sleep(secs(9)).await;
        Ok::<_, Fault>(())
    });
    let slow = slow.with_timeout(secs(10)).with_interval(secs(1));
    let config = HealthConfig::default().with_staleness(secs(12));
    let (health, _task) = run(Health::builder(&identity()).config(config).probe("db", slow));
    sleep(secs(10)).await;
    for _ in 0..1_000 {
        assert_eq!(health.status(), Status::Healthy);
        sleep(Duration::from_millis(100)).await;
    }
}

/// What the README says of it: two runs of up to 5.5 s and 3 s each.
#[tokio::test(start_paused = true)]
async fn a_dependency_that_hangs_is_told_within_17_seconds() {
    for seed in 0..20 {
        let hangs = Arc::new(AtomicBool::new(false));
        let probe = {
            let hangs = Arc::clone(&hangs);
            Probe::new(move || {
                let hangs = hangs.load(Ordering::SeqCst);
                async move {
                    if hangs {
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, Fault>(())
                }
            })
        };
        let config = HealthConfig::default().with_seed(seed);
        let (health, _task) = run(Health::builder(&identity()).config(config).probe("db", probe));
        sleep(Duration::from_millis(10)).await;
        hangs.store(true, Ordering::SeqCst);
        let begun = tokio::time::Instant::now();
        until(|| health.status() == Status::Unhealthy).await;
        assert!(begun.elapsed() <= secs(17), "{:?} by seed {seed}", begun.elapsed());
    }
}

/// Collects what is logged, a line an event with its level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_error_says_goes_to_the_log_and_a_misconfiguration_is_an_error_there() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::CLOSE)
        .with_writer({
            let log = log.clone();
            move || log.clone()
        })
        .finish();
    let _here = tracing::subscriber::set_default(subscriber);
    let failing = |kind, cause: &'static str| {
        Probe::new(move || async move { Err::<(), _>(Fault::new(kind).caused_by(cause)) })
    };
    let builder = Health::builder(&identity())
        .probe("db", failing(FaultKind::Unreachable, "no route to db-1.internal"))
        .probe("queue", failing(FaultKind::Denied, "no sqs:GetQueueAttributes"));
    let (_health, _task) = run(builder);
    sleep(secs(1)).await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let line = |text: &str| log.lines().find(|line| line.contains(text)).unwrap_or_default();
    assert!(line("no route to db-1.internal").contains("WARN"), "{log}");
    assert!(line("no sqs:GetQueueAttributes").contains("ERROR"), "{log}");
    assert!(log.contains("health_check{check=\"queue\" class=\"denied\"}"), "{log}");
}
