//! The project's tasks, for people and for CI alike: `cargo xtask --help`.

mod ci;
mod command;
mod conformance;
mod postgres;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};

use command::cargo;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The tasks of the bluegreen project")]
struct Tasks {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Play a whole blue/green release, a rollback and a crash on this machine
    Demo {
        /// Passed on to the demo; `cargo xtask demo -- --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run all tests
    Test,
    /// Check format, lints and the dependencies' minimum Rust version
    Lint,
    /// Build the documentation, warnings refused
    Docs,
    /// Measure a part beside its peers
    Bench {
        /// `all` or one of the names that the task prints when it is wrong
        name: String,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
        /// Fewer repetitions
        #[arg(long)]
        quick: bool,
    },
    /// Run the stand-ins' conformance suite against ours, moto and MiniStack
    Conformance,
    /// The long fault runs; `test` holds a smaller cut of each
    Soak {
        /// `demo` or `queue`; both where nothing is given
        name: Option<String>,
        /// Passed on to the queue's; `cargo xtask soak queue --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check licenses, bans and sources of the dependencies
    Deny,
    /// Everything that must pass before a change lands
    Ci,
}

fn main() -> Result<()> {
    match Tasks::parse().task {
        Task::Demo { arguments } => demo(&arguments),
        Task::Test => test(),
        Task::Lint => ci::lint(),
        Task::Docs => ci::docs(),
        Task::Bench { name, json, quick } => bench(&name, json, quick),
        Task::Conformance => conformance::run(),
        Task::Soak { name, arguments } => match name.as_deref() {
            None => soak_queue(&[]).and_then(|()| soak_demo()),
            Some("queue") => soak_queue(&arguments),
            Some("demo") => soak_demo(),
            Some(other) => bail!("no soak is called {other:?}: there are demo and queue"),
        },
        Task::Deny => ci::deny(),
        Task::Ci => ci::run(),
    }
}

fn demo(arguments: &[String]) -> Result<()> {
    command::exit_like(std::process::Command::new(built_demo()?).args(arguments))
}

fn demo_once(arguments: &[&str]) -> Result<()> {
    command::Run::new(built_demo()?).args(arguments).run()
}

fn built_demo() -> Result<std::path::PathBuf> {
    postgres::ensure()?;
    cargo(["build", "--package", "demo", "--package", "orders"]).run()?;
    Ok(command::target_directory()?.join("debug/demo"))
}

fn test() -> Result<()> {
    postgres::ensure()?;
    cargo(["test", "--no-fail-fast"]).args(ci::ORDINARY).run()
}

fn bench(name: &str, json: bool, quick: bool) -> Result<()> {
    let mut bench = cargo(["run", "--release", "--quiet", "--package", "bluegreen-benches"])
        .args(["--features", "peers", "--"])
        .arg(name);
    for (wanted, flag) in [(json, "--json"), (quick, "--quick")] {
        if wanted {
            bench = bench.arg(flag);
        }
    }
    bench.run()
}

/// A thousand consumers killed and a thousand stopped, as processes.
fn soak_queue(arguments: &[String]) -> Result<()> {
    cargo(["run", "--quiet", "--package", "bluegreen-tests", "--bin", "queue-soak", "--"])
        .args(arguments)
        .run()
}

fn soak_demo() -> Result<()> {
    postgres::ensure()?;
    cargo(["test", "--no-fail-fast"]).args(ci::ORDINARY).env("PROPTEST_CASES", "5000").run()?;
    for fault in ["errors", "latency", "none", "both-colors", "no-metrics"] {
        for seed in 1..=5 {
            eprintln!("soak: demo --fault {fault} --seed {seed}");
            demo_once(&["--fault", fault, "--seed", &seed.to_string()])?;
        }
    }
    Ok(())
}
