mod accept;
mod activity;
mod config;
mod connection;
mod counted;
mod frame;
mod roster;
mod watched;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bluegreen_core::{InFlight, Stop};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout};
use tower_service::Service;

pub use config::ServerConfig;
pub(crate) use roster::Roster;

use crate::driver::{BoxError, message};
use crate::{AbandonedRequest, ServerError};
use accept::Acceptor;
use connection::{Connection, ConnectionEnd};
use roster::Cutter;

/// How long connections that were cut may take to close. A handler that blocks its thread would
/// hold up the report else.
const CLOSING: Duration = Duration::from_millis(20);

/// Serves HTTP/1 and HTTP/2 on a TCP listener with any tower service, and ends without failing a
/// request that it could answer.
///
/// A panic in the service ends one connection (over HTTP/2: one stream) and is counted.
///
/// # Streams and websockets
///
/// They end in time if they listen to the stop; those that don't are cut at the deadline and named
/// in the report. For a websocket of axum these are five lines, the arm of `stop`:
///
/// ```
/// # use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
/// # use axum::routing::any;
/// # use bluegreen_core::Stop;
/// # use bluegreen_shutdown::{Level, Lifecycle, LifecycleConfig};
/// async fn echo(mut socket: WebSocket, stop: Stop) {
///     loop {
///         tokio::select! {
///             _ = stop.requested() => {
///                 let frame = CloseFrame { code: close_code::AWAY, reason: "".into() };
///                 socket.send(Message::Close(Some(frame))).await.ok();
///                 return;
///             }
///             Some(Ok(message)) = socket.recv() => {
///                 if socket.send(message).await.is_err() { return }
///             }
///             else => return,
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut lifecycle = Lifecycle::new(LifecycleConfig::default())?;
/// // Or that of `Level::Readiness`, to send clients elsewhere from the signal on.
/// let stop = lifecycle.stop(Level::Requests);
/// let upgrade = |upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(|socket| echo(socket, stop)) };
/// let router = axum::Router::new().route("/echo", any(upgrade));
/// # lifecycle.serve("http", tokio::net::TcpListener::bind("127.0.0.1:0").await?, router);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "nothing is served until it runs"]
pub struct Server<S> {
    listener: TcpListener,
    service: S,
    config: ServerConfig,
    in_flight: InFlight,
    roster: Roster,
    cutter: Cutter,
}

/// What a server did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerReport {
    /// Connections accepted.
    pub connections: u64,
    /// Connections closed because a request's head did not arrive in time.
    pub slow_heads: u64,
    /// Requests on which the service panicked.
    pub panics: u64,
    /// Connections that were cut at the deadline while a request was under way.
    pub connections_cut: u64,
    /// Requests whose client did not have the whole answer at the deadline.
    pub requests_abandoned: u64,
    /// Connections that a handler had taken over by an upgrade (websockets) and still held at the
    /// deadline; they were cut.
    pub upgrades_cut: u64,
    /// The oldest of these requests and upgrades by name, at most 20.
    pub abandoned: Vec<AbandonedRequest>,
}

impl<S> Server<S> {
    /// A server with the default [`ServerConfig`].
    pub fn new(listener: TcpListener, service: S) -> Self {
        let (config, in_flight) = (ServerConfig::default(), InFlight::new());
        let (cutter, roster) = Roster::new();
        Self { listener, service, config, in_flight, roster, cutter }
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

    /// The requests under way, from the last byte of the head until the last byte of the answer's
    /// body has been handed to the system; that of a websocket ends with its handshake.
    #[must_use]
    pub fn in_flight(&self) -> InFlight {
        self.in_flight.clone()
    }

    pub(crate) fn roster(&self) -> Roster {
        self.roster.clone()
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
    /// Connections that a handler took over by an upgrade (websockets) are waited for as well. At
    /// the deadline they are cut: what the handler reads or writes from then on fails with
    /// `ConnectionAborted`, also what it waits for at that moment.
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
        let Self { listener, service, config, in_flight, roster, cutter } = self;
        let limit = config.max_connections.map(|n| Arc::new(Semaphore::new(n.get())));
        let acceptor = Acceptor::new(listener, limit);
        let open = Open {
            service,
            config,
            in_flight,
            roster,
            cutter,
            leaving: Arc::default(),
            panics: Arc::default(),
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
    roster: Roster,
    cutter: Cutter,
    leaving: Arc<AtomicBool>,
    panics: Arc<AtomicU64>,
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
            panics: Arc::clone(&self.panics),
            close: self.close.clone(),
            // Of the socket, not of its task: a websocket outlives the latter.
            place: self.roster.enter(permit, Instant::now()),
        };
        self.tasks.spawn(connection.serve(stream));
    }

    fn ended(&mut self, ended: Result<ConnectionEnd, JoinError>) {
        match ended {
            Ok(ConnectionEnd::Closed) => {}
            Ok(ConnectionEnd::SlowHead) => self.report.slow_heads += 1,
            Err(error) => {
                if let Ok(payload) = error.try_into_panic() {
                    let panic = message(payload.as_ref());
                    tracing::error!(panic, "a handler panicked; its connection is closed");
                }
            }
        }
    }

    async fn drain(mut self, finish: &Stop) -> ServerReport {
        let panics = Arc::clone(&self.panics);
        let mut report = tokio::select! {
            biased;
            () = self.all_closed() => self.report,
            () = finish.expired() => self.cut().await,
        };
        report.panics = panics.load(Ordering::Relaxed);
        report
    }

    /// Cuts what is not done, and tells what that was.
    async fn cut(self) -> ServerReport {
        let Self { roster, cutter, mut tasks, report, .. } = self;
        let ServerReport { connections, slow_heads, panics, .. } = report;
        let lost = roster.lost(Instant::now());
        let report = ServerReport { connections, slow_heads, panics, ..lost };
        tracing::warn!(
            connections = report.connections_cut,
            requests = report.requests_abandoned,
            upgrades = report.upgrades_cut,
            "the deadline has passed: connections are cut"
        );
        drop(cutter);
        let closed = async {
            tasks.shutdown().await;
            roster.sockets().drained().await;
        };
        if timeout(CLOSING, closed).await.is_err() {
            tracing::warn!(sockets = roster.sockets().count(), "a handler keeps its connection");
        }
        report
    }

    /// Waits for the last socket; hyper's part of an upgraded connection ends long before. Cancel
    /// safe.
    async fn all_closed(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            self.ended(ended);
        }
        self.roster.sockets().drained().await;
    }
}
