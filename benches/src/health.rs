//! The health layer: what it adds to a request that passes through, and what an answer costs,
//! beside the same routes without it, a bare tower service and, with the feature `peers`,
//! axum-health.

mod answer;
mod cost;
mod pass_through;
#[cfg(feature = "peers")]
mod peer;
mod scene;
mod storm;

use anyhow::Result;

use crate::figure::{Figure, Printer};

pub(crate) fn run(printer: &Printer, rounds: usize) -> Result<()> {
    pass_through::run(printer, rounds)?;
    answer::run(printer, rounds)?;
    storm::run(printer, rounds)
}

fn print(
    printer: &Printer,
    case: &'static str,
    who: &'static str,
    (metric, value, unit): (&'static str, f64, &'static str),
) {
    printer.print(&Figure { bench: "health", case, who, metric, value, unit });
}
