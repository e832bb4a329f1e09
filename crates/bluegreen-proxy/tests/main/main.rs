//! The proxy between real clients and real targets, over loopback.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test binary has no outside, and panics where a test has failed"
)]

mod drain;
mod failures;
mod framing;
mod raw;
mod served;
mod service;
mod split;
mod stop;
mod switch;
mod targets;
