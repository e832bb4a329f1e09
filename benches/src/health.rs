//! The health layer: what it adds to a request that passes through, and what an answer costs
//! beside a constant JSON route of the same framework.

use std::convert::Infallible;
use std::hint::black_box;

use allocation_counter::measure;
use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use bluegreen::health::{Health, Probe};
use bluegreen::{Color, Release, ServiceIdentity, ServiceKey, Stop};
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::runtime::Runtime;
use tower::{Service, ServiceExt};
use tower_layer::Layer;

use crate::cpu;
use crate::figure::{Figure, Printer};

/// Requests of one round.
const REQUESTS: u32 = 5_000;

pub(crate) fn run(printer: Printer, rounds: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let health = runtime.block_on(healthy())?;
    let constant = r#"{"status":"healthy","environment":"blue","checks":{}}"#;
    let routes = Router::new().route("/hello", get(|| async { "hello" })).route(
        "/constant",
        get(move || async move { ([(CONTENT_TYPE, "application/json")], constant) }),
    );
    let layered = health.layer().layer(routes.clone());

    let (mut floor, mut ours) = (Cost::default(), Cost::default());
    let (mut constant, mut answer) = (Cost::default(), Cost::default());
    for _ in 0..rounds {
        floor.add(&runtime, &routes, "/hello");
        ours.add(&runtime, &layered, "/hello");
        constant.add(&runtime, &routes, "/constant");
        answer.add(&runtime, &layered, "/health/ready");
    }
    let print = |case, who, metric, value, unit| {
        printer.print(&Figure { bench: "health", case, who, metric, value, unit });
    };
    print("pass-through", "floor", "ns", floor.nanoseconds(), "ns");
    print("pass-through", "floor", "allocations", floor.allocations, "count");
    print("pass-through", "bluegreen", "added_ns", ours.nanoseconds() - floor.nanoseconds(), "ns");
    let extra = ours.allocations - floor.allocations;
    print("pass-through", "bluegreen", "extra_allocations", extra, "count");
    for (who, cost) in [("floor", &constant), ("bluegreen", &answer)] {
        print("answer", who, "ns", cost.nanoseconds(), "ns");
        print("answer", who, "allocations", cost.allocations, "count");
    }
    Ok(())
}

/// A health whose one probe has passed.
async fn healthy() -> Result<Health> {
    let me = ServiceIdentity::new(ServiceKey::new("bench")?, Color::Blue, Release::new("1")?, "1");
    let probe = Probe::new(|| async { Ok::<(), Infallible>(()) });
    let (health, refresher) = Health::builder(&me).probe("nothing", probe).build()?;
    let (stopper, stop) = Stop::new();
    let driver = tokio::spawn(refresher.run(stop));
    while !health.status().serves() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    // The snapshot outlives its driver for longer than the bench takes.
    stopper.stop(std::time::Duration::ZERO);
    driver.await??;
    Ok(health)
}

#[derive(Default)]
struct Cost {
    rounds: Vec<f64>,
    allocations: f64,
}

impl Cost {
    fn add<S, B>(&mut self, runtime: &Runtime, service: &S, path: &str)
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
        B: axum::body::HttpBody,
    {
        let start = cpu::nanoseconds();
        for _ in 0..REQUESTS {
            runtime.block_on(call(service, path));
        }
        self.rounds.push((cpu::nanoseconds() - start) / f64::from(REQUESTS));
        let counted = measure(|| runtime.block_on(call(service, path)));
        #[expect(clippy::cast_precision_loss, reason = "tens of allocations")]
        let allocations = counted.count_total as f64;
        self.allocations = allocations;
    }

    fn nanoseconds(&self) -> f64 {
        cpu::median(self.rounds.clone())
    }
}

async fn call<S, B>(service: &S, path: &str)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
    B: axum::body::HttpBody,
{
    let Ok(request) = Request::get(path).body(Body::empty()) else { return };
    let Ok(response) = service.clone().oneshot(request).await;
    black_box(response.into_body().collect().await.ok());
}
