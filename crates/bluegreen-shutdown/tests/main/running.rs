//! A server in this process, and clients for it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use axum::response::sse::{Event, Sse};
use axum::routing::{any, get, post};
use bluegreen_core::{InFlight, Stop, Stopper};
use bluegreen_shutdown::{Server, ServerConfig, ServerReport};
use futures_util::stream;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;

pub(crate) type Client = WebSocketStream<TcpStream>;

/// Far beyond what a test takes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// Longer than what sockets keep for a client that reads nothing.
pub(crate) const BIG: usize = 64 << 20;

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) stopper: Stopper,
    pub(crate) in_flight: InFlight,
    pub(crate) gate: Arc<Notify>,
    pub(crate) server: JoinHandle<ServerReport>,
}

/// `/slow` answers once `gate` opens. `/events` and `/socket` say goodbye when asked to stop;
/// `/endless` and `/mute` never hear of it.
pub(crate) fn routes(stop: &Stop, gate: Arc<Notify>) -> Router {
    let (events, sockets) = (stop.clone(), stop.clone());
    let slow = move || async move {
        gate.notified().await;
        "slow"
    };
    let panic = || async {
        if true {
            panic!("in a handler")
        }
    };
    let endless = || async {
        Body::from_stream(stream::poll_fn(|_| Poll::<Option<Result<Bytes, Infallible>>>::Pending))
    };
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/slow", get(slow))
        .route("/endless", get(endless))
        .route("/panic", get(panic))
        .route("/big", get(|| async { vec![b'x'; BIG] }))
        .route("/upload", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/events", get(|| async { until_stopped(events) }))
        .route(
            "/socket",
            any(|upgrade: WebSocketUpgrade| async {
                upgrade.on_upgrade(|socket| echo(socket, sockets))
            }),
        )
        .route(
            "/mute",
            any(|upgrade: WebSocketUpgrade| async {
                upgrade.on_upgrade(|socket| echo(socket, Stop::never()))
            }),
        )
}

/// Events until the stop, and a last one for it.
fn until_stopped(stop: Stop) -> Sse<impl stream::Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(Some(stop), |state| async {
        let stop = state?;
        tokio::select! {
            biased;
            _ = stop.requested() => Some((Ok(Event::default().data("goodbye")), None)),
            () = tokio::time::sleep(Duration::from_millis(5)) => {
                Some((Ok(Event::default().data("news")), Some(stop)))
            }
        }
    }))
}

async fn echo(mut socket: WebSocket, stop: Stop) {
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            _ = stop.requested() => {
                let frame = CloseFrame { code: 1001, reason: "going away".into() };
                socket.send(Message::Close(Some(frame))).await.ok();
                return;
            }
        };
        match message {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
}

pub(crate) async fn start(config: ServerConfig) -> Running {
    let gate = Arc::new(Notify::new());
    let (stopper, stop) = Stop::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new(listener, routes(&stop, Arc::clone(&gate)));
    let server = server.with_config(config).unwrap();
    let in_flight = server.in_flight();
    let server = tokio::spawn(async move { server.run(stop).await.unwrap() });
    Running { address, stopper, in_flight, gate, server }
}

impl Running {
    pub(crate) async fn under_way(&self, requests: u64) {
        while self.in_flight.count() != requests {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn listener_closed(&self) {
        while TcpStream::connect(self.address).await.is_ok() {}
    }

    /// Ends after everything is done; the time-out only keeps a broken test from hanging.
    pub(crate) async fn end(self) -> ServerReport {
        tokio::time::timeout(LONG, self.server).await.unwrap().unwrap()
    }
}

pub(crate) async fn websocket(address: SocketAddr, path: &str) -> Client {
    let stream = TcpStream::connect(address).await.unwrap();
    let uri = format!("ws://{address}{path}");
    tokio_tungstenite::client_async(uri, stream).await.unwrap().0
}

pub(crate) type Http2 = http2::SendRequest<http_body_util::Empty<Bytes>>;

/// A client, and the end of its connection.
pub(crate) async fn http2(address: SocketAddr) -> (Http2, JoinHandle<hyper::Result<()>>) {
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    (client, tokio::spawn(connection))
}

pub(crate) fn http2_get(path: &str) -> http::Request<http_body_util::Empty<Bytes>> {
    http::Request::get(format!("http://test{path}")).body(http_body_util::Empty::new()).unwrap()
}
