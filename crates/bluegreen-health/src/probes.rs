//! Probes of the things that services stand on.

#[cfg(any(feature = "dynamodb", feature = "sqs"))]
mod aws;
#[cfg(feature = "dynamodb")]
mod dynamodb;
mod following;
mod http;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqs")]
mod sqs;

pub use self::http::HttpProbe;
#[cfg(feature = "dynamodb")]
pub use dynamodb::DynamoProbe;
pub use following::FollowingProbe;
#[cfg(feature = "postgres")]
pub use postgres::{ExpectedRole, PoolState, PostgresProbe};
#[cfg(feature = "sqs")]
pub use sqs::SqsProbe;
