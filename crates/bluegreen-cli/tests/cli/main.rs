//! The real command, run as operators run it.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected ends there")]

mod dynamo;
mod exit_codes;
mod flow;
mod members;
mod watch;

use std::path::Path;
use std::process::{Command, Output};

/// The command, for the service `orders` on the files below `dir`, with nothing else around it.
fn bluegreen(dir: &Path) -> Command {
    let mut command = bare();
    command.env("BLUEGREEN_STORE", format!("file:{}", dir.display())).env("SERVICE_NAME", "orders");
    command
}

fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bluegreen"));
    command.env_clear();
    command
}

fn run(mut command: Command, line: &str) -> Output {
    command.args(line.split_whitespace()).output().unwrap()
}

/// Runs a command that must succeed; answers what it printed.
fn succeeds(command: Command, line: &str) -> String {
    let output = run(command, line);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{line}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must fail with this code; answers what it said.
fn fails(command: Command, line: &str, code: i32) -> String {
    let output = run(command, line);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{line}: {error}");
    assert!(output.stdout.is_empty(), "{line}");
    error
}
