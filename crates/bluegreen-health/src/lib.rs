#![doc = include_str!("../README.md")]

mod answers;
mod board;
mod config;
mod error;
mod fault;
mod health;
mod history;
mod layer;
mod probe;
mod probes;
mod refresher;
mod snapshot;

pub use config::{HealthConfig, HealthPaths};
pub use error::HealthError;
pub use fault::{Fault, FaultKind, Observed, Pass};
pub use health::{Health, HealthBuilder};
pub use layer::{HealthBody, HealthFuture, HealthLayer, HealthService, Nowhere};
pub use probe::{Importance, Probe};
#[cfg(feature = "dynamodb")]
pub use probes::DynamoProbe;
pub use probes::FollowingProbe;
#[cfg(feature = "sqs")]
pub use probes::SqsProbe;
#[cfg(feature = "postgres")]
pub use probes::{ExpectedRole, PostgresProbe};
pub use refresher::{RefreshReport, Refresher};
pub use snapshot::{Check, Snapshot, Status};
