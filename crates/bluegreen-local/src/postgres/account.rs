//! Who the server runs as: never root, which PostgreSQL refuses.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use super::error::PostgresError;

/// An unprivileged account to run as instead of root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// `None` when the present user will do.
pub(super) fn needed() -> Result<Option<Account>, PostgresError> {
    if !is_root() {
        return Ok(None);
    }
    let passwd =
        fs::read_to_string("/etc/passwd").map_err(PostgresError::io("reading /etc/passwd"))?;
    let account = ["postgres", "nobody"].into_iter().find_map(|name| Account::find(name, &passwd));
    account.map(Some).ok_or(PostgresError::NoAccount)
}

impl Account {
    fn find(name: &str, passwd: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let named = fields.next() == Some(name);
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            (named && uid != 0).then_some(Self { uid, gid })
        })
    }

    pub(super) fn own(self, path: &Path) -> io::Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
    }

    /// Whether every folder on the way to `path` lets the account pass.
    fn can_reach(self, path: &Path) -> bool {
        let Ok(path) = path.canonicalize() else {
            return false;
        };
        path.ancestors().all(|folder| {
            folder.metadata().is_ok_and(|metadata| {
                let pass = if metadata.uid() == self.uid {
                    0o100
                } else if metadata.gid() == self.gid {
                    0o010
                } else {
                    0o001
                };
                metadata.mode() & pass != 0
            })
        })
    }
}

/// The folder for the servers' files: the system's temporary one, unless that is closed to the
/// account.
pub(super) fn base_folder(account: Option<Account>) -> Result<PathBuf, PostgresError> {
    let temporary = std::env::temp_dir();
    let Some(account) = account else {
        return Ok(temporary);
    };
    let candidates = [temporary.clone(), "/tmp".into(), "/var/tmp".into()];
    let found = candidates.into_iter().find(|folder| account.can_reach(folder));
    found.ok_or_else(|| PostgresError::Io {
        doing: format!("finding a temporary folder that user {} may enter", account.uid),
        source: io::Error::new(io::ErrorKind::PermissionDenied, temporary.display().to_string()),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        # a comment\n\
        nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\n\
        postgres:x:101:104:PostgreSQL:/var/lib/postgresql:/bin/bash\n";

    #[test]
    fn accounts_are_read_from_passwd() {
        assert_eq!(Account::find("postgres", PASSWD), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(Account::find("nobody", PASSWD), Some(Account { uid: 65534, gid: 65533 }));
        assert_eq!(Account::find("root", PASSWD), None);
        assert_eq!(Account::find("post", PASSWD), None);
    }

    #[test]
    fn a_closed_folder_on_the_way_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let stranger = Account { uid: 54_321, gid: 54_321 };
        let open = |mode| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        };
        open(0o700);
        assert!(!stranger.can_reach(folder.path()));
        open(0o711);
        assert!(stranger.can_reach(folder.path()));
    }
}
