//! What the tests share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bluegreen_core::{Color, Release, ServiceIdentity, ServiceKey, Stop};
use bluegreen_health::{Check, Fault, Health, HealthBody, HealthBuilder, Probe};
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::net::TcpSocket;
use tower::{Service, ServiceExt};

pub(crate) fn identity() -> ServiceIdentity {
    let key = ServiceKey::new("orders").unwrap();
    ServiceIdentity::new(key, Color::Blue, Release::new("1").unwrap(), "one")
}

/// A health without probes is healthy from birth.
pub(crate) fn health() -> Health {
    Health::builder(&identity()).build().unwrap().0
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn passing() -> Probe {
    Probe::new(|| async { Ok::<_, Fault>(()) })
}

/// Decides the outcome of a probe; it fails to begin with.
#[derive(Clone, Default)]
pub(crate) struct Switch(Arc<AtomicBool>);

impl Switch {
    pub(crate) fn set(&self, good: bool) {
        self.0.store(good, Ordering::SeqCst);
    }
}

pub(crate) fn switched() -> (Probe, Switch) {
    let switch = Switch::default();
    let good = Arc::clone(&switch.0);
    let probe = Probe::new(move || {
        let good = good.load(Ordering::SeqCst);
        async move {
            if good { Ok(()) } else { Err(std::io::Error::other("secret host db-1.internal")) }
        }
    });
    (probe, switch)
}

/// Builds a health and runs its probes.
pub(crate) fn run(builder: HealthBuilder) -> (Health, tokio::task::JoinHandle<()>) {
    let (health, refresher) = builder.build().unwrap();
    let task = tokio::spawn(async move {
        refresher.run(Stop::never()).await.unwrap();
    });
    (health, task)
}

/// A health whose only probe has passed. Nobody refreshes it any more.
pub(crate) async fn healthy(name: &str) -> Health {
    let (health, task) = run(Health::builder(&identity()).probe(name, passing()));
    until(|| health.status().serves()).await;
    task.abort();
    health
}

/// What a probe's first run says.
pub(crate) async fn first_result(probe: impl Into<Probe>) -> Check {
    let (health, task) = run(Health::builder(&identity()).probe("it", probe));
    until(|| health.snapshot().checks[0].last_run.is_some()).await;
    task.abort();
    health.snapshot().checks[0].clone()
}

/// An address that refuses connections: the socket has it and does not listen, so that nobody else
/// comes to listen there.
pub(crate) fn nobody() -> (TcpSocket, SocketAddr) {
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = deaf.local_addr().unwrap();
    (deaf, address)
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

/// Lets other tasks run until something holds: for a minute, which is far beyond what any test
/// needs, so that one which waits in vain fails rather than hangs.
#[track_caller]
pub(crate) fn until(mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        for _ in 0..60_000 {
            if holds() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("what {caller} waits for never comes");
    }
}
