//! `cargo xtask bench NAME`: figures beside their peers, in one run on one machine.

mod canned;
mod cpu;
mod figure;
mod health;
mod items;
mod local;
mod metrics;
mod queue;

use anyhow::{Result, bail};
use clap::Parser;

use figure::Printer;

#[derive(Parser)]
struct Arguments {
    /// `all`, `health`, `items`, `local`, `metrics` or `queue`
    #[arg(default_value = "all")]
    name: String,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Fewer repetitions
    #[arg(long)]
    quick: bool,
    /// What a client of the queue's bench is asked to be
    #[arg(long, hide = true)]
    queue_client: Option<String>,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// Runs what the command line asks for; the gates that are missed are an error.
///
/// # Errors
/// When a bench cannot run, no bench has that name, or a gate is missed.
pub fn main() -> Result<()> {
    let Arguments { name, json, quick, queue_client, bench: _ } = Arguments::parse();
    if let Some(who) = queue_client {
        return queue::client(&who);
    }
    let (printer, rounds) = (Printer::new(json), if quick { 3 } else { 11 });
    let printer = &printer;
    match name.as_str() {
        "health" => health::run(printer, rounds)?,
        "items" => items::run(printer, rounds, quick)?,
        "local" => local::run(printer, rounds)?,
        "metrics" => metrics::run(printer, rounds)?,
        "queue" => queue::run(printer, rounds)?,
        "all" => {
            health::run(printer, rounds)?;
            items::run(printer, rounds, quick)?;
            local::run(printer, rounds)?;
            metrics::run(printer, rounds)?;
            queue::run(printer, rounds)?;
        }
        other => bail!(
            "no bench is called {other:?}: there are health, items, local, metrics, queue and all"
        ),
    }
    let missed = printer.missed();
    if missed.is_empty() { Ok(()) } else { bail!("missed: {}", missed.join("; ")) }
}
