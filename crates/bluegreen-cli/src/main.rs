#![doc = include_str!("../README.md")]

mod args;
mod change;
mod exit;
mod open;
mod output;
mod percent;
mod status;
mod table;
mod wait;
mod watch;

use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser as _;
use output::Output;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let key = args.key()?;
    let store = open::open(args.store()?, &args.command).await?;
    let output = Output { json: args.json };
    match args.command {
        Command::Init { color, release, .. } => {
            change::init(&store, &key, color, release, output).await
        }
        Command::Begin { to, release } => {
            change::apply(&store, &key, |now| now.begin(to, release.clone()), output).await
        }
        Command::Shift { share } => {
            change::apply(&store, &key, |now| now.shift(share), output).await
        }
        Command::Commit => change::apply(&store, &key, |now| now.commit(), output).await,
        Command::Abandon => change::apply(&store, &key, |now| now.abandon(), output).await,
        Command::Drained => change::apply(&store, &key, |now| now.drained(), output).await,
        Command::Status => status::show(&store, &key, output).await,
        Command::Wait { timeout } => wait::wait(&store, &key, timeout, output).await,
        Command::Watch => watch::watch(&store, &key, output).await,
    }
}
