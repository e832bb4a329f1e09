use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bluegreen_core::{InFlight, Stop, Stopper};
use bluegreen_shutdown::{Server, ServerConfig, ServerReport};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::http1::Connection;

const LONG: Duration = Duration::from_secs(30);

struct Running {
    address: SocketAddr,
    stopper: Stopper,
    in_flight: InFlight,
    gate: Arc<Notify>,
    server: JoinHandle<ServerReport>,
}

/// A server whose `/slow` answers once the gate opens, `/half` sends half an answer before.
async fn start(config: ServerConfig) -> Running {
    let gate = Arc::new(Notify::new());
    let slow = {
        let gate = Arc::clone(&gate);
        move || async move {
            gate.notified().await;
            "slow"
        }
    };
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/slow", get(slow))
        .route("/endless", get(|| async { axum::body::Body::new(Endless) }))
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("in a handler")
                }
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stopper, stop) = Stop::new();
    let server = Server::new(listener, router).with_config(config).unwrap();
    let in_flight = server.in_flight();
    let server = tokio::spawn(async move { server.run(stop).await.unwrap() });
    Running { address, stopper, in_flight, gate, server }
}

impl Running {
    async fn under_way(&self, requests: u64) {
        while self.in_flight.count() != requests {
            tokio::task::yield_now().await;
        }
    }
}

/// A body that never ends.
struct Endless;

impl http_body::Body for Endless {
    type Data = bytes::Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Infallible>>> {
        std::task::Poll::Pending
    }
}

#[tokio::test]
async fn requests_under_way_are_answered_and_told_that_the_connection_closes() {
    let running = start(ServerConfig::default()).await;
    let mut connection = Connection::open(running.address).await.unwrap();
    assert!(!connection.get("/").await.unwrap().closes);
    connection.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    running.under_way(1).await;
    running.stopper.stop(LONG);
    while TcpStream::connect(running.address).await.is_ok() {}
    running.gate.notify_one();
    let answer = connection.answer().await.unwrap();
    assert_eq!((answer.body.as_str(), answer.closes), ("slow", true));
    assert!(connection.closed().await.is_empty());
    let report = running.server.await.unwrap();
    assert_eq!((report.requests_abandoned, report.connections_cut), (0, 0));
}

#[tokio::test]
async fn half_sent_heads_and_silent_connections_do_not_hold_up_the_end() {
    let running = start(ServerConfig::default()).await;
    let mut halves = Vec::new();
    for text in ["GET / HT", "PRI", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""] {
        let mut connection = Connection::open(running.address).await.unwrap();
        connection.send(text).await.unwrap();
        halves.push(connection);
    }
    let mut idle = Connection::open(running.address).await.unwrap();
    idle.get("/").await.unwrap();
    running.stopper.stop(LONG);
    // With time to spare against the deadline, which would count them as cut.
    let report = running.server.await.unwrap();
    assert_eq!(report.connections_cut, 0, "{report:?}");
    assert_eq!((report.connections, report.slow_heads), (5, 2), "{report:?}");
    for connection in &mut halves {
        connection.closed().await;
    }
}

#[tokio::test]
async fn a_head_that_takes_too_long_is_cut_and_an_idle_connection_stays() {
    let config = ServerConfig::default().with_header_timeout(Duration::from_millis(50));
    let running = start(config).await;
    let mut idle = Connection::open(running.address).await.unwrap();
    idle.get("/").await.unwrap();
    let mut slow = Connection::open(running.address).await.unwrap();
    slow.send("GET / HTTP/1.1\r\nhost:").await.unwrap();
    assert!(slow.closed().await.is_empty());
    // The slow head was cut after the time for heads; the idle one has been idle for longer.
    assert_eq!(idle.get("/").await.unwrap().status, 200);
    running.stopper.stop(LONG);
    assert_eq!(running.server.await.unwrap().slow_heads, 1);
}

#[tokio::test]
async fn what_is_not_done_at_the_deadline_is_cut_and_counted() {
    let running = start(ServerConfig::default()).await;
    let mut endless = Connection::open(running.address).await.unwrap();
    endless.send("GET /endless HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let mut slow = Connection::open(running.address).await.unwrap();
    slow.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    running.under_way(2).await;
    running.stopper.stop(Duration::from_millis(50));
    let report = running.server.await.unwrap();
    assert_eq!((report.requests_abandoned, report.connections_cut), (2, 2));
    assert!(slow.closed().await.is_empty());
    endless.closed().await;
    assert_eq!(running.in_flight.count(), 0);
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_only() {
    let running = start(ServerConfig::default()).await;
    let mut other = Connection::open(running.address).await.unwrap();
    other.get("/").await.unwrap();
    let mut unlucky = Connection::open(running.address).await.unwrap();
    assert!(unlucky.get("/panic").await.is_err());
    assert_eq!(other.get("/").await.unwrap().status, 200);
    running.stopper.stop(LONG);
    let report = running.server.await.unwrap();
    assert_eq!((report.panics, report.requests_abandoned), (1, 0));
}

#[tokio::test]
async fn whoever_connected_before_the_listener_closed_is_answered() {
    // A current-thread runtime: nothing is accepted between connecting and stopping.
    let running = start(ServerConfig::default()).await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let stream = std::net::TcpStream::connect(running.address).unwrap();
        std::io::Write::write_all(&mut &stream, b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
        waiting.push(stream);
    }
    running.stopper.stop(LONG);
    assert_eq!(running.server.await.unwrap().connections, 20);
    for mut stream in waiting {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK") && text.ends_with("hello"), "{text:?}");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let config = ServerConfig::default().with_max_connections(NonZeroUsize::MIN);
    let running = start(config).await;
    let mut first = Connection::open(running.address).await.unwrap();
    first.get("/").await.unwrap();
    let mut second = Connection::open(running.address).await.unwrap();
    second.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    first.get("/").await.unwrap();
    assert_eq!(running.in_flight.count(), 0);
    drop(first);
    running.under_way(1).await;
    running.gate.notify_one();
    assert_eq!(second.answer().await.unwrap().body, "slow");
}

#[tokio::test]
async fn streams_of_http2_finish_after_a_goaway() {
    let running = start(ServerConfig::default()).await;
    let io = TokioIo::new(TcpStream::connect(running.address).await.unwrap());
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = |path: &str| {
        let uri = format!("http://test{path}");
        http::Request::get(uri).body(Empty::<bytes::Bytes>::new()).unwrap()
    };
    let response = client.send_request(request("/")).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    let slow = tokio::spawn(client.send_request(request("/slow")));
    running.under_way(1).await;
    running.stopper.stop(LONG);
    while TcpStream::connect(running.address).await.is_ok() {}
    running.gate.notify_one();
    let response = slow.await.unwrap().unwrap();
    assert!(!response.headers().contains_key("connection"));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "slow");
    let report = running.server.await.unwrap();
    assert_eq!((report.requests_abandoned, report.connections_cut), (0, 0));
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_plain_tower_service_is_served_without_axum() {
    let service = tower::service_fn(|request: http::Request<hyper::body::Incoming>| async move {
        let path = request.uri().path().to_owned();
        Ok::<_, Infallible>(http::Response::new(path))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(Server::new(listener, service).run(Stop::never()));
    let mut connection = Connection::open(address).await.unwrap();
    assert_eq!(connection.get("/plain").await.unwrap().body, "/plain");
    server.abort();
}

#[test]
fn a_timeout_of_zero_is_refused_by_name() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let config = ServerConfig::default().with_idle_timeout(Duration::ZERO);
    let error = Server::new(listener, ()).with_config(config).unwrap_err();
    assert_eq!(error.to_string(), "idle_timeout of 0ns does not fit: it must be above zero");
}
