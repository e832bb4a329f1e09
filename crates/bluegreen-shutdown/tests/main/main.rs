//! The public behavior of bluegreen-shutdown.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests, and the process they start")]

mod http1;
mod levels;
mod process;
mod running;
mod sequence;
mod server;
mod supervision;
mod traps;
mod turns;
mod upgrades;
mod warnings;
