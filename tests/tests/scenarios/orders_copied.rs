//! `examples/orders`, copied out of the workspace as a reader would.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use bluegreen::Color;
use demo::stage::Stage;
use tokio::process::Command;

use crate::orders_flow::{passes_its_flow, ready_task};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_outside_the_workspace_builds_and_passes_its_flow() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    copy(root, folder.path())?;
    let program = build(root, folder.path()).await?;

    let logs = tempfile::tempdir()?;
    let mut stage = Stage::set(logs.path().to_owned()).await?;
    stage.surroundings.program = Some(program);
    let task = ready_task(&stage, Color::Blue, "2").await?;
    passes_its_flow(&stage, &task).await?;
    task.stop().await?;
    stage.strike().await;
    Ok(())
}

/// An empty cargo project with the example's sources; only the path to `bluegreen` is another.
fn copy(root: &Path, to: &Path) -> Result<()> {
    let from = root.join("examples/orders");
    std::fs::create_dir(to.join("src"))?;
    for file in std::fs::read_dir(from.join("src"))? {
        let file = file?;
        std::fs::copy(file.path(), to.join("src").join(file.file_name()))?;
    }
    let manifest = std::fs::read_to_string(from.join("Cargo.toml"))?;
    let facade = root.join("crates/bluegreen");
    let facade = facade.to_str().context("the workspace's path is not UTF-8")?;
    std::fs::write(to.join("Cargo.toml"), manifest.replace("../../crates/bluegreen", facade))?;
    // The same versions, so that what is built already need not be built again.
    std::fs::copy(root.join("Cargo.lock"), to.join("Cargo.lock"))?;
    Ok(())
}

async fn build(root: &Path, project: &Path) -> Result<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let target = target.join("copied");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet"])
        .current_dir(project)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .stdin(Stdio::null())
        .output()
        .await?;
    if !output.status.success() {
        bail!("the copy does not build:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(target.join("debug/orders"))
}
