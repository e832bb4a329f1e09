//! The consumer and the producer against the stand-in for SQS, in-process, on a paused clock.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]

mod batching;
mod claim_check;
#[cfg(feature = "dynamodb")]
mod claims;
#[cfg(feature = "metrics")]
mod counters;
mod dispatching;
mod draining;
mod elsewhere;
mod ending;
mod failures;
mod fifo;
mod gates;
mod hand_over;
#[cfg(feature = "dynamodb")]
mod idempotent;
mod layers;
mod leases;
mod odd_answers;
mod partly_failing;
mod producing;
mod shop;
mod stopping;
mod throughput;
mod traps;
mod write_gating;
