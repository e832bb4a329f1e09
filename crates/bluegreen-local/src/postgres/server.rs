//! One running server in a folder of its own.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::Instant;

use super::account::{self, Account};
use super::binaries::Binaries;
use super::error::PostgresError;
use super::process::Process;
use super::template;

/// A start takes about 0.1 s; a loaded machine may take a hundred times that.
const READY_WITHIN: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(10);
/// With `fsync=off` there is little to do but to roll transactions back.
const STOPPED_WITHIN: Duration = Duration::from_secs(10);
/// Between finding a port free and the server taking it, another process may take it.
const PORTS_TRIED: usize = 5;

/// A data folder with this file is a standby's.
const STANDBY_SIGNAL: &str = "standby.signal";

/// What no test or example needs: surviving a power failure. And connections for two colors.
const SETTINGS: [&str; 4] =
    ["fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200"];

#[derive(Debug)]
pub(super) struct Server {
    // Before the folder: that is removed once the server is gone.
    process: Process,
    place: Place,
    pub(super) port: u16,
}

/// Where a server runs, and as whom.
#[derive(Debug)]
struct Place {
    binaries: Binaries,
    account: Option<Account>,
    folder: TempDir,
}

/// Why a start failed, and the place for another one.
struct NotStarted {
    place: Place,
    error: PostgresError,
}

impl Server {
    pub(super) async fn start() -> Result<Self, PostgresError> {
        let mut place = match tokio::task::spawn_blocking(prepare).await {
            Ok(prepared) => prepared?,
            Err(error) => return Err(PostgresError::io("preparing a data folder")(error.into())),
        };
        let mut ports_left = PORTS_TRIED;
        loop {
            ports_left -= 1;
            let port = free_port().map_err(PostgresError::io("finding a free port"))?;
            match Self::spawn(place, port)?.ready().await {
                Ok(server) => return Ok(server),
                Err(failed) if ports_left > 0 && port_was_taken(&failed.error) => {
                    place = failed.place;
                }
                Err(failed) => return Err(failed.error),
            }
        }
    }

    fn spawn(place: Place, port: u16) -> Result<Self, PostgresError> {
        let mut command =
            place.command(port).map_err(PostgresError::io("making the server's log"))?;
        let child = command.spawn().map_err(PostgresError::io("starting postgres"))?;
        Ok(Self { process: Process::new(child), place, port })
    }

    /// Ends the server and starts it again on its port, as a standby without a primary: it answers
    /// queries and takes no writes.
    pub(super) async fn demoted(self) -> Result<Self, PostgresError> {
        let Self { process, place, port } = self;
        process.stop(STOPPED_WITHIN).await;
        place.signal(STANDBY_SIGNAL).map_err(PostgresError::io("making a standby"))?;
        Self::spawn(place, port)?.ready().await.map_err(|failed| failed.error)
    }

    /// Makes a standby take writes, as `pg_ctl promote` does.
    pub(super) async fn promote(&self) -> Result<(), PostgresError> {
        if !self.place.data(STANDBY_SIGNAL).exists() {
            return Ok(());
        }
        self.place.signal("promote").map_err(PostgresError::io("promoting a standby"))?;
        self.process.look_for_orders();
        let started = Instant::now();
        // The server removes the file once it takes writes.
        while self.place.data(STANDBY_SIGNAL).exists() {
            if started.elapsed() > READY_WITHIN {
                let log = log_end(self.place.folder.path());
                return Err(PostgresError::NotReady { seconds: READY_WITHIN.as_secs(), log });
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        Ok(())
    }

    /// Waits until this server writes that it accepts connections. Connecting would prove less:
    /// another server may have taken the port.
    async fn ready(mut self) -> Result<Self, NotStarted> {
        let started = Instant::now();
        loop {
            if says_ready(self.place.folder.path(), self.process.id()) {
                return Ok(self);
            }
            let log = || log_end(self.place.folder.path());
            let error = if self.process.has_ended() {
                PostgresError::Failed { program: "postgres", log: log() }
            } else if started.elapsed() > READY_WITHIN {
                PostgresError::NotReady { seconds: READY_WITHIN.as_secs(), log: log() }
            } else {
                tokio::time::sleep(POLL_EVERY).await;
                continue;
            };
            return Err(NotStarted { place: self.place, error });
        }
    }

    pub(super) async fn stop(self) {
        self.process.stop(STOPPED_WITHIN).await;
        // Blocks for a moment; what cannot be removed is the temporary folder's to clear.
        drop(self.place);
    }
}

/// Finds the programs and the account, and fills a folder with fresh data. Blocks.
fn prepare() -> Result<Place, PostgresError> {
    let binaries = Binaries::find()?;
    let account = account::needed()?;
    let base = account::base_folder(account)?;
    let template = template::ready(&base, &binaries, account)?;
    let folder = template::work_folder(&base, account)?;
    template::copy(&template, &folder.path().join("data"), account)
        .map_err(PostgresError::io("copying the data folder"))?;
    Ok(Place { binaries, account, folder })
}

impl Place {
    fn data(&self, file: &str) -> PathBuf {
        self.folder.path().join("data").join(file)
    }

    /// An empty file in the data folder, which the server may remove.
    fn signal(&self, name: &str) -> io::Result<()> {
        let path = self.data(name);
        File::create(&path)?;
        match self.account {
            Some(account) => std::os::unix::fs::chown(path, Some(account.uid), Some(account.gid)),
            None => Ok(()),
        }
    }

    fn command(&self, port: u16) -> io::Result<Command> {
        let log = File::create(self.folder.path().join("log"))?;
        let mut command = Command::new(&self.binaries.postgres);
        command.arg("-D").arg(self.folder.path().join("data"));
        // An empty -k: no socket in the file system, loopback only.
        command.args(["-h", "127.0.0.1", "-k", "", "-p", &port.to_string()]);
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        for variable in template::foreign_settings() {
            command.env_remove(variable);
        }
        if let Some(account) = self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The server's own lock file: its process on the first line, its state on the eighth.
fn says_ready(folder: &Path, process: Option<u32>) -> bool {
    let Ok(state) = std::fs::read_to_string(folder.join("data/postmaster.pid")) else {
        return false;
    };
    let mut lines = state.lines().map(str::trim);
    let first = lines.next().and_then(|line| line.parse().ok());
    first.is_some() && first == process && lines.nth(6) == Some("ready")
}

fn port_was_taken(error: &PostgresError) -> bool {
    matches!(error, PostgresError::Failed { log, .. } if log.contains("Address already in use"))
}

fn log_end(folder: &Path) -> String {
    const LINES: usize = 20;
    let log = std::fs::read(folder.join("log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_server_s_word_counts_as_ready() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        let write = |state: &str| {
            let text = format!("77\n/data\n1700000000\n5432\n\n127.0.0.1\n  1 2\n{state}\n");
            std::fs::write(folder.path().join("data/postmaster.pid"), text).unwrap();
        };
        assert!(!says_ready(folder.path(), Some(77)));
        write("starting");
        assert!(!says_ready(folder.path(), Some(77)));
        write("ready   ");
        assert!(says_ready(folder.path(), Some(77)));
        assert!(!says_ready(folder.path(), Some(78)));
        assert!(!says_ready(folder.path(), None));
    }

    #[test]
    fn the_end_of_the_log_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(log_end(folder.path()), "");
        let lines: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        std::fs::write(folder.path().join("log"), lines.join("\n")).unwrap();
        assert!(log_end(folder.path()).starts_with("10\n11\n"));
    }
}
