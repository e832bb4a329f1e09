//! `cargo xtask bench NAME`: figures beside their peers, in one run on one machine.

mod cpu;
mod figure;
mod health;
mod local;

use anyhow::{Result, bail};
use clap::Parser;

use figure::Printer;

#[derive(Parser)]
struct Arguments {
    /// `all`, `health` or `local`
    name: String,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Fewer repetitions
    #[arg(long)]
    quick: bool,
}

fn main() -> Result<()> {
    let Arguments { name, json, quick } = Arguments::parse();
    let (printer, rounds) = (Printer { json }, if quick { 3 } else { 11 });
    match name.as_str() {
        "health" => health::run(printer, rounds),
        "local" => local::run(printer, rounds),
        "all" => {
            health::run(printer, rounds)?;
            local::run(printer, rounds)
        }
        other => bail!("no bench is called {other:?}: there are health, local and all"),
    }
}
