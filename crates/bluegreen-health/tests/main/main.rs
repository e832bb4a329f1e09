//! The public behavior of bluegreen-health.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod details;
mod events;
mod formats;
mod groups;
mod grpc;
mod hostile;
mod http_probe;
mod layer;
mod refresher;
mod scene;
mod traps;
mod wire;

#[cfg(all(feature = "dynamodb", feature = "sqs"))]
mod aws;
#[cfg(feature = "metrics")]
mod figures;
#[cfg(feature = "postgres")]
mod postgres;
