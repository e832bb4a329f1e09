//! The world over HTTP on loopback.

use std::net::SocketAddr;
use std::time::Duration;

use bluegreen_core::Stop;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::World;

const PAUSE_WITHOUT_DESCRIPTORS: Duration = Duration::from_millis(20);

/// All services of a world on one loopback port, once [run](Self::run).
///
/// Point SDKs at it with `AWS_ENDPOINT_URL`, any region and any credentials.
#[derive(Debug)]
#[must_use = "nothing is answered before it runs"]
pub struct Served {
    world: World,
    listener: TcpListener,
    address: SocketAddr,
}

/// What a front did until it stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeReport {
    /// Connections accepted.
    pub connections: u64,
    /// Whether connections were still open at the deadline and were cut.
    pub cut: bool,
}

/// The world cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address would let other machines in; the stand-ins check no signature.
    #[error("{address} is not a loopback address: the stand-ins trust every caller")]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The address cannot be read.
    #[error("{address:?} is not an address such as \"127.0.0.1:0\"")]
    NotAnAddress {
        /// The text that was given.
        address: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

impl Served {
    pub(crate) async fn bind(world: World, address: &str) -> Result<Self, ServeError> {
        let address: SocketAddr = address
            .parse()
            .map_err(|_| ServeError::NotAnAddress { address: address.to_owned() })?;
        if !address.ip().is_loopback() {
            return Err(ServeError::NotLoopback { address });
        }
        let failed = |source| ServeError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { world, listener, address })
    }

    /// Where it listens, with the port that was taken.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers until asked to stop, then lets running calls finish until the deadline and cuts
    /// the rest, long polls among them. Dropping the future cuts all connections at once.
    pub async fn run(self, stop: Stop) -> ServeReport {
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let mut report = ServeReport::default();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stop.requested() => break,
            };
            // Those that ended are forgotten; dropping the rest cuts them.
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, _)) => {
                    report.connections += 1;
                    connections.spawn(serve_connection(self.world.clone(), stream, &graceful));
                }
                // Out of descriptors, most likely: some connection has to end first.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection to the stand-ins");
                    tokio::time::sleep(PAUSE_WITHOUT_DESCRIPTORS).await;
                }
            }
        }
        drop(self.listener);
        tokio::select! {
            () = graceful.shutdown() => {}
            () = stop.expired() => report.cut = true,
        }
        report
    }
}

fn serve_connection(
    world: World,
    stream: TcpStream,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static {
    // Small answers to small requests: waiting to fill a packet costs 40 ms a call.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot switch off Nagle's algorithm");
    }
    let service = hyper::service::service_fn(move |request| answer(world.clone(), request));
    let builder = Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let connection = graceful.watch(connection);
    async move {
        if let Err(error) = connection.await {
            tracing::debug!(error, "a connection to the stand-ins ended");
        }
    }
}

/// An error from here makes hyper close the connection without an answer: a reset.
async fn answer(
    world: World,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let response = world.answer(Request::from_parts(parts, body)).await?;
    Ok(response.map(Full::new))
}
