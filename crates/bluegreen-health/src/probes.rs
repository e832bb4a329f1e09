//! Probes of the things that services stand on.

#[cfg(any(feature = "dynamodb", feature = "sqs"))]
mod aws;
#[cfg(feature = "dynamodb")]
mod dynamodb;
mod following;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqs")]
mod sqs;

#[cfg(feature = "dynamodb")]
pub use dynamodb::DynamoProbe;
pub use following::FollowingProbe;
#[cfg(feature = "postgres")]
pub use postgres::{ExpectedRole, PostgresProbe};
#[cfg(feature = "sqs")]
pub use sqs::SqsProbe;
