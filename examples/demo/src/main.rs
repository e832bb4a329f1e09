//! `cargo xtask demo`: a whole blue/green flow on this machine.

use std::process::ExitCode;

use clap::Parser;
use demo::arguments::Arguments;
use demo::play::play;
use demo::progress::Progress;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match play(&arguments, Progress::new(arguments.json)).await {
        Ok(summary) => summary.exit_code(),
        Err(error) => {
            tracing::error!("{error:#}");
            eprintln!("the play could not be played: {error:#}");
            ExitCode::FAILURE
        }
    }
}
