#![doc = include_str!("../README.md")]

mod calls;
#[cfg(any(feature = "clients", feature = "client-ecs"))]
mod clients;
pub mod cloudwatch;
pub mod dynamodb;
pub mod ecs;
pub mod elbv2;
mod faults;
mod in_process;
pub mod postgres;
mod serve;
mod service;
pub mod sqs;
pub mod tcp_fault;
mod world;

pub use calls::Calls;
pub use faults::{Fault, Faults, Hold, Injected, Rule};
pub use serve::{ServeError, ServeReport, Served};
pub use service::Service;
pub use world::{World, WorldBuilder};
