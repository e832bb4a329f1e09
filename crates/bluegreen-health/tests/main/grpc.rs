//! Around tonic: gRPC passes through, with its trailers.

use std::convert::Infallible;

use bluegreen_health::Health;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use tonic::body::Body;
use tonic::server::NamedService;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::scene::identity;

/// A gRPC method as tonic's generated code serves it: a body, then trailers.
#[derive(Clone)]
struct Orders(BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>);

impl NamedService for Orders {
    const NAME: &'static str = "orders.Orders";
}

impl Service<Request<Body>> for Orders {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = <BoxCloneSyncService<Request<Body>, Response<Body>, Infallible> as Service<
        Request<Body>,
    >>::Future;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request)
    }
}

fn orders() -> Orders {
    let method = service_fn(|_: Request<Body>| async {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let frames = [
            http_body::Frame::data(bytes::Bytes::from_static(b"\0\0\0\0\0")),
            http_body::Frame::trailers(trailers),
        ];
        let frames = frames.map(Ok::<_, tonic::Status>);
        let body = Body::new(StreamBody::new(futures_util::stream::iter(frames)));
        Ok::<_, Infallible>(Response::new(body))
    });
    Orders(BoxCloneSyncService::new(method))
}

#[tokio::test]
async fn a_tonic_service_keeps_its_trailers_and_gets_its_health() {
    let (health, _refresher) = Health::builder(&identity()).build().unwrap();
    let routes = tonic::service::Routes::new(orders()).prepare();
    let service = health.layer().layer(routes);
    let request = |path: &str| Request::post(path).body(Body::empty()).unwrap();
    let response = service.clone().oneshot(request("/orders.Orders/Place")).await.unwrap();
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
    let get = Request::get("/health/ready").body(Body::empty()).unwrap();
    assert_eq!(service.oneshot(get).await.unwrap().status(), 200);
}
