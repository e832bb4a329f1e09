//! What the tests share.

use bluegreen_core::{Color, Release, ServiceIdentity, ServiceKey};
use bluegreen_health::{Health, HealthBody};
use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Service, ServiceExt};

pub(crate) fn identity() -> ServiceIdentity {
    let key = ServiceKey::new("orders").unwrap();
    ServiceIdentity::new(key, Color::Blue, Release::new("1").unwrap(), "one")
}

pub(crate) fn get(path: &str) -> Request<String> {
    Request::get(path).body(String::new()).unwrap()
}

/// Status and body of an answer.
pub(crate) async fn read<B>(response: Response<HealthBody<B>>) -> (u16, String)
where
    B: http_body::Body<Data = bytes::Bytes>,
    B::Error: std::fmt::Debug,
{
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Asks the health alone.
pub(crate) async fn ask(health: &Health, path: &str) -> (u16, String) {
    read(health.service().oneshot(get(path)).await.unwrap()).await
}

pub(crate) async fn ask_through<S, B>(service: &mut S, path: &str) -> (u16, String)
where
    S: Service<Request<String>, Response = Response<HealthBody<B>>>,
    S::Error: std::fmt::Debug,
    B: http_body::Body<Data = bytes::Bytes>,
    B::Error: std::fmt::Debug,
{
    read(service.ready().await.unwrap().call(get(path)).await.unwrap()).await
}

/// The state of one check, as `/health` tells it.
pub(crate) async fn check(health: &Health, name: &str) -> serde_json::Value {
    let (_, body) = ask(health, "/health").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    body["checks"][name].clone()
}

/// Lets other tasks run until something holds.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}
