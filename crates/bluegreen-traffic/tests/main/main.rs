//! Whole shifts, under a paused clock and without sockets.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a test binary has no outside, and panics where a test has failed"
)]

#[cfg(feature = "alb")]
mod alb;
mod crash;
mod engine;
mod interference;
mod random;
mod scene;
mod trouble;
