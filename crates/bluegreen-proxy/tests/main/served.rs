//! A proxy that serves, targets that count, and a client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use bluegreen_core::{Color, Following, Stop, Stopper};
use bluegreen_proxy::{Proxy, ProxyConfig, ProxyReport};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinHandle};

pub async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub struct Served {
    pub proxy: Proxy,
    pub address: SocketAddr,
    pub stopper: Stopper,
    pub driver: JoinHandle<ProxyReport>,
}

pub async fn serve(following: &Following, config: ProxyConfig) -> Served {
    let (proxy, driver) = Proxy::new(following.clone(), config).unwrap();
    let (listener, address) = listener().await;
    let (stopper, stop) = Stop::new();
    let driver = tokio::spawn(async move { driver.run(listener, stop).await.unwrap() });
    Served { proxy, address, stopper, driver }
}

/// A target that counts what it gets; `/slow` waits for a permit.
pub struct Target {
    pub address: SocketAddr,
    pub requests: Arc<AtomicU64>,
    pub permits: Arc<Semaphore>,
    pub arrived: Arc<Semaphore>,
    health: Arc<AtomicU16>,
    server: AbortHandle,
}

impl Target {
    pub async fn start(name: &'static str) -> Self {
        Self::with_health(name, StatusCode::OK).await
    }

    pub async fn with_health(name: &'static str, health: StatusCode) -> Self {
        let (listener, address) = listener().await;
        let requests = Arc::new(AtomicU64::new(0));
        let (permits, arrived) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (count, wait, here) = (requests.clone(), permits.clone(), arrived.clone());
        let all = move |request: Request| async move {
            count.fetch_add(1, Ordering::SeqCst);
            if request.uri().path() == "/slow" {
                here.add_permits(1);
                wait.acquire().await.unwrap().forget();
            }
            let body = request.into_body().collect().await.unwrap().to_bytes();
            format!("{name} {}", body.len()).into_response()
        };
        let health = Arc::new(AtomicU16::new(health.as_u16()));
        let shown = Arc::clone(&health);
        let show =
            move || async move { StatusCode::from_u16(shown.load(Ordering::SeqCst)).unwrap() };
        let app = Router::new().route("/health/ready", get(show));
        let server = axum::serve(listener, app.fallback(all));
        let server = tokio::spawn(async move { server.await.unwrap() }).abort_handle();
        Self { address, requests, permits, arrived, health, server }
    }

    pub fn set_health(&self, health: StatusCode) {
        self.health.store(health.as_u16(), Ordering::SeqCst);
    }

    pub fn count(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Waits until one more `/slow` request has arrived.
    pub async fn one_arrives(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    /// Ends the listener: new connections are refused.
    pub fn kill(&self) {
        self.server.abort();
    }
}

#[derive(Clone)]
pub struct Visitor {
    client: Client<HttpConnector, Full<Bytes>>,
    proxy: SocketAddr,
}

pub struct Answer {
    pub status: StatusCode,
    pub color: Option<Color>,
    pub body: String,
}

impl Visitor {
    pub fn of(served: &Served) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, proxy: served.address }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(path, "").await.unwrap()
    }

    /// A GET without, a POST with a body.
    pub async fn ask(&self, path: &str, body: &str) -> Result<Answer, String> {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let request = http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.proxy))
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .unwrap();
        let response = self.client.request(request).await.map_err(|error| format!("{error:?}"))?;
        let status = response.status();
        let color = response.headers().get("x-bluegreen-color");
        let color = color.map(|color| color.to_str().unwrap().parse().unwrap());
        let body = response.into_body().collect().await.map_err(|error| format!("{error:?}"))?;
        let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        Ok(Answer { status, color, body })
    }
}
