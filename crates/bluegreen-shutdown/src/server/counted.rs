//! Counts requests from their head to the end of their answer, and asks HTTP/1 clients to leave.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bluegreen_core::{InFlight, InFlightGuard};
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use super::activity::Activity;

/// A service whose requests are counted.
pub(super) struct Counted<S> {
    pub(super) service: TowerToHyperService<S>,
    pub(super) in_flight: InFlight,
    pub(super) activity: Arc<Activity>,
    pub(super) leaving: Arc<AtomicBool>,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Counted<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone,
{
    type Response = Response<CountedBody<B>>;
    type Error = S::Error;
    type Future = CountedFuture<S>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.activity.request_begins();
        let under_way =
            UnderWay { _guard: self.in_flight.enter(), activity: Arc::clone(&self.activity) };
        // Over HTTP/2 the header is forbidden (hyper drops it with a warning): GOAWAY does its work.
        let leaving = (request.version() < Version::HTTP_2).then(|| Arc::clone(&self.leaving));
        let future = hyper::service::Service::call(&self.service, request);
        CountedFuture { future, leaving, under_way: Some(under_way) }
    }
}

/// A request under way; dropping it ends it.
struct UnderWay {
    _guard: Option<InFlightGuard>,
    activity: Arc<Activity>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.activity.request_ends(Instant::now());
    }
}

pin_project! {
    pub(super) struct CountedFuture<S>
    where
        S: Service<Request<Incoming>>,
    {
        #[pin]
        future: TowerToHyperServiceFuture<S, Request<Incoming>>,
        leaving: Option<Arc<AtomicBool>>,
        under_way: Option<UnderWay>,
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
        if this.leaving.as_ref().is_some_and(|leaving| leaving.load(Ordering::Relaxed)) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let under_way = this.under_way.take();
        Poll::Ready(Ok(response.map(|body| CountedBody { body, under_way })))
    }
}

pin_project! {
    pub(super) struct CountedBody<B> {
        #[pin]
        body: B,
        under_way: Option<UnderWay>,
    }
}

impl<B: Body> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if frame.is_none() {
            *this.under_way = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
