//! What an answer costs, beside a constant JSON route, the parts of its response alone, and, with the
//! feature `peers`, axum-health.

use std::convert::Infallible;

use anyhow::Result;
use axum::body::{Body, Bytes};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, VARY};
use http::{Request, Response};
use http_body_util::Full;
use tower::service_fn;
use tower_layer::Layer;

use super::cost::Cost;
use super::{print, scene};
use crate::figure::Printer;

/// A response with the headers of a health answer and nothing else: what no answer can do without.
async fn parts(_: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(scene::CONSTANT.as_bytes())));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("80"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

pub(super) fn run(printer: &Printer, rounds: usize) -> Result<()> {
    let runtime = scene::runtime()?;
    let health = runtime.block_on(scene::healthy())?;
    let constant = scene::routes();
    let parts = service_fn(parts);
    let layered = health.layer().layer(scene::routes());
    #[cfg(feature = "peers")]
    let peer = super::peer::router();

    let mut costs: [Cost; 4] = Default::default();
    #[cfg(feature = "peers")]
    let mut other = Cost::default();
    for _ in 0..rounds {
        let [floor, bare, ready, all] = &mut costs;
        floor.add(&runtime, &constant, "/constant");
        bare.add(&runtime, &parts, "/health/ready");
        ready.add(&runtime, &layered, "/health/ready");
        all.add(&runtime, &layered, "/health");
        #[cfg(feature = "peers")]
        other.add(&runtime, &peer, "/health");
    }
    let [floor, bare, ready, all] = &costs;
    let who = [
        ("floor", floor),
        ("response parts", bare),
        ("bluegreen", ready),
        ("bluegreen /health", all),
        #[cfg(feature = "peers")]
        ("axum-health", &other),
    ];
    for (who, cost) in who {
        print(printer, "answer", who, ("ns", cost.nanoseconds(), "ns"));
        print(printer, "answer", who, ("ratio", cost.ratio_to(floor), "x"));
        print(printer, "answer", who, ("allocations", cost.allocations(), "count"));
    }
    for ours in [ready, all] {
        let extra = ours.allocations() - bare.allocations();
        printer.gate("an answer allocates nothing beyond the parts of a response", extra == 0.0);
        printer.gate("an answer is cheaper than a constant JSON route", ours.ratio_to(floor) < 1.0);
    }
    Ok(())
}
