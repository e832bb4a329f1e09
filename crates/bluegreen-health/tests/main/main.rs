//! The public behavior of bluegreen-health.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod layer;
mod refresher;
mod scene;

#[cfg(all(feature = "dynamodb", feature = "sqs"))]
mod aws;
#[cfg(feature = "postgres")]
mod postgres;
