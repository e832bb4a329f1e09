//! What all cases start from.

use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use bluegreen::health::{Health, HealthConfig, Probe, Refresher};
use bluegreen::{Color, Release, ServiceIdentity, ServiceKey, Stop};
use tokio::runtime::Runtime;

/// As long as a health answer.
pub(super) const CONSTANT: &str =
    r#"{"status":"healthy","environment":"blue","timestamp":"2026-11-22T10:00:00.250Z"}"#;

pub(super) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

pub(super) fn routes() -> Router {
    Router::new()
        .route("/hello", get(|| async { "hello" }))
        .route("/constant", get(|| async { ([(CONTENT_TYPE, "application/json")], CONSTANT) }))
}

pub(super) fn health_of(config: HealthConfig, probes: Vec<Probe>) -> Result<(Health, Refresher)> {
    let me = ServiceIdentity::new(ServiceKey::new("bench")?, Color::Blue, Release::new("1")?, "1");
    let mut builder = Health::builder(&me).config(config);
    for (number, probe) in probes.into_iter().enumerate() {
        builder = builder.probe(format!("probe-{number}"), probe);
    }
    Ok(builder.build()?)
}

/// A health whose three probes have passed; nobody refreshes it, and for the time of a bench it
/// does not mind.
pub(super) async fn healthy() -> Result<Health> {
    let passing = || Probe::new(|| async { Ok::<(), std::convert::Infallible>(()) });
    let config = HealthConfig::default().with_staleness(Duration::from_secs(24 * 60 * 60));
    let (health, refresher) = health_of(config, vec![passing(), passing(), passing()])?;
    let (stopper, stop) = Stop::new();
    let driver = tokio::spawn(refresher.run(stop));
    while !health.status().serves() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stopper.stop(Duration::ZERO);
    driver.await??;
    Ok(health)
}
