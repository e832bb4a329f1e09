//! The stand-ins through the real SDK clients, and a real PostgreSQL server.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod cloudwatch;
mod dynamodb;
mod ecs;
mod elbv2;
mod faults;
mod postgres;
mod serve;
mod sqs;
mod target;
mod tcp_fault;
