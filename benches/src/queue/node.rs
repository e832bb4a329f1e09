//! bbc/sqs-consumer, where Node and npm are installed: put into the target folder when it is asked
//! for, so that nothing of it is kept with the sources.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// The last that runs on Node 20, and the SDK that it is made for.
const PACKAGES: [&str; 2] = ["sqs-consumer@14.2.8", "@aws-sdk/client-sqs@3"];
const PROGRAM: &str = include_str!("sqs-consumer.mjs");

/// Installs it once.
///
/// # Errors
/// When Node or npm is missing, or the packages cannot be had.
pub(super) async fn prepared() -> Result<()> {
    let folder = folder()?;
    let version = Command::new("node").arg("--version").output().await.context("no Node")?;
    ensure!(version.status.success(), "Node does not tell its version");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("sqs-consumer.mjs"), PROGRAM)?;
    if folder.join("node_modules/sqs-consumer").exists() {
        return Ok(());
    }
    let install = Command::new("npm")
        .args(["install", "--no-package-lock", "--no-audit", "--no-fund", "--silent", "--prefix"])
        .arg(&folder)
        .args(PACKAGES)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .await
        .context("no npm")?;
    ensure!(install.success(), "npm ended with {install}");
    Ok(())
}

/// The program that empties a queue, yet to be told which.
pub(super) fn client() -> Command {
    let mut client = Command::new("node");
    client.arg(folder().unwrap_or_default().join("sqs-consumer.mjs"));
    client
}

/// Beside the program that runs, in the target folder.
fn folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.parent().context("a program lies in no folder")?.join("queue-peers"))
}
