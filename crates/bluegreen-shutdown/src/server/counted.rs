//! Counts requests from their head until their answer has left, notices upgrades, and asks HTTP/1
//! clients to leave.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bluegreen_core::{InFlight, InFlightGuard};
use http::header::{CONNECTION, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use super::activity::Activity;
use super::frame::Tracked;

/// A service whose requests are counted.
pub(super) struct Counted<S> {
    pub(super) service: TowerToHyperService<S>,
    pub(super) line: Arc<Line>,
}

/// What the requests of one connection share. Each holds this alone: a reference count that all
/// connections share would be fought over by their threads.
pub(super) struct Line {
    pub(super) activity: Arc<Activity>,
    pub(super) in_flight: InFlight,
    pub(super) leaving: Arc<AtomicBool>,
    pub(super) panics: Arc<AtomicU64>,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Counted<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone,
{
    type Response = Response<CountedBody<B>>;
    type Error = S::Error;
    type Future = CountedFuture<S>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (line, connects) = (Arc::clone(&self.line), request.method() == Method::CONNECT);
        let number = line.activity.request_begins(
            request.method(),
            request.uri(),
            !request.body().is_end_stream(),
            Instant::now(),
        );
        let under_way = UnderWay { _guard: line.in_flight.enter(), line, number };
        let http1 = (request.version() < Version::HTTP_2).then_some(Http1 { connects });
        let future = hyper::service::Service::call(&self.service, request);
        CountedFuture { future, http1, held: Some(Held(Arc::new(under_way))) }
    }
}

/// What HTTP/1 says in the head of an answer and HTTP/2 says otherwise: there `Connection` is
/// forbidden (hyper drops it with a warning) and GOAWAY does its work.
#[derive(Clone, Copy)]
struct Http1 {
    connects: bool,
}

impl Http1 {
    /// Whether the connection belongs to the handler after this answer.
    fn hands_over(self, status: StatusCode) -> bool {
        status == StatusCode::SWITCHING_PROTOCOLS || (self.connects && status.is_success())
    }
}

/// A request under way; dropping it ends it. Its future, its body and the data that has not left
/// share it.
pub(super) struct UnderWay {
    _guard: Option<InFlightGuard>,
    line: Arc<Line>,
    number: u64,
}

impl UnderWay {
    fn hands_over(&self) {
        self.line.activity.upgraded(self.number);
    }

    fn is_to_leave(&self) -> bool {
        self.line.leaving.load(Ordering::Relaxed)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.line.activity.request_ends(self.number, Instant::now());
    }
}

/// The share of a request's future, and then of its body: the service's code runs in these alone.
struct Held(Arc<UnderWay>);

impl Drop for Held {
    fn drop(&mut self) {
        // Over HTTP/2 each stream is a task of hyper's, which nobody else looks after.
        if std::thread::panicking() {
            self.0.line.panics.fetch_add(1, Ordering::Relaxed);
        }
        if Arc::strong_count(&self.0) > 1 {
            self.0.line.activity.answered(self.0.number, Instant::now());
        }
    }
}

pin_project! {
    pub(super) struct CountedFuture<S>
    where
        S: Service<Request<Incoming>>,
    {
        #[pin]
        future: TowerToHyperServiceFuture<S, Request<Incoming>>,
        http1: Option<Http1>,
        held: Option<Held>,
    }
}

impl<S, B> Future for CountedFuture<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
{
    type Output = Result<Response<CountedBody<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.future.poll(cx))?;
        let held = this.held.take();
        if let (Some(http1), Some(Held(request))) = (*this.http1, &held) {
            if http1.hands_over(response.status()) {
                // Its `Connection: upgrade` stays: a websocket that begins in the drain delay works.
                request.hands_over();
            } else if request.is_to_leave() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
        Poll::Ready(Ok(response.map(|body| CountedBody { body, held })))
    }
}

pin_project! {
    /// hyper drops it after the last frame; the request ends when the data has left as well.
    pub(super) struct CountedBody<B> {
        #[pin]
        body: B,
        held: Option<Held>,
    }
}

impl<B: Body> Body for CountedBody<B> {
    type Data = Tracked<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Tracked<B::Data>>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx)?);
        let share = || this.held.as_ref().map(|Held(request)| Arc::clone(request));
        Poll::Ready(frame.map(|frame| Ok(frame.map_data(|data| Tracked::new(data, share())))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
