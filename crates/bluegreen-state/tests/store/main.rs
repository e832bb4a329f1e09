//! The public behavior of the stores.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected ends there"
)]

mod contract;
mod faulty;
mod files;
mod following;
mod interleaved;
mod ledger;
mod processes;
mod remembered;

#[cfg(feature = "dynamodb")]
mod dynamo;

use bluegreen_core::{Color, Deployment, Release, ServiceKey};

fn key() -> ServiceKey {
    ServiceKey::new("orders").unwrap()
}

fn release(name: &str) -> Release {
    Release::new(name).unwrap()
}

fn first() -> Deployment {
    Deployment::first(key(), Color::Blue, release("1"))
}
