//! 10,000 tasks that ask for health again and again, while the dependency behind it is well and
//! while it hangs: how long a request that passes through takes meanwhile, and how often the probe
//! runs.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use axum::body::Body;
use bluegreen::Stop;
use bluegreen::health::{Health, HealthConfig, Probe};
use http::{Request, Response};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::{print, scene};
use crate::cpu;
use crate::figure::Printer;

const ASKING: usize = 10_000;
const PASSING: usize = 200;
const INTERVAL: Duration = Duration::from_millis(100);

/// How the dependency behind the probe is.
#[derive(Clone, Copy)]
enum Dependency {
    Well,
    Hanging,
}

/// One run: the 99th percentile of a pass-through in microseconds, and the probe's runs for each
/// interval that went by.
struct Run {
    p99: f64,
    runs_per_interval: f64,
}

pub(super) fn run(printer: &Printer, rounds: usize) -> Result<()> {
    let (mut well, mut hanging) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        well.push(storm(Dependency::Well)?);
        hanging.push(storm(Dependency::Hanging)?);
    }
    let median = |runs: &[Run], of: fn(&Run) -> f64| cpu::median(runs.iter().map(of).collect());
    // Of the medians: a single round's p99 is at the mercy of whatever else the machine does.
    let ratio = median(&hanging, |run| run.p99) / median(&well, |run| run.p99);
    let most = well.iter().chain(&hanging).map(|run| run.runs_per_interval).fold(0.0, f64::max);
    print(printer, "storm", "floor", ("p99_us", median(&well, |run| run.p99), "us"));
    print(printer, "storm", "bluegreen", ("p99_us", median(&hanging, |run| run.p99), "us"));
    print(printer, "storm", "bluegreen", ("p99_ratio", ratio, "x"));
    print(printer, "storm", "bluegreen", ("probe_runs_per_interval", most, "count"));
    printer.gate("a hanging dependency leaves the p99 of others within 1.1 x", ratio <= 1.1);
    // The first run is at once, and the jitter of an interval is a tenth.
    printer.gate("a probe runs once an interval, however many ask", most <= 1.1 + 0.1);
    Ok(())
}

fn storm(dependency: Dependency) -> Result<Run> {
    // One thread, on which all take turns: among several it is chance who waits for whom.
    let runtime = scene::runtime()?;
    let run = runtime.block_on(weather(dependency));
    runtime.shutdown_background();
    run
}

async fn weather(dependency: Dependency) -> Result<Run> {
    let runs = Arc::new(AtomicU64::new(0));
    let probe = {
        let runs = Arc::clone(&runs);
        Probe::new(move || {
            runs.fetch_add(1, Ordering::Relaxed);
            async move {
                match dependency {
                    Dependency::Well => Ok::<(), Infallible>(()),
                    Dependency::Hanging => std::future::pending().await,
                }
            }
        })
    };
    let config = HealthConfig::default().with_interval(INTERVAL).with_timeout(INTERVAL);
    let (health, refresher) = scene::health_of(config, vec![probe])?;
    let driver = tokio::spawn(refresher.run(Stop::never()));
    let over = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let mut asking = JoinSet::new();
    for _ in 0..ASKING {
        asking.spawn(ask(health.clone(), Arc::clone(&over)));
    }
    let times = tokio::spawn(pass(health)).await?;
    let intervals = begun.elapsed().as_secs_f64() / INTERVAL.as_secs_f64();
    over.store(true, Ordering::Relaxed);
    while asking.join_next().await.is_some() {}
    driver.abort();
    #[expect(clippy::cast_precision_loss, reason = "hundreds of runs")]
    let runs = runs.load(Ordering::Relaxed) as f64;
    let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN);
    Ok(Run { p99, runs_per_interval: (runs - 1.0).max(0.0) / intervals })
}

async fn ask(health: Health, over: Arc<AtomicBool>) {
    let service = health.service();
    while !over.load(Ordering::Relaxed) {
        let Ok(request) = Request::get("/health").body(Body::empty()) else { return };
        black_box(service.clone().oneshot(request).await.is_ok());
        tokio::task::yield_now().await;
    }
}

/// Requests that pass through, one after the other; their times in microseconds, sorted.
async fn pass(health: Health) -> Vec<f64> {
    let inner = service_fn(|_: Request<Body>| async {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Response::new(String::from("hello")))
    });
    let service = health.layer().layer(inner);
    let mut times = Vec::with_capacity(PASSING);
    for _ in 0..PASSING {
        let Ok(request) = Request::get("/orders").body(Body::empty()) else { break };
        let begun = Instant::now();
        black_box(service.clone().oneshot(request).await.is_ok());
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    times
}
