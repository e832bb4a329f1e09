mod accept;
mod activity;
mod config;
mod connection;
mod counted;
mod watched;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bluegreen_core::{InFlight, Stop};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tower_service::Service;

pub use config::ServerConfig;

use crate::ServerError;
use crate::driver::{BoxError, message};
use accept::Acceptor;
use connection::{Connection, ConnectionEnd};

/// Serves HTTP/1 and HTTP/2 on a TCP listener with any tower service, and ends without failing a
/// request that it could answer.
///
/// A panic in the service ends one connection (over HTTP/2: one stream) and is logged.
#[derive(Debug)]
#[must_use = "nothing is served until it runs"]
pub struct Server<S> {
    listener: TcpListener,
    service: S,
    config: ServerConfig,
    in_flight: InFlight,
}

/// What a server did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerReport {
    /// Connections accepted.
    pub connections: u64,
    /// Connections closed because a request's head did not arrive in time.
    pub slow_heads: u64,
    /// Connections on which the service panicked.
    pub panics: u64,
    /// Connections that were still busy at the deadline and were cut.
    pub connections_cut: u64,
    /// Requests without an answer, or without the whole of it, at the deadline.
    pub requests_abandoned: u64,
}

impl<S> Server<S> {
    /// A server with the default [`ServerConfig`].
    pub fn new(listener: TcpListener, service: S) -> Self {
        let config = ServerConfig::default();
        Self { listener, service, config, in_flight: InFlight::new() }
    }

    /// The same with another configuration.
    ///
    /// # Errors
    /// When a field of `config` does not fit.
    pub fn with_config(mut self, config: ServerConfig) -> Result<Self, ServerError> {
        config.check()?;
        self.config = config;
        Ok(self)
    }

    /// The requests under way, from the last byte of the head to the last byte of the answer's
    /// body.
    #[must_use]
    pub fn in_flight(&self) -> InFlight {
        self.in_flight.clone()
    }
}

impl<S, B> Server<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Serves until asked to stop; then takes what has already connected, closes the listener,
    /// answers what is under way with `Connection: close` or after a GOAWAY, and cuts at the
    /// deadline what is not done. A half-sent head does not hold it up. Dropped, it cuts
    /// everything at once.
    ///
    /// Connections handed over to a handler by an upgrade (websockets) belong to that handler:
    /// they are neither waited for nor cut.
    ///
    /// # Errors
    /// None today.
    pub async fn run(self, stop: Stop) -> Result<ServerReport, ServerError> {
        Ok(self.run_through(stop.clone(), stop.clone(), stop).await)
    }

    /// The same in three steps: clients are asked to leave, the listener closes, all must be done.
    pub(crate) async fn run_through(
        self,
        leaving: Stop,
        close: Stop,
        finish: Stop,
    ) -> ServerReport {
        let Self { listener, service, config, in_flight } = self;
        let limit = config.max_connections.map(|n| Arc::new(Semaphore::new(n.get())));
        let acceptor = Acceptor::new(listener, limit);
        let open = Open {
            service,
            config,
            in_flight,
            leaving: Arc::new(AtomicBool::new(false)),
            close,
            tasks: JoinSet::new(),
            report: ServerReport::default(),
        };
        open.serve(acceptor, leaving).await.drain(&finish).await
    }
}

/// The open connections.
struct Open<S> {
    service: S,
    config: ServerConfig,
    in_flight: InFlight,
    leaving: Arc<AtomicBool>,
    close: Stop,
    tasks: JoinSet<ConnectionEnd>,
    report: ServerReport,
}

impl<S, B> Open<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    async fn serve(mut self, mut acceptor: Acceptor, leaving: Stop) -> Self {
        let close = self.close.clone();
        loop {
            tokio::select! {
                biased;
                _ = close.requested() => break,
                _ = leaving.requested(), if !self.leaving.load(Ordering::Relaxed) => self.leave(),
                Some(ended) = self.tasks.join_next() => self.ended(ended),
                (stream, permit) = acceptor.next() => self.open(stream, permit),
            }
        }
        self.leave();
        // Whoever has connected before the listener closes has been promised an answer.
        for stream in acceptor.close() {
            self.open(stream, None);
        }
        self
    }

    fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    fn open(&mut self, stream: TcpStream, permit: Option<OwnedSemaphorePermit>) {
        self.report.connections += 1;
        let connection = Connection {
            service: self.service.clone(),
            config: self.config,
            in_flight: self.in_flight.clone(),
            leaving: Arc::clone(&self.leaving),
            close: self.close.clone(),
        };
        self.tasks.spawn(async move {
            let _permit = permit;
            connection.serve(stream).await
        });
    }

    fn ended(&mut self, ended: Result<ConnectionEnd, JoinError>) {
        match ended {
            Ok(ConnectionEnd::Closed) => {}
            Ok(ConnectionEnd::SlowHead) => self.report.slow_heads += 1,
            Err(error) => {
                if let Ok(payload) = error.try_into_panic() {
                    self.report.panics += 1;
                    let panic = message(payload.as_ref());
                    tracing::error!(panic, "a handler panicked; its connection is closed");
                }
            }
        }
    }

    async fn drain(mut self, finish: &Stop) -> ServerReport {
        loop {
            tokio::select! {
                biased;
                ended = self.tasks.join_next() => match ended {
                    Some(ended) => self.ended(ended),
                    None => return self.report,
                },
                () = finish.expired() => break,
            }
        }
        self.report.connections_cut = u64::try_from(self.tasks.len()).unwrap_or(u64::MAX);
        self.report.requests_abandoned = self.in_flight.count();
        tracing::warn!(
            connections = self.report.connections_cut,
            requests = self.report.requests_abandoned,
            "the deadline has passed: connections are cut"
        );
        self.tasks.shutdown().await;
        self.report
    }
}
