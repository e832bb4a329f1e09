//! What must pass before a change lands.

use anyhow::{Context, Result, bail};

use crate::command::{Run, cargo, workspace};

/// Everything with all its features but the benches, whose one feature builds other projects' crates
/// to be measured beside.
pub(crate) const ORDINARY: [&str; 4] =
    ["--workspace", "--exclude", "bluegreen-benches", "--all-features"];

/// One list of steps for people and machines alike.
pub(crate) fn run() -> Result<()> {
    Run::new("bash").arg(workspace()?.join(".ci/run")).run()
}

pub(crate) fn lint() -> Result<()> {
    cargo(["fmt", "--all", "--check"]).run()?;
    cargo(["clippy", "--all-targets"]).args(ORDINARY).args(["--", "-D", "warnings"]).run()?;
    let benches = ["clippy", "--package", "bluegreen-benches", "--all-targets", "--"];
    cargo(benches).args(["-D", "warnings"]).run()?;
    minimum_rust()?;
    arrows()?;
    light_health()
}

pub(crate) fn docs() -> Result<()> {
    cargo(["doc", "--no-deps"]).args(ORDINARY).env("RUSTDOCFLAGS", "-D warnings").run()
}

pub(crate) fn deny() -> Result<()> {
    cargo(["deny", "--all-features", "check", "bans", "licenses", "sources"])
        .run()
        .context("`cargo install --locked cargo-deny` provides this check")
}

/// The stated minimum is true only while no dependency asks for more.
fn minimum_rust() -> Result<()> {
    let manifest = std::fs::read_to_string(workspace()?.join("Cargo.toml"))?;
    let stated = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .map(|value| version(value.trim_matches('"')))
        .context("Cargo.toml states no rust-version")?;
    let cargo_program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = Run::new(cargo_program)
        .args(["metadata", "--format-version=1", "--all-features", "--locked"])
        .output()?;
    let highest = tree
        .split("\"rust_version\":\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(version)
        .max()
        .context("the dependencies state no rust-version")?;
    if highest > stated {
        bail!("a dependency needs Rust {highest:?}, Cargo.toml states {stated:?}");
    }
    Ok(())
}

/// A leaf depends on core alone among our crates; what two leaves share is a noun missing there.
fn arrows() -> Result<()> {
    const NO_LEAVES: [&str; 3] = ["bluegreen", "bluegreen-core", "bluegreen-cli"];
    for folder in std::fs::read_dir(workspace()?.join("crates"))? {
        let folder = folder?;
        let leaf = folder.file_name().to_string_lossy().into_owned();
        if NO_LEAVES.contains(&leaf.as_str()) {
            continue;
        }
        let manifest = std::fs::read_to_string(folder.path().join("Cargo.toml"))?;
        let section = manifest.split("[dependencies]").nth(1).unwrap_or_default();
        let lines = section.lines().take_while(|line| !line.starts_with('['));
        let ours = lines.filter(|line| line.starts_with("bluegreen"));
        if let Some(line) = ours.into_iter().find(|line| !line.starts_with("bluegreen-core")) {
            bail!("{leaf} depends on another leaf: {line}");
        }
    }
    Ok(())
}

/// The crate that every service embeds: what it pulls in without features is everybody's burden.
fn light_health() -> Result<()> {
    const AT_MOST: usize = 30;
    let tree = cargo(["tree", "--package", "bluegreen-health", "--edges", "normal"])
        .args(["--prefix", "none", "--no-dedupe", "--no-default-features"])
        .output()?;
    let mut crates: Vec<_> = tree.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    crates.sort_unstable();
    crates.dedup();
    if !crates.iter().any(|name| name.starts_with("bluegreen-health")) {
        bail!("cargo tells nothing of what bluegreen-health depends on");
    }
    let heavy = |name: &&&str| name.starts_with("aws-") || name.starts_with("hyper");
    if let Some(heavy) = crates.iter().find(heavy) {
        bail!("bluegreen-health without features pulls in {heavy}");
    }
    if crates.len() > AT_MOST {
        bail!(
            "bluegreen-health is {} crates without features, allowed are {AT_MOST}",
            crates.len()
        );
    }
    Ok(())
}

fn version(text: &str) -> Vec<u32> {
    let mut parts: Vec<u32> = text.split('.').map(|part| part.parse().unwrap_or(0)).collect();
    parts.resize(3, 0);
    parts
}
