//! A data folder made once by `initdb` and copied for every server: 0.06 s in place of 0.9 s.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::account::Account;
use super::binaries::Binaries;
use super::error::PostgresError;

/// A folder of this name that the account owns and only it may enter.
pub(super) fn work_folder(base: &Path, account: Option<Account>) -> Result<TempDir, PostgresError> {
    let doing = || PostgresError::io(format!("making a folder in {}", base.display()));
    let folder =
        tempfile::Builder::new().prefix("bluegreen-postgres-").tempdir_in(base).map_err(doing())?;
    if let Some(account) = account {
        account.own(folder.path()).map_err(doing())?;
    }
    Ok(folder)
}

/// The template of this version, made now if there is none. Processes that ask at once wait for
/// the one that makes it. Blocks.
pub(super) fn ready(
    base: &Path,
    binaries: &Binaries,
    account: Option<Account>,
) -> Result<PathBuf, PostgresError> {
    let cache = cache_folder(base)?;
    let template = cache.join(format!("template-{}", binaries.version));
    let lock = File::create(cache.join("lock")).map_err(PostgresError::io("making a lock file"))?;
    lock.lock().map_err(PostgresError::io("locking the template"))?;
    if !template.join("PG_VERSION").exists() {
        let work = work_folder(base, account)?;
        let made = work.path().join("data");
        initdb(binaries, account, work.path(), &made)?;
        fs::rename(&made, &template).map_err(PostgresError::io("keeping the template"))?;
    }
    Ok(template)
}

/// A folder of this user alone: nobody else may slip a template in.
fn cache_folder(base: &Path) -> Result<PathBuf, PostgresError> {
    let user = rustix::process::geteuid().as_raw();
    let cache = base.join(format!("bluegreen-postgres-{user}"));
    let doing = || PostgresError::io(format!("making {}", cache.display()));
    match DirBuilder::new().mode(0o700).create(&cache) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(doing()(error)),
        _ => {}
    }
    let metadata = fs::symlink_metadata(&cache).map_err(doing())?;
    if metadata.is_dir() && metadata.uid() == user && metadata.mode() & 0o077 == 0 {
        Ok(cache)
    } else {
        let error = io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to somebody else");
        Err(doing()(error))
    }
}

fn initdb(
    binaries: &Binaries,
    account: Option<Account>,
    work: &Path,
    data: &Path,
) -> Result<(), PostgresError> {
    let mut command = Command::new(&binaries.initdb);
    command.args(["-U", "postgres", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8", "-D"]);
    command.arg(data).current_dir(work).stdin(Stdio::null());
    for variable in foreign_settings() {
        command.env_remove(variable);
    }
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    let output = command.output().map_err(PostgresError::io("running initdb"))?;
    if output.status.success() {
        Ok(())
    } else {
        let log = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(PostgresError::Failed { program: "initdb", log })
    }
}

/// `PGDATA`, `PGOPTIONS` and their like, which are meant for another server.
pub(super) fn foreign_settings() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| name.starts_with("PG")).collect()
}

/// Copies a folder with all below it, and hands the copy to the account. Blocks.
pub(super) fn copy(from: &Path, to: &Path, account: Option<Account>) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    own(to, account)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target, account)?;
        } else {
            fs::copy(entry.path(), &target)?;
            own(&target, account)?;
        }
    }
    Ok(())
}

fn own(path: &Path, account: Option<Account>) -> io::Result<()> {
    account.map_or(Ok(()), |account| account.own(path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_copy_holds_every_file_and_the_original_none_of_its_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("base/1")).unwrap();
        fs::write(from.join("base/1/112"), "pages").unwrap();
        copy(&from, &to, None).unwrap();
        fs::write(to.join("base/1/112"), "other").unwrap();
        assert_eq!(fs::read_to_string(from.join("base/1/112")).unwrap(), "pages");
        assert_eq!(to.metadata().unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_cache_that_others_may_write_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let cache = cache_folder(base.path()).unwrap();
        assert_eq!(cache_folder(base.path()).unwrap(), cache);
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(cache_folder(base.path()).is_err());
    }
}
