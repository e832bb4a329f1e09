use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::ResponseBody;
use super::future::ResponseFuture;
use super::timing::Timing;
use crate::requests::RequestsCell;

/// Records the requests of a service:
///
/// | metric | unit | |
/// |---|---|---|
/// | `RequestCount` | Count | requests that ended; sent even when zero, as the color's sign of life |
/// | `ErrorCount` | Count | those with a status of 500 and above, an error of the service or of the body, or a panic |
/// | `RequestLatency` | Milliseconds | from the call until the response's body ends or is dropped |
/// | `InFlight` | Count | begun and not ended, at the end of the window |
///
/// A request counts when it ends, in all three at once: one record makes count, error and latency,
/// so that in every window they add up. A request whose client went away counts with the time until
/// then, and not as an error.
///
/// Nothing is excluded: place it inside of what answers health checks. It allocates nothing of its
/// own and boxes neither future nor body.
#[derive(Clone, Debug)]
pub struct RequestMetricsLayer {
    requests: Arc<RequestsCell>,
}

/// A service whose requests are recorded: what [`RequestMetricsLayer`] makes.
#[derive(Clone, Debug)]
pub struct RequestMetrics<S> {
    inner: S,
    requests: Arc<RequestsCell>,
}

impl RequestMetricsLayer {
    pub(crate) fn new(requests: Arc<RequestsCell>) -> Self {
        Self { requests }
    }
}

impl<S> Layer<S> for RequestMetricsLayer {
    type Service = RequestMetrics<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestMetrics { inner, requests: Arc::clone(&self.requests) }
    }
}

impl<S, RequestBody, Body> Service<Request<RequestBody>> for RequestMetrics<S>
where
    S: Service<Request<RequestBody>, Response = Response<Body>>,
{
    type Response = Response<ResponseBody<Body>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let timing = Timing::start(Arc::clone(&self.requests));
        ResponseFuture::new(self.inner.call(request), timing)
    }
}
