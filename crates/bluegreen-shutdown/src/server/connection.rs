use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

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
use super::activity::{Limits, Verdict};
use super::counted::{Counted, Line};
use super::roster::Place;
use super::watched::Watched;
use crate::driver::BoxError;

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
    pub(super) panics: Arc<AtomicU64>,
    pub(super) close: Stop,
    pub(super) place: Place,
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
        let Self { service, config, in_flight, leaving, panics, close, place } = self;
        let activity = Arc::clone(place.activity());
        let service = TowerToHyperService::new(service);
        let line = Line { activity: Arc::clone(&activity), in_flight, leaving, panics };
        let counted = Counted { service, line: Arc::new(line) };
        let io = TokioIo::new(Watched::new(stream, place));
        let builder = auto::Builder::new(TokioExecutor::new());
        let connection = builder.serve_connection_with_upgrades(io, counted);
        tokio::pin!(connection);

        let mut limits = Limits::of(&config);
        let mut next_look = Instant::now() + limits.shortest();
        let (mut closing, mut told) = (false, false);
        loop {
            let tell = tokio::select! {
                biased;
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(error, "a connection ended with an error");
                    }
                    return ConnectionEnd::Closed;
                }
                _ = close.requested(), if !closing => {
                    closing = true;
                    limits = limits.last_call();
                    let now = Instant::now();
                    activity.last_call(now);
                    next_look = now + limits.shortest();
                    !told && activity.is_busy()
                }
                () = sleep_until(next_look) => match activity.look(Instant::now(), limits) {
                    Verdict::LookAgain(at) => {
                        next_look = at;
                        false
                    }
                    Verdict::Idle if !told => true,
                    Verdict::SlowHead if !told => return ConnectionEnd::SlowHead,
                    Verdict::SlowHead | Verdict::Idle => return ConnectionEnd::Closed,
                }
            };
            if tell {
                told = true;
                limits = limits.goodbye();
                let now = Instant::now();
                activity.told(now);
                next_look = now + limits.shortest();
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
