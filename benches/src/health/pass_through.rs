//! What a request that is none of health's pays for the layer: around an axum router, through
//! `Router::layer`, around a bare tower service.

use std::convert::Infallible;

use anyhow::Result;
use axum::body::{Body, Bytes};
use bluegreen::health::Health;
use http::{Request, Response};
use http_body_util::{Either, Full};
use tower::layer::util::Identity;
use tower::service_fn;
use tower::util::MapResponseLayer;
use tower_layer::Layer;

use super::cost::Cost;
use super::{print, scene};
use crate::figure::Printer;

async fn bare(_: Request<Body>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello".to_owned()))
}

/// A layer's state: a pointer, which takes room, where the function itself takes none.
type OwnBody = fn(Response<Body>) -> Response<Either<Body, Full<Bytes>>>;

/// The same response with a body type of its own.
fn own_body(response: Response<Body>) -> Response<Either<Body, Full<Bytes>>> {
    response.map(Either::Left)
}

pub(super) fn run(printer: &Printer, rounds: usize) -> Result<()> {
    let runtime = scene::runtime()?;
    let health: Health = runtime.block_on(scene::healthy())?;
    let alone = scene::routes();
    let around = health.layer().layer(scene::routes());
    // What `Router::layer` itself costs shows with a layer that does nothing, and with one that
    // does nothing but to have a state and a body type of its own: axum clones the one and boxes
    // the other at every request.
    let nothing = scene::routes().layer(Identity::new());
    let own_body = scene::routes().layer(MapResponseLayer::new(own_body as OwnBody));
    let within = scene::routes().layer(health.layer());
    let tower_alone = service_fn(bare);
    let tower_around = health.layer().layer(service_fn(bare));

    let mut costs: [Cost; 7] = Default::default();
    for _ in 0..rounds {
        let [axum, ours, identity, floor_within, ours_within, tower, ours_tower] = &mut costs;
        axum.add(&runtime, &alone, "/hello");
        ours.add(&runtime, &around, "/hello");
        identity.add(&runtime, &nothing, "/hello");
        floor_within.add(&runtime, &own_body, "/hello");
        ours_within.add(&runtime, &within, "/hello");
        tower.add(&runtime, &tower_alone, "/hello");
        ours_tower.add(&runtime, &tower_around, "/hello");
    }
    let [axum, ours, identity, floor_within, ours_within, tower, ours_tower] = &costs;
    for (who, layer) in [("axum, identity", identity), ("axum, own state", floor_within)] {
        let extra = layer.allocations() - axum.allocations();
        print(printer, "router-layer", who, ("extra_allocations", extra, "count"));
    }
    let pairs = [
        ("pass-through", axum, ours),
        ("router-layer", floor_within, ours_within),
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
