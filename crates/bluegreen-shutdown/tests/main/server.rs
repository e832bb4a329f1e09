use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bluegreen_core::Stop;
use bluegreen_shutdown::{Server, ServerConfig};
use http_body_util::BodyExt;
use tokio::net::TcpListener;

use crate::http1::Connection;
use crate::running::{BIG, LONG, http2, http2_get, start};

#[tokio::test]
async fn requests_under_way_are_answered_and_told_that_the_connection_closes() {
    let running = start(ServerConfig::default()).await;
    let mut connection = Connection::open(running.address).await.unwrap();
    assert!(!connection.get("/").await.unwrap().closes);
    connection.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    running.under_way(1).await;
    running.stopper.stop(LONG);
    running.listener_closed().await;
    running.gate.notify_one();
    let answer = connection.answer().await.unwrap();
    assert_eq!((answer.body.as_str(), answer.closes), ("slow", true));
    assert!(connection.closed().await.is_empty());
    let report = running.end().await;
    assert_eq!((report.requests_abandoned, report.connections_cut), (0, 0));
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
    assert_eq!(running.end().await.slow_heads, 1);
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_only() {
    let running = start(ServerConfig::default()).await;
    let mut other = Connection::open(running.address).await.unwrap();
    other.get("/").await.unwrap();
    let mut unlucky = Connection::open(running.address).await.unwrap();
    assert!(unlucky.get("/panic").await.is_err());
    assert_eq!(other.get("/").await.unwrap().status, 200);
    // Over HTTP/2 its own stream only.
    let (mut client, _connection) = http2(running.address).await;
    assert!(client.send_request(http2_get("/panic")).await.is_err());
    assert_eq!(client.send_request(http2_get("/")).await.unwrap().status(), 200);
    running.stopper.stop(LONG);
    let report = running.end().await;
    assert_eq!((report.panics, report.requests_abandoned), (2, 0));
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
    let (mut client, connection) = http2(running.address).await;
    let response = client.send_request(http2_get("/")).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    let slow = tokio::spawn(client.send_request(http2_get("/slow")));
    running.under_way(1).await;
    running.stopper.stop(LONG);
    running.listener_closed().await;
    running.gate.notify_one();
    let response = slow.await.unwrap().unwrap();
    assert!(!response.headers().contains_key("connection"));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "slow");
    let report = running.end().await;
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

#[tokio::test]
async fn what_is_not_done_at_the_deadline_is_cut_counted_and_named() {
    let running = start(ServerConfig::default()).await;
    // Loses nothing, and is not counted.
    let mut idle = Connection::open(running.address).await.unwrap();
    idle.get("/").await.unwrap();
    let mut slow = Connection::open(running.address).await.unwrap();
    slow.send("GET /slow?token=secret HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    running.under_way(1).await;
    let (mut client, _connection) = http2(running.address).await;
    let over_http2 = tokio::spawn(client.send_request(http2_get("/endless")));
    running.under_way(2).await;
    running.stopper.stop(Duration::from_millis(50));
    let in_flight = running.in_flight.clone();
    let report = running.end().await;
    assert_eq!((report.requests_abandoned, report.connections_cut, report.upgrades_cut), (2, 2, 0));
    let names: Vec<_> = report.abandoned.iter().map(|r| (r.method.as_str(), &*r.path)).collect();
    assert_eq!(names, [("GET", "/slow"), ("GET", "/endless")]);
    assert!(slow.closed().await.is_empty());
    drop(over_http2);
    in_flight.close();
    in_flight.drained().await;
}

#[tokio::test]
async fn an_upload_that_is_half_sent_at_the_deadline_is_cut_and_named() {
    let running = start(ServerConfig::default()).await;
    let mut upload = Connection::open(running.address).await.unwrap();
    let head = "POST /upload HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n";
    upload.send(&format!("{head}half")).await.unwrap();
    running.under_way(1).await;
    running.stopper.stop(Duration::from_millis(50));
    let report = running.end().await;
    assert_eq!(report.requests_abandoned, 1);
    assert_eq!(report.abandoned[0].method, http::Method::POST);
    assert!(upload.closed().await.is_empty());
}

#[tokio::test]
async fn an_upload_under_way_is_taken_whole_and_answered() {
    let running = start(ServerConfig::default()).await;
    let mut upload = Connection::open(running.address).await.unwrap();
    let head =
        "POST /upload HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 8\r\n\r\n";
    upload.send(head).await.unwrap();
    running.under_way(1).await;
    running.stopper.stop(LONG);
    running.listener_closed().await;
    // Told to go on with the body although the server is leaving.
    assert_eq!(upload.answer().await.unwrap().status, 100);
    upload.send("half").await.unwrap();
    upload.send("half").await.unwrap();
    let answer = upload.answer().await.unwrap();
    assert_eq!((answer.body.as_str(), answer.closes), ("8", true));
    assert_eq!(running.end().await.requests_abandoned, 0);
}

#[tokio::test]
async fn of_pipelined_requests_the_first_is_answered_and_the_rest_are_left_to_the_client() {
    let running = start(ServerConfig::default()).await;
    let mut connection = Connection::open(running.address).await.unwrap();
    let slow = "GET /slow HTTP/1.1\r\nhost: test\r\n\r\n";
    connection.send(&slow.repeat(3)).await.unwrap();
    running.under_way(1).await;
    running.stopper.stop(LONG);
    running.listener_closed().await;
    running.gate.notify_one();
    // `Connection: close` says that what was sent after it was not taken.
    let answer = connection.answer().await.unwrap();
    assert_eq!((answer.body.as_str(), answer.closes), ("slow", true));
    assert!(connection.closed().await.is_empty());
    assert_eq!(running.end().await.requests_abandoned, 0);
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_the_whole_answer() {
    let running = start(ServerConfig::default()).await;
    let mut slow = Connection::open(running.address).await.unwrap();
    slow.send("GET /big HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let (_, length, _) = slow.head().await.unwrap();
    running.stopper.stop(LONG);
    running.listener_closed().await;
    // Longer than a connection that was told to end may be quiet.
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert_eq!((slow.closed().await.len(), length), (BIG, BIG));
    assert_eq!(running.end().await.requests_abandoned, 0);
}

#[tokio::test]
async fn a_client_that_stops_reading_is_counted_although_its_handler_is_done() {
    let running = start(ServerConfig::default()).await;
    let mut stuck = Connection::open(running.address).await.unwrap();
    stuck.send("GET /big HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    stuck.head().await.unwrap();
    running.stopper.stop(Duration::from_millis(50));
    let report = running.end().await;
    assert_eq!((report.requests_abandoned, report.connections_cut), (1, 1));
}

#[tokio::test]
async fn an_http2_client_that_reads_slowly_gets_the_whole_answer() {
    let running = start(ServerConfig::default()).await;
    let (mut client, _connection) = http2(running.address).await;
    let response = client.send_request(http2_get("/big")).await.unwrap();
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    running.stopper.stop(LONG);
    running.listener_closed().await;
    // Longer than a connection that was told to end may be quiet.
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    let rest = body.collect().await.unwrap().to_bytes();
    assert_eq!(first.len() + rest.len(), BIG);
    assert_eq!(running.end().await.requests_abandoned, 0);
}

#[tokio::test]
async fn an_http2_client_that_stops_reading_is_counted_although_its_handler_is_done() {
    let running = start(ServerConfig::default()).await;
    let (mut client, _connection) = http2(running.address).await;
    let response = client.send_request(http2_get("/big")).await.unwrap();
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    // The windows are full, the socket is not.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(running.in_flight.count(), 1);
    running.stopper.stop(Duration::from_millis(50));
    let report = running.end().await;
    assert_eq!((report.requests_abandoned, report.connections_cut), (1, 1));
    assert_eq!(report.abandoned[0].path, "/big");
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_a_complete_answer_is_as_idle_as_any() {
    // Enough for the handshake on a busy machine.
    let config = ServerConfig::default().with_idle_timeout(Duration::from_secs(2));
    let running = start(config).await;
    let (mut client, connection) = http2(running.address).await;
    let response = client.send_request(http2_get("/big")).await.unwrap();
    // The server closes: nothing else ends a connection of a client that is there.
    assert!(tokio::time::timeout(LONG / 3, connection).await.is_ok());
    drop(response);
    running.under_way(0).await;
}

#[tokio::test]
async fn a_request_on_its_way_when_the_listener_closes_is_answered() {
    // However long the connection was idle: as a pool keeps it, longer than the last call.
    for idle_for in [Duration::ZERO, Duration::from_millis(1_500)] {
        let running = start(ServerConfig::default()).await;
        let mut idle = Connection::open(running.address).await.unwrap();
        idle.get("/").await.unwrap();
        tokio::time::sleep(idle_for).await;
        running.stopper.stop(LONG);
        running.listener_closed().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let answer = idle.get("/").await.unwrap();
        assert_eq!((answer.body.as_str(), answer.closes), ("hello", true));
    }
}

#[tokio::test]
async fn a_head_under_way_when_the_listener_closes_is_answered() {
    let running = start(ServerConfig::default()).await;
    let mut half = Connection::open(running.address).await.unwrap();
    half.send("GET / HT").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    running.stopper.stop(LONG);
    running.listener_closed().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    half.send("TP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    assert_eq!(half.answer().await.unwrap().body, "hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_thread_does_not_hold_up_the_report() {
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let service = tower::service_fn(move |_: http::Request<hyper::body::Incoming>| {
        let blocked = Arc::clone(&blocked);
        async move {
            blocked.lock().unwrap().recv().ok();
            Ok::<_, Infallible>(http::Response::new(String::new()))
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stopper, stop) = Stop::new();
    let server = Server::new(listener, service);
    let in_flight = server.in_flight();
    let server = tokio::spawn(server.run(stop));
    let mut connection = Connection::open(address).await.unwrap();
    connection.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    // No timer: a blocked worker may be the one that would have fired it.
    while in_flight.count() == 0 {
        tokio::task::yield_now().await;
    }
    stopper.stop(Duration::ZERO);
    let report = tokio::time::timeout(LONG, server).await;
    drop(release);
    assert_eq!(report.unwrap().unwrap().unwrap().requests_abandoned, 1);
}
