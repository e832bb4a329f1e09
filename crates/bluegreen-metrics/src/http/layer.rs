use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::request::Parts;
use ::http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::ResponseBody;
use super::future::ResponseFuture;
use super::timing::Timing;
use crate::registry::{Registry, Routes};

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
/// Layers inside of one another each record each request: put one around a service, or one by route
/// on a `Router` and none around it. An upgraded connection (status 101) counts until its answer was
/// sent, which is the end of the response's body: what is said over it afterwards is no request.
///
/// Nothing is excluded: place it inside of what answers health checks. It allocates nothing of its
/// own, but when it meets a new route or one of characters that CloudWatch does not take, and boxes
/// neither future nor body.
#[derive(Clone)]
pub struct RequestMetricsLayer {
    registry: Arc<Registry>,
    routes: Arc<Routes>,
    route_of: Option<RouteOf>,
}

type RouteOf = Arc<dyn Fn(&Parts) -> Option<&str> + Send + Sync>;

/// A service whose requests are recorded: what [`RequestMetricsLayer`] makes.
#[derive(Clone, Debug)]
pub struct RequestMetrics<S> {
    inner: S,
    layer: RequestMetricsLayer,
}

impl RequestMetricsLayer {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        let routes = registry.routes();
        Self { registry, routes, route_of: None }
    }

    /// Records each route apart as well, in a label `Route`; requests without one make the route
    /// `unmatched`. The metrics of the color as a whole stay.
    ///
    /// Answer the route's pattern, `/orders/{id}`, and never the path itself: of those there is no
    /// end. Routes beyond [`max_series`](crate::MetricsConfig::max_series) fold into one, `overflow`.
    /// With axum that is `MatchedPath`, which is there for layers of a `Router`, not around it:
    ///
    /// ```
    /// use axum::Router;
    /// use axum::extract::MatchedPath;
    ///
    /// # fn example(metrics: &bluegreen_metrics::Metrics, routes: Router) -> Router {
    /// routes.layer(metrics.http_layer().by_route(|request| {
    ///     request.extensions.get::<MatchedPath>().map(MatchedPath::as_str)
    /// }))
    /// # }
    /// ```
    #[must_use]
    pub fn by_route<F>(mut self, route_of: F) -> Self
    where
        F: Fn(&Parts) -> Option<&str> + Send + Sync + 'static,
    {
        self.route_of = Some(Arc::new(route_of));
        self
    }

    fn start<B>(&self, request: Request<B>) -> (Request<B>, Timing) {
        let Some(route_of) = &self.route_of else {
            return (request, Timing::start(Arc::clone(self.routes.all())));
        };
        let (parts, body) = request.into_parts();
        let requests = self.routes.of(route_of(&parts), &self.registry);
        (Request::from_parts(parts, body), Timing::start(requests))
    }
}

impl fmt::Debug for RequestMetricsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_route = self.route_of.is_some();
        f.debug_struct("RequestMetricsLayer").field("by_route", &by_route).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RequestMetricsLayer {
    type Service = RequestMetrics<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestMetrics { inner, layer: self.clone() }
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
        let (request, timing) = self.layer.start(request);
        ResponseFuture::new(self.inner.call(request), timing)
    }
}
