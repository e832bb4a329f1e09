//! The tasks of both colors: real processes of the `orders` example, started, stopped and killed
//! as ECS would.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bluegreen::{ByColor, Color};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpSocket;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// ECS's default between SIGTERM and SIGKILL.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// What every task of the demo shares.
#[derive(Debug)]
pub struct Surroundings {
    /// Where the stand-ins for AWS listen.
    pub aws: String,
    /// Where each color reaches PostgreSQL.
    pub database: ByColor<String>,
    /// Where the deployment is kept.
    pub store: String,
    /// Where logs go.
    pub logs: PathBuf,
    /// The `orders` program; beside this one where nothing is given.
    pub program: Option<PathBuf>,
    /// Further variables, which win over those of the demo.
    pub variables: Vec<(String, String)>,
}

/// One running task.
#[derive(Debug)]
pub struct Task {
    /// Color, release and number.
    pub name: String,
    /// Where it serves.
    pub address: SocketAddr,
    process: Child,
    _port: Port,
}

impl Surroundings {
    /// Starts a task; it serves on its address once it is ready.
    ///
    /// # Errors
    /// When `orders` is not built or cannot be started.
    pub fn start(&self, color: Color, release: &str, number: u32) -> Result<Task> {
        let name = format!("{color}-{release}-{number}");
        let port = Port::free()?;
        let address = port.address;
        let log = File::create(self.logs.join(format!("{name}.log")))?;
        let program = self.program.clone().map_or_else(orders_binary, Ok)?;
        let process = Command::new(program)
            .env_clear()
            .env("ENVIRONMENT_COLOR", color.as_str())
            .env("SERVICE_NAME", "orders")
            .env("SERVICE_RELEASE", release)
            .env("SERVICE_INSTANCE", &name)
            .env("LISTEN", address.to_string())
            .env("DB_CONNECTION", self.database.get(color))
            .env("DD_TABLE_NAME", "orders")
            .env("BLUEGREEN_STORE", &self.store)
            .env("METRICS_RESOLUTION", "second")
            .env("AWS_ENDPOINT_URL", &self.aws)
            .env("AWS_REGION", bluegreen_local::World::REGION)
            // Faults single out a color's release by the key it signs with.
            .env("AWS_ACCESS_KEY_ID", access_key(color, release))
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("NO_COLOR", "1")
            .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned()))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a task of `orders`")?;
        Ok(Task { name, address, process, _port: port })
    }
}

/// A port that was found free, and on Linux stays so for the task that is told of it: a socket that
/// is bound and does not listen keeps everybody away who asks for any port, and nobody who asks for
/// this one.
#[derive(Debug)]
struct Port {
    address: SocketAddr,
    _kept: Option<TcpSocket>,
}

impl Port {
    fn free() -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?;
        Ok(Self { address, _kept: cfg!(target_os = "linux").then_some(socket) })
    }
}

/// The key that the tasks of one color and release sign with.
#[must_use]
pub fn access_key(color: Color, release: &str) -> String {
    format!("{color}-{release}")
}

impl Task {
    /// The process id, while it runs.
    fn pid(&self) -> Result<Pid> {
        let id = self.process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        id.with_context(|| format!("{} has ended already", self.name))
    }

    /// Sends SIGTERM and does not wait.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn terminate(&self) -> Result<()> {
        Ok(kill_process(self.pid()?, Signal::TERM)?)
    }

    /// Whether it has ended by itself, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// SIGTERM, as ECS stops a task.
    ///
    /// # Errors
    /// When it does not end in time, or ends with another exit code than 0.
    pub async fn stop(mut self) -> Result<()> {
        self.terminate()?;
        match timeout(STOP_TIMEOUT, self.process.wait()).await {
            Ok(status) => {
                let status = status?;
                if !status.success() {
                    bail!("{} ended with {status} after SIGTERM", self.name);
                }
                Ok(())
            }
            Err(_) => bail!("{} did not end within {STOP_TIMEOUT:?} of SIGTERM", self.name),
        }
    }

    /// SIGKILL: no warning, no goodbye.
    ///
    /// # Errors
    /// When it had ended already.
    pub async fn kill(mut self) -> Result<()> {
        kill_process(self.pid()?, Signal::KILL)?;
        self.process.wait().await?;
        Ok(())
    }
}

/// The `orders` program, which lies beside this one.
fn orders_binary() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    // A test program lies one folder deeper, in `deps`.
    let folders = own.parent().into_iter().chain(own.parent().and_then(Path::parent));
    folders
        .map(|folder| folder.join(format!("orders{}", std::env::consts::EXE_SUFFIX)))
        .find(|path| path.exists())
        .context("`orders` is not built: `cargo build --package orders` does that")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_kept_is_there_for_whoever_asks_for_it() -> Result<()> {
        let port = Port::free()?;
        let others: Result<Vec<_>, _> = (0..100).map(|_| Port::free()).collect();
        assert!(others?.iter().all(|other| other.address != port.address));
        // As tokio does when it binds, and servers do.
        std::net::TcpListener::bind(port.address)?;
        Ok(())
    }
}
