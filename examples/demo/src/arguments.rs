//! What the demo is asked to play.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// A whole blue/green flow on built-in stand-ins: a release, a bad release that is rolled back,
/// and a task that is killed, under a steady load of orders.
///
/// Exits with 0 when the play ended as its fault demands and no accepted order was lost, with 1
/// when it could not be played, with 2 when an order was lost, with 3 when the deployment ended
/// otherwise than it should have.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo xtask demo --")]
pub struct Arguments {
    /// What is wrong with release 3, or with the world around it
    #[arg(long, value_enum, default_value_t = Fault::Errors)]
    pub fault: Fault,
    /// Seeds the load and the faults
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Orders a second
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub rate: u32,
    /// One JSON object a line instead of text
    #[arg(long)]
    pub json: bool,
    /// Where the logs of all tasks go [default: a new folder below the system's temporary one]
    #[arg(long)]
    pub logs: Option<PathBuf>,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// Nothing: release 3 is as good as release 2 and is promoted
    None,
    /// Release 3 may not write to its table every second time: rolled back
    Errors,
    /// Release 3 waits 150 ms for every answer of its database: rolled back
    Latency,
    /// Both colors may not write every second time: the candidate is not blamed, the shift freezes
    BothColors,
    /// The metrics are cut off: nothing can be judged, the shift freezes
    NoMetrics,
}
