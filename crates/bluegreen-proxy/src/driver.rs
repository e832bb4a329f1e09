use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::Stop;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::{Peer, Proxy, ProxyError, check};

/// How long to wait after the system could not give a connection: mostly for lack of file
/// descriptors, which come back as connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The background work of a [`Proxy`]: its health checks and, unless another server has it, its
/// HTTP/1.1 server.
#[derive(Debug)]
#[must_use = "without it no target is ever checked"]
pub struct ProxyDriver {
    proxy: Proxy,
}

/// What a driver did until it was stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyReport {
    /// The connections that were accepted.
    pub accepted: u64,
    /// Those that had not ended by the deadline and were cut.
    pub cut: usize,
}

impl ProxyDriver {
    pub(crate) const fn new(proxy: Proxy) -> Self {
        Self { proxy }
    }

    /// Serves `listener` and checks the targets. Once stopped it accepts nothing more, lets every
    /// request under way end until the deadline, and then cuts what is left. Dropped, it cuts at
    /// once.
    ///
    /// # Errors
    /// None so far.
    pub async fn run(self, listener: TcpListener, stop: Stop) -> Result<ProxyReport, ProxyError> {
        let checks = check::run(Arc::clone(&self.proxy.shared));
        tokio::select! {
            report = serve(self.proxy, listener, stop) => Ok(report),
            never = checks => match never {},
        }
    }

    /// Only checks the targets, until stopped: for a proxy that another server serves.
    ///
    /// # Errors
    /// None so far.
    pub async fn run_checks(self, stop: Stop) -> Result<ProxyReport, ProxyError> {
        tokio::select! {
            _ = stop.requested() => Ok(ProxyReport::default()),
            never = check::run(self.proxy.shared) => match never {},
        }
    }
}

async fn serve(proxy: Proxy, listener: TcpListener, stop: Stop) -> ProxyReport {
    let graceful = GracefulShutdown::new();
    // The tasks end with this set, so a dropped driver leaves none behind.
    let mut connections = JoinSet::new();
    let mut report = ProxyReport::default();
    let requested = stop.requested();
    tokio::pin!(requested);
    loop {
        tokio::select! {
            _ = &mut requested => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    report.accepted += 1;
                    let connection = connection(proxy.clone(), stream, Peer::new(peer), &graceful);
                    connections.spawn(connection);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = stop.expired() => {
            while connections.try_join_next().is_some() {}
            report.cut = connections.len();
        }
    }
    connections.shutdown().await;
    report
}

fn connection(
    proxy: Proxy,
    stream: TcpStream,
    peer: Peer,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection cannot be set to send at once");
    }
    let head_timeout = proxy.shared.config.head_timeout;
    let service = service_fn(move |request| {
        let (shared, peer) = (Arc::clone(&proxy.shared), peer.clone());
        async move { Ok::<_, Infallible>(shared.forward(request, Some(&peer)).await) }
    });
    let connection = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .serve_connection(TokioIo::new(stream), service);
    let watched = graceful.watch(connection);
    async move {
        if let Err(error) = watched.await {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "a client's connection ended");
        }
    }
}
