//! Connections that a handler took over: websockets.

use std::num::NonZeroUsize;
use std::time::Duration;

use bluegreen_core::Stop;
use bluegreen_shutdown::{Server, ServerConfig};
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use crate::http1::Connection;
use crate::running::{LONG, start, websocket};

#[tokio::test]
async fn a_websocket_is_waited_for_and_says_goodbye() {
    let running = start(ServerConfig::default()).await;
    let mut socket = websocket(running.address, "/socket").await;
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
    running.stopper.stop(LONG);
    let Message::Close(Some(frame)) = socket.next().await.unwrap().unwrap() else {
        panic!("no goodbye")
    };
    assert_eq!(frame.reason, "going away");
    drop(socket);
    let report = running.end().await;
    assert_eq!((report.upgrades_cut, report.connections_cut), (0, 0));
}

#[tokio::test]
async fn the_server_does_not_end_while_a_websocket_is_open() {
    let running = start(ServerConfig::default()).await;
    let mut socket = websocket(running.address, "/mute").await;
    running.stopper.stop(LONG);
    running.listener_closed().await;
    // Longer than any other quiet connection is left open, and it still works.
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        socket.send(Message::text("still here")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("still here"));
        assert!(!running.server.is_finished());
    }
    socket.close(None).await.unwrap();
    assert_eq!(running.end().await.upgrades_cut, 0);
}

#[tokio::test]
async fn a_websocket_whose_handler_waits_is_cut_at_the_deadline_and_named() {
    let running = start(ServerConfig::default()).await;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(websocket(running.address, "/mute?token=secret").await);
    }
    running.stopper.stop(Duration::from_millis(50));
    let report = running.end().await;
    assert_eq!((report.upgrades_cut, report.requests_abandoned, report.connections_cut), (3, 0, 0));
    assert!(report.abandoned.iter().all(|request| request.path == "/mute" && request.upgraded));
    for mut socket in sockets {
        // No close frame: the handler never got to it.
        assert!(!matches!(socket.next().await, Some(Ok(_))));
    }
}

/// Takes over any connection that asks for an upgrade, and hands it to `keep`.
async fn taken_over<F>(
    keep: impl Fn(TokioIo<hyper::upgrade::Upgraded>) -> F + Clone + Send + 'static,
) -> (
    std::net::SocketAddr,
    impl Future<Output = bluegreen_shutdown::ServerReport>,
    bluegreen_core::Stopper,
)
where
    F: Future<Output = ()> + Send + 'static,
{
    let service = tower::service_fn(move |request: Request<Incoming>| {
        let keep = keep.clone();
        async move {
            let connects = request.method() == http::Method::CONNECT;
            tokio::spawn(async move {
                let io = hyper::upgrade::on(request).await.unwrap();
                keep(TokioIo::new(io)).await;
            });
            let mut response = Response::new(String::new());
            if !connects {
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                response.headers_mut().insert("connection", "upgrade".parse().unwrap());
                response.headers_mut().insert("upgrade", "echo".parse().unwrap());
            }
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stopper, stop) = Stop::new();
    let server = tokio::spawn(Server::new(listener, service).run(stop));
    (address, async { server.await.unwrap().unwrap() }, stopper)
}

const UPGRADE: &str =
    "GET /echo HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";

#[tokio::test]
async fn a_handler_that_never_stops_writing_is_cut_too() {
    let (address, server, stopper) =
        taken_over(|mut io| async move { while io.write_all(&[0; 1_024]).await.is_ok() {} }).await;
    let mut client = Connection::open(address).await.unwrap();
    client.send(UPGRADE).await.unwrap();
    assert_eq!(client.answer().await.unwrap().status, 101);
    // Reads all the time, so that the handler never waits for long.
    let reader = tokio::spawn(async move { client.closed().await });
    stopper.stop(Duration::from_millis(50));
    assert_eq!(server.await.upgrades_cut, 1);
    reader.await.unwrap();
}

#[tokio::test]
async fn a_handler_that_cannot_write_any_more_is_cut_too() {
    let (told, mut ended) = tokio::sync::mpsc::channel(1);
    let (address, server, stopper) = taken_over(move |mut io| {
        let told = told.clone();
        async move {
            let error = loop {
                if let Err(error) = io.write_all(&[0; 1 << 16]).await {
                    break error;
                }
            };
            told.send(error.kind()).await.unwrap();
        }
    })
    .await;
    let mut client = Connection::open(address).await.unwrap();
    client.send(UPGRADE).await.unwrap();
    assert_eq!(client.answer().await.unwrap().status, 101);
    stopper.stop(Duration::from_millis(50));
    assert_eq!(server.await.upgrades_cut, 1);
    assert_eq!(ended.recv().await, Some(std::io::ErrorKind::ConnectionAborted));
}

#[tokio::test]
async fn a_tunnel_by_connect_is_an_upgrade_as_well() {
    let (address, server, stopper) = taken_over(|mut io| async move {
        io.read_to_end(&mut Vec::new()).await.ok();
    })
    .await;
    let mut client = Connection::open(address).await.unwrap();
    client.send("CONNECT database:5432 HTTP/1.1\r\nhost: database:5432\r\n\r\n").await.unwrap();
    assert_eq!(client.answer().await.unwrap().status, 200);
    stopper.stop(Duration::from_millis(50));
    let report = server.await;
    assert_eq!((report.upgrades_cut, report.abandoned[0].method.as_str()), (1, "CONNECT"));
}

#[tokio::test]
async fn a_dropped_server_cuts_its_websockets() {
    let running = start(ServerConfig::default()).await;
    let mut socket = websocket(running.address, "/mute").await;
    running.server.abort();
    assert!(!matches!(socket.next().await, Some(Ok(_))));
}

#[tokio::test]
async fn a_websocket_counts_against_the_limit_of_connections_until_it_is_closed() {
    let config = ServerConfig::default().with_max_connections(NonZeroUsize::MIN);
    let running = start(config).await;
    let mut socket = websocket(running.address, "/socket").await;
    let mut second = Connection::open(running.address).await.unwrap();
    second.send("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    for _ in 0..20 {
        socket.send(Message::text("mine")).await.unwrap();
        socket.next().await.unwrap().unwrap();
    }
    assert_eq!(running.in_flight.count(), 0);
    socket.close(None).await.unwrap();
    running.under_way(1).await;
    running.gate.notify_one();
    assert_eq!(second.answer().await.unwrap().body, "slow");
}

#[tokio::test]
async fn a_closed_websocket_leaves_nothing_behind() {
    let running = start(ServerConfig::default()).await;
    for _ in 0..20 {
        let mut socket = websocket(running.address, "/socket").await;
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    }
    let _mute = websocket(running.address, "/mute").await;
    running.stopper.stop(Duration::from_millis(50));
    let report = running.end().await;
    assert_eq!((report.connections, report.upgrades_cut), (21, 1));
}
