//! `cargo xtask soak queue`: consumers that are killed and stopped by the thousand.

#![expect(clippy::print_stdout, reason = "the summary is the program's output")]

use anyhow::{Result, bail};
use bluegreen_tests::soak::{self, Soak};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Kills and stops real consumers under load while their calls fail")]
struct Arguments {
    /// How many consumers are killed
    #[arg(long, default_value_t = 1_000)]
    kills: u32,
    /// How many consumers are told to stop
    #[arg(long, default_value_t = 1_000)]
    stops: u32,
    /// How many live at once
    #[arg(long, default_value_t = 6)]
    parallel: u32,
    /// The same seed, the same lives and faults; by default another each time
    #[arg(long)]
    seed: Option<u64>,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    #[command(hide = true)]
    Worker { name: String, endpoint: String, url: String, dead_letters: String },
}

fn main() -> Result<()> {
    let Arguments { kills, stops, parallel, seed, role } = Arguments::parse();
    if let Some(Role::Worker { name, endpoint, url, dead_letters }) = role {
        // Two threads, so that handlers and loop really run beside each other.
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build()?;
        return runtime.block_on(soak::work(&name, &endpoint, &url, &dead_letters));
    }
    let seed = seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("soak: {kills} kills and {stops} stops, {parallel} at once, --seed {seed}");
    let program = std::env::current_exe()?;
    let soak = Soak { program, kills, stops, parallel, seed, tells: true };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(soak.run())?;
    println!("{}", outcome.verdict);
    println!("  calls      {}", outcome.struck);
    println!("  took       {:.0?}", outcome.took);
    if !outcome.verdict.holds() {
        bail!("a guarantee was broken: again with --seed {seed}");
    }
    Ok(())
}
