//! A TCP proxy on loopback with switchable faults, for what an HTTP client cannot reach:
//! PostgreSQL's connections above all.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::Stop;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

const BACKLOG: u32 = 1024;
const CHUNK: usize = 16 * 1024;

/// What goes wrong between a client and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Each chunk read, in either direction, is passed on only this much later. Chunks of one
    /// direction do not overlap, so that a large transfer slows down as well.
    Latency(Duration),
    /// Open connections are reset, and so is each new one once it was accepted.
    Reset,
    /// Connections open and stay open, and nothing passes, not even their end. What is held back
    /// passes when the fault ends.
    HalfOpen,
    /// New connections are refused; open ones go on.
    Refuse,
}

/// The handle of a running proxy. Clones switch the same one.
#[derive(Clone, Debug)]
pub struct TcpFault {
    address: SocketAddr,
    fault: Arc<watch::Sender<Option<Fault>>>,
}

/// The proxy itself: nothing is accepted before it runs.
#[derive(Debug)]
#[must_use = "nothing is forwarded before it runs"]
pub struct TcpFaultProxy {
    address: SocketAddr,
    upstream: SocketAddr,
    listener: TcpListener,
    fault: watch::Receiver<Option<Fault>>,
}

/// What a proxy did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpFaultReport {
    /// Connections accepted, those reset at once included.
    pub accepted: u64,
}

/// Why a proxy could not go on: its port could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("listening on {address} failed")]
pub struct TcpFaultError {
    address: SocketAddr,
    source: io::Error,
}

impl TcpFault {
    /// Takes a free port of 127.0.0.1 for connections to `upstream`, without a fault.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub fn start(upstream: SocketAddr) -> Result<(Self, TcpFaultProxy), TcpFaultError> {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let failed = |source| TcpFaultError { address: any_port, source };
        let listener =
            reserve(any_port).and_then(|socket| socket.listen(BACKLOG)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (sender, fault) = watch::channel(None);
        let handle = Self { address, fault: Arc::new(sender) };
        Ok((handle, TcpFaultProxy { address, upstream, listener, fault }))
    }

    /// Where to connect in place of the server.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Begins a fault, in place of a present one. What is on its way may still see the state before.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(Some(fault));
    }

    /// Ends the fault.
    pub fn clear(&self) {
        self.fault.send_replace(None);
    }
}

impl TcpFaultProxy {
    /// Accepts and forwards until the stop is requested, then closes all connections at once: a
    /// proxy of faults has nothing to finish. Dropping the future does the same.
    ///
    /// # Errors
    /// When the port cannot be listened on again after a refusal.
    pub async fn run(mut self, stop: Stop) -> Result<TcpFaultReport, TcpFaultError> {
        let mut report = TcpFaultReport::default();
        let mut connections = JoinSet::new();
        loop {
            let client = tokio::select! {
                biased;
                _ = stop.requested() => return Ok(report),
                () = refusing(&mut self.fault) => {
                    let address = self.address;
                    let failed = |source| TcpFaultError { address, source };
                    self = tokio::select! {
                        _ = stop.requested() => return Ok(report),
                        proxy = self.refuse() => proxy.map_err(failed)?,
                    };
                    continue;
                }
                Some(_) = connections.join_next() => continue,
                accepted = self.listener.accept() => accepted,
            };
            // What fails here is that client's connection, not the listener.
            let Ok((client, _)) = client else {
                tokio::task::yield_now().await;
                continue;
            };
            report.accepted += 1;
            connections.spawn(carry(client, self.upstream, self.fault.clone()));
        }
    }

    /// Stops listening until the fault ends. The port stays bound, so that nobody else takes it.
    async fn refuse(self) -> io::Result<Self> {
        let Self { address, upstream, listener, mut fault } = self;
        drop(listener);
        let socket = reserve(address)?;
        until(&mut fault, |fault| fault != Some(Fault::Refuse)).await;
        let listener = socket.listen(BACKLOG)?;
        Ok(Self { address, upstream, listener, fault })
    }
}

fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections of before, still open or lingering, must not keep the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn refusing(fault: &mut watch::Receiver<Option<Fault>>) {
    until(fault, |fault| fault == Some(Fault::Refuse)).await;
}

/// Waits for a state and answers it. Without a handle left the present state is the last one.
async fn until(
    fault: &mut watch::Receiver<Option<Fault>>,
    reached: impl Fn(Option<Fault>) -> bool,
) -> Option<Fault> {
    if let Ok(fault) = fault.wait_for(|fault| reached(*fault)).await {
        return *fault;
    }
    std::future::pending().await
}

/// One connection, from its acceptance to its end or reset.
async fn carry(
    mut client: TcpStream,
    upstream: SocketAddr,
    mut fault: watch::Receiver<Option<Fault>>,
) {
    if until(&mut fault, |fault| fault != Some(Fault::HalfOpen)).await == Some(Fault::Reset) {
        reset(&client);
        return;
    }
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        reset(&client);
        return;
    };
    let mut faults = fault.clone();
    let was_reset = {
        let (client_reads, client_writes) = client.split();
        let (server_reads, server_writes) = server.split();
        let up = forward(client_reads, server_writes, fault.clone());
        let down = forward(server_reads, client_writes, fault);
        tokio::select! {
            biased;
            _ = until(&mut faults, |fault| fault == Some(Fault::Reset)) => true,
            outcome = async { tokio::try_join!(up, down) } => outcome.is_err(),
        }
    };
    if was_reset {
        reset(&client);
        reset(&server);
    }
}

/// Passes one direction on until it ends, and then its end.
async fn forward(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    mut fault: watch::Receiver<Option<Fault>>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk).await?;
        // Looked at after reading: a chunk that arrives during the fault must not slip through.
        let fault = until(&mut fault, |fault| fault != Some(Fault::HalfOpen)).await;
        if let Some(Fault::Latency(latency)) = fault {
            tokio::time::sleep(latency).await;
        }
        match chunk.get(..read) {
            None | Some([]) => return to.shutdown().await,
            Some(bytes) => to.write_all(bytes).await?,
        }
    }
}

/// Makes closing the connection send a reset in place of an orderly end.
fn reset(connection: &TcpStream) {
    // Fails only on a connection that is gone.
    drop(connection.set_zero_linger());
}
