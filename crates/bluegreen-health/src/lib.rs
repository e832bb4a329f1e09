#![doc = include_str!("../README.md")]

mod answers;
mod board;
mod builder;
mod config;
mod error;
mod event;
mod fault;
mod health;
mod history;
mod layer;
mod pass;
mod paths;
mod probe;
mod probes;
mod refresher;
mod render;
mod request_head;
mod snapshot;

pub use builder::HealthBuilder;
pub use config::HealthConfig;
pub use error::HealthError;
pub use event::{HealthEvent, HealthEvents};
pub use fault::{Fault, FaultKind};
pub use health::Health;
pub use layer::{HealthBody, HealthFuture, HealthLayer, HealthService, Nowhere};
pub use pass::{Observed, Pass};
pub use paths::HealthPaths;
pub use probe::{ComponentType, Importance, Probe};
#[cfg(feature = "dynamodb")]
pub use probes::DynamoProbe;
#[cfg(feature = "sqs")]
pub use probes::SqsProbe;
#[cfg(feature = "postgres")]
pub use probes::{ExpectedRole, PoolState, PostgresProbe};
pub use probes::{FollowingProbe, HttpProbe};
pub use refresher::{RefreshReport, Refresher};
pub use request_head::RequestHead;
pub use snapshot::{Check, LastRun, Snapshot, Status};
