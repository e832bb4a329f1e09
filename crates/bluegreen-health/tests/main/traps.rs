//! The traps that health libraries are known to have, each by a test that would fall into it.
//!
//! Those of one kind of probe stand with it: a demoted writer that answers `SELECT 1`, a full pool
//! that reads as down and a silent connection in `postgres.rs`; the control plane's quota and a
//! hung AWS call in `aws.rs`; a saturated service inside in `layer.rs`; a probe that blocks its
//! thread in `refresher.rs`.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bluegreen_core::Stop;
use bluegreen_health::{Fault, FaultKind, Health, Probe, Status};
use http::{Request, Response, StatusCode};
use tokio::time::{Instant, sleep};
use tower::{Layer, service_fn};

use crate::scene::{
    ask, ask_through, check, health, identity, passing, run, secs, switched, until,
};

async fn two_seconds() -> Result<(), Fault> {
    sleep(secs(2)).await;
    Ok(())
}

/// axum-health and heptio's run one probe after the other: three of 100 ms took 300 ms.
#[tokio::test(start_paused = true)]
async fn probes_run_side_by_side() {
    let mut builder = Health::builder(&identity());
    for name in ["one", "two", "three"] {
        builder = builder.probe(name, Probe::new(two_seconds));
    }
    let begun = Instant::now();
    let (health, _task) = run(builder);
    until(|| health.status() == Status::Healthy).await;
    assert_eq!(begun.elapsed().as_secs(), 2);
}

/// alexliesenfeld/health holds one lock: a slow probe blocks everybody who asks.
#[tokio::test(start_paused = true)]
async fn an_answer_waits_for_no_run_under_way() {
    let (health, _task) = run(Health::builder(&identity()).probe("slow", Probe::new(two_seconds)));
    sleep(secs(1)).await;
    let asked = Instant::now();
    for path in ["/health", "/health/live", "/health/ready", "/health/startup"] {
        ask(&health, path).await;
    }
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

/// alexliesenfeld/health with `MaxContiguousFails`: one that never passed counts as up until then,
/// so that a broken release passes its first checks.
#[tokio::test(start_paused = true)]
async fn one_that_never_passed_is_not_let_in_by_the_threshold_for_falling() {
    let (probe, _) = switched();
    let (health, _task) = run(Health::builder(&identity()).probe("db", probe));
    for _ in 0..100 {
        assert_eq!(ask(&health, "/health/ready").await.0, 503);
        sleep(Duration::from_millis(100)).await;
    }
}

/// axum-health 0.1.2: *unknown* outranked *down* and was answered with 200.
#[tokio::test(start_paused = true)]
async fn one_not_known_yet_beside_one_that_failed_is_no_pass() {
    let hung = Probe::new(std::future::pending::<Result<(), Fault>>).with_timeout(secs(600));
    let (failing, _) = switched();
    let (health, _task) = run(Health::builder(&identity()).probe("a", hung).probe("b", failing));
    sleep(secs(20)).await;
    assert_eq!(check(&health, "a").await["message"], "not checked yet");
    assert_eq!(ask(&health, "/health").await.0, 503);
}

/// Spring's restart cascade: liveness that looks at a database restarts the fleet with it.
#[tokio::test(start_paused = true)]
async fn liveness_looks_at_nothing_outside() {
    let (probe, _) = switched();
    let (health, task) = run(Health::builder(&identity()).probe("db", probe));
    let before = ask(&health, "/health/live").await;
    sleep(secs(60)).await;
    task.abort();
    sleep(secs(600)).await;
    assert_eq!(ask(&health, "/health/live").await, before);
    assert_eq!(before.0, 200);
}

/// Spring #14022 and #15479, the Builders' Library: one outage of what all share takes the whole
/// fleet out. ECS would replace tasks that fail together, over and over.
#[tokio::test(start_paused = true)]
async fn an_outage_of_what_all_share_takes_nobody_out() {
    let (probe, good) = switched();
    let (health, _task) = run(Health::builder(&identity()).probe("db", probe.shared()));
    sleep(secs(10)).await;
    assert_eq!(ask(&health, "/health/ready").await.0, 503);
    good.set(true);
    sleep(secs(10)).await;
    good.set(false);
    sleep(secs(600)).await;
    let (code, body) = ask(&health, "/health").await;
    assert_eq!(code, 200);
    assert!(body.starts_with("{\"status\":\"degraded\"") && body.contains("the check failed"));
}

/// Go's libraries and ASP.NET Core leave the run of a timed-out probe behind; the next comes on top.
#[tokio::test(start_paused = true)]
async fn a_run_that_timed_out_is_gone() {
    struct Under(Arc<AtomicUsize>);
    impl Drop for Under {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let under_way = Arc::new(AtomicUsize::new(0));
    let hung = {
        let under_way = Arc::clone(&under_way);
        Probe::new(move || {
            under_way.fetch_add(1, Ordering::SeqCst);
            let under = Under(Arc::clone(&under_way));
            async move {
                let _under = under;
                std::future::pending::<Result<(), Fault>>().await
            }
        })
    };
    let (health, _task) = run(Health::builder(&identity()).probe("db", hung));
    sleep(secs(1)).await;
    assert_eq!(under_way.load(Ordering::SeqCst), 1);
    sleep(secs(3)).await;
    assert_eq!(health.snapshot().checks[0].kind, Some(FaultKind::TimedOut));
    assert_eq!(under_way.load(Ordering::SeqCst), 0);
}

/// axum-health: a probe that hangs means no answer at all. ASP.NET Core and Go's libraries only ask a
/// timed-out probe to end, and leave it behind.
#[tokio::test(start_paused = true)]
async fn a_hung_probe_hangs_no_answer_fails_alone_and_never_runs_twice_at_a_time() {
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

/// axum-health: the panic ends the task of the request that asked.
#[tokio::test(start_paused = true)]
async fn a_panicking_probe_kills_no_request_fails_alone_and_runs_again() {
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

/// axum-health ran 300 probes for 100 requests; in ASP.NET Core and hellofresh/health the endpoint runs
/// everything again each time; Airbyte's health route loaded its database pool.
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

/// hellofresh/health and axum-health show everybody what the driver said.
#[tokio::test(start_paused = true)]
async fn raw_errors_stay_out_of_every_answer() {
    let (probe, _) = switched();
    let (health, _task) = run(Health::builder(&identity()).probe("db", probe));
    sleep(secs(1)).await;
    let (_, body) = ask(&health, "/health").await;
    assert!(!body.contains("secret") && body.contains("the check failed"), "{body}");
}

/// Background refreshers of any kind: when they die, the last result stays green for ever.
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

/// Load balancers send no credentials: a health route behind authentication takes every task out.
#[tokio::test]
async fn authentication_inside_does_not_refuse_the_load_balancer() {
    let refuse = |_: Request<String>| async {
        let refusal = Response::builder().status(StatusCode::UNAUTHORIZED).body(String::new());
        Ok::<_, Infallible>(refusal.unwrap())
    };
    let mut service = health().layer().layer(service_fn(refuse));
    assert_eq!(ask_through(&mut service, "/health/ready").await.0, 200);
    assert_eq!(ask_through(&mut service, "/orders").await.0, 401);
}

/// Lightship answers 500 at `/live` while it drains, so that the orchestrator may kill it.
#[tokio::test]
async fn draining_takes_readiness_away_at_once_and_leaves_life() {
    let (stopper, stop) = Stop::new();
    let (health, _refresher) = Health::builder(&identity()).draining_when(stop).build().unwrap();
    assert_eq!(ask(&health, "/health/ready").await.0, 200);
    stopper.stop(Duration::from_secs(30));
    for path in ["/health", "/health/ready"] {
        let (status, body) = ask(&health, path).await;
        assert_eq!(status, 503);
        assert!(body.starts_with("{\"status\":\"draining\""), "{body}");
    }
    assert_eq!(health.status(), Status::Draining);
    for path in ["/health/live", "/health/startup"] {
        assert_eq!(ask(&health, path).await.0, 200, "{path}");
    }
}
