//! Where a PostgreSQL server's programs are on this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::PostgresError;
use super::install;

/// The programs needed, all of one version.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    pub(super) initdb: PathBuf,
    pub(super) postgres: PathBuf,
    /// As `postgres --version` says, in characters that fit a file name.
    pub(super) version: String,
}

impl Binaries {
    /// `$PG_BIN`, else `PATH`, else Debian's folders, newest first, else where `pg_config` points.
    pub(super) fn find() -> Result<Self, PostgresError> {
        let folder = match std::env::var_os("PG_BIN").filter(|folder| !folder.is_empty()) {
            Some(folder) => given(folder)?,
            None => {
                search().ok_or_else(|| PostgresError::NotFound { install: install::advice() })?
            }
        };
        Self::of(&folder)
    }

    // Links are resolved, as the server's account may not see the folder they stand in.
    fn of(folder: &Path) -> Result<Self, PostgresError> {
        let program = |name: &str| {
            let path = folder.join(name);
            let doing = format!("looking at {}", path.display());
            path.canonicalize().map_err(PostgresError::io(doing))
        };
        let postgres = program("postgres")?;
        let version = version(&postgres)?;
        Ok(Self { initdb: program("initdb")?, postgres, version })
    }
}

fn given(folder: OsString) -> Result<PathBuf, PostgresError> {
    let folder = PathBuf::from(folder);
    if has_programs(&folder) { Ok(folder) } else { Err(PostgresError::PgBin(folder)) }
}

fn search() -> Option<PathBuf> {
    let folders = path_folders().into_iter().chain(debian_folders()).chain(pg_config_folder());
    folders.into_iter().find(|folder| has_programs(folder))
}

fn has_programs(folder: &Path) -> bool {
    ["postgres", "initdb"].iter().all(|program| folder.join(program).is_file())
}

fn path_folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect()
}

/// Where a program is on `PATH`.
pub(super) fn on_path(program: &str) -> Option<PathBuf> {
    path_folders().into_iter().map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn debian_folders() -> Vec<PathBuf> {
    let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") else {
        return Vec::new();
    };
    let versions = versions.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let newest_first = newest_first(versions.collect()).into_iter();
    newest_first.map(|version| Path::new("/usr/lib/postgresql").join(version).join("bin")).collect()
}

/// Major versions from the highest down; what is not a number comes last.
fn newest_first(mut versions: Vec<String>) -> Vec<String> {
    let major = |version: &String| version.split('.').next().and_then(|v| v.parse::<u32>().ok());
    versions.sort_by_key(|version| std::cmp::Reverse(major(version)));
    versions
}

fn pg_config_folder() -> Option<PathBuf> {
    let output = Command::new(on_path("pg_config")?).arg("--bindir").output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(folder.trim()))
}

fn version(postgres: &Path) -> Result<String, PostgresError> {
    let doing = format!("running {} --version", postgres.display());
    let output =
        Command::new(postgres).arg("--version").output().map_err(PostgresError::io(doing))?;
    if !output.status.success() {
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(PostgresError::Failed { program: "postgres --version", log });
    }
    Ok(file_name(&String::from_utf8_lossy(&output.stdout)))
}

fn file_name(version: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let words = version.split(|c| !fits(c)).filter(|word| !word.is_empty());
    words
        .skip_while(|word| !word.starts_with(|c: char| c.is_ascii_digit()))
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_s_newest_version_comes_first() {
        let versions = ["9.6", "15", "common", "8.4", "17"].map(str::to_owned).to_vec();
        assert_eq!(newest_first(versions), ["17", "15", "9.6", "8.4", "common"]);
    }

    #[test]
    fn a_version_becomes_part_of_a_file_name() {
        let debian = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n";
        assert_eq!(file_name(debian), "15.18-Debian-15.18-0-deb12u1");
        assert_eq!(file_name("postgres (PostgreSQL) 18beta1"), "18beta1");
    }

    #[test]
    fn a_folder_given_without_the_programs_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("postgres"), "").unwrap();
        let error = given(folder.path().into()).unwrap_err();
        assert!(error.to_string().contains(&folder.path().display().to_string()));
        std::fs::write(folder.path().join("initdb"), "").unwrap();
        assert_eq!(given(folder.path().into()).unwrap(), folder.path());
    }
}
