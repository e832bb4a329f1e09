use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bluegreen_core::{InFlight, Stop};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tower_service::Service;

use super::ServerConfig;
use super::activity::{Activity, Limits, Verdict};
use super::counted::Counted;
use super::watched::Watched;
use crate::driver::BoxError;

/// How long a connection may be quiet, or a head incomplete, once the listener is closed: time for
/// a request that is already on its way.
const LAST_CALL: Duration = Duration::from_secs(1);

/// How long a connection that was told to end may stay open without a request and without taking
/// a byte: HTTP/2 waits for the client's answer, which a dead one never gives.
const GOODBYE: Duration = Duration::from_secs(3);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    Closed,
    SlowHead,
}

/// One connection and what it needs.
pub(super) struct Connection<S> {
    pub(super) service: S,
    pub(super) config: ServerConfig,
    pub(super) in_flight: InFlight,
    pub(super) leaving: Arc<AtomicBool>,
    pub(super) close: Stop,
}

impl<S, B> Connection<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    pub(super) async fn serve(self, stream: TcpStream) -> ConnectionEnd {
        let Self { service, config, in_flight, leaving, close } = self;
        let activity = Arc::new(Activity::new(Instant::now()));
        let service = TowerToHyperService::new(service);
        let counted = Counted { service, in_flight, activity: Arc::clone(&activity), leaving };
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
        let builder = auto::Builder::new(TokioExecutor::new());
        let connection = builder.serve_connection_with_upgrades(io, counted);
        tokio::pin!(connection);

        let mut limits = Limits { head: config.header_timeout, idle: config.idle_timeout };
        let mut next_look = Instant::now() + limits.shortest();
        let (mut closing, mut told) = (false, false);
        loop {
            tokio::select! {
                biased;
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(error, "a connection ended with an error");
                    }
                    return ConnectionEnd::Closed;
                }
                _ = close.requested(), if !closing => {
                    closing = true;
                    limits = limits.at_most(LAST_CALL);
                    next_look = Instant::now();
                    if activity.is_busy() && !told {
                        told = true;
                        limits = Limits::both(GOODBYE);
                        next_look += GOODBYE;
                        connection.as_mut().graceful_shutdown();
                    }
                }
                () = sleep_until(next_look) => match activity.look(Instant::now(), limits) {
                    Verdict::LookAgain(at) => next_look = at,
                    Verdict::SlowHead if !told => return ConnectionEnd::SlowHead,
                    Verdict::Idle if !told => {
                        told = true;
                        limits = Limits::both(GOODBYE);
                        next_look = Instant::now() + GOODBYE;
                        connection.as_mut().graceful_shutdown();
                    }
                    Verdict::SlowHead | Verdict::Idle => return ConnectionEnd::Closed,
                }
            }
        }
    }
}
