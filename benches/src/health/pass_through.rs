//! What a request that is none of health's pays for the layer: around an axum router, through
//! `Router::layer`, around a bare tower service.

use std::convert::Infallible;

use anyhow::Result;
use axum::body::Body;
use bluegreen::health::Health;
use http::{Request, Response};
use tower::layer::util::Identity;
use tower::service_fn;
use tower_layer::Layer;

use super::cost::Cost;
use super::{print, scene};
use crate::figure::Printer;

async fn bare(_: Request<Body>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello".to_owned()))
}

pub(super) fn run(printer: &mut Printer, rounds: usize) -> Result<()> {
    let runtime = scene::runtime()?;
    let health: Health = runtime.block_on(scene::healthy())?;
    let alone = scene::routes();
    let around = health.layer().layer(scene::routes());
    // What `Router::layer` itself costs shows with a layer that does nothing.
    let nothing = scene::routes().layer(Identity::new());
    let within = scene::routes().layer(health.layer());
    let tower_alone = service_fn(bare);
    let tower_around = health.layer().layer(service_fn(bare));

    let mut costs: [Cost; 6] = Default::default();
    for _ in 0..rounds {
        let [axum, ours, identity, ours_within, tower, ours_tower] = &mut costs;
        axum.add(&runtime, &alone, "/hello");
        ours.add(&runtime, &around, "/hello");
        identity.add(&runtime, &nothing, "/hello");
        ours_within.add(&runtime, &within, "/hello");
        tower.add(&runtime, &tower_alone, "/hello");
        ours_tower.add(&runtime, &tower_around, "/hello");
    }
    let [axum, ours, identity, ours_within, tower, ours_tower] = &costs;
    let axum_only = identity.allocations() - axum.allocations();
    print(printer, "router-layer", "axum", ("extra_allocations", axum_only, "count"));
    let pairs = [
        ("pass-through", axum, ours),
        ("router-layer", identity, ours_within),
        ("bare-tower", tower, ours_tower),
    ];
    for (case, floor, ours) in pairs {
        print(printer, case, "floor", ("ns", floor.nanoseconds(), "ns"));
        print(printer, case, "floor", ("allocations", floor.allocations(), "count"));
        let added = ours.nanoseconds() - floor.nanoseconds();
        print(printer, case, "bluegreen", ("added_ns", added, "ns"));
        print(printer, case, "bluegreen", ("ratio", ours.ratio_to(floor), "x"));
        let extra = ours.allocations() - floor.allocations();
        print(printer, case, "bluegreen", ("extra_allocations", extra, "count"));
        printer.gate("a request that passes through allocates nothing more", extra == 0.0);
    }
    Ok(())
}
