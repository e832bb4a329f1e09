//! Traps that other servers and frameworks are known for, each by name.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bluegreen_core::Stop;
use bluegreen_shutdown::{Level, Lifecycle, LifecycleConfig, ServerConfig};
use futures_util::StreamExt;
use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::http1::Connection;
use crate::process::Process;
use crate::running::{LONG, http2, http2_get, start, websocket};

/// No time-out but the shutdown's own ends a connection.
fn patient() -> ServerConfig {
    ServerConfig::default().with_header_timeout(10 * LONG).with_idle_timeout(10 * LONG)
}

/// axum #3478, hyper's graceful shutdown: a client that stops amid a head is waited for.
#[tokio::test]
async fn a_half_sent_head_does_not_hold_up_the_end() {
    let running = start(patient()).await;
    let mut halves = Vec::new();
    for text in ["GET / HT", "PRI"] {
        let mut connection = Connection::open(running.address).await.unwrap();
        connection.send(text).await.unwrap();
        halves.push(connection);
    }
    running.stopper.stop(LONG);
    // With time to spare against the deadline, which would count them as cut.
    let report = running.end().await;
    assert_eq!((report.connections, report.slow_heads, report.connections_cut), (2, 2, 0));
    for half in &mut halves {
        half.closed().await;
    }
}

/// Go #22682: a connection on which nothing was ever sent counts as busy.
#[tokio::test]
async fn a_connection_that_never_sent_a_byte_is_not_busy() {
    let running = start(patient()).await;
    let mut silent = Connection::open(running.address).await.unwrap();
    let mut prefaced = Connection::open(running.address).await.unwrap();
    prefaced.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    running.stopper.stop(LONG);
    let report = running.end().await;
    assert_eq!((report.connections, report.slow_heads, report.connections_cut), (2, 0, 0));
    assert!(silent.closed().await.is_empty());
    prefaced.closed().await;
}

/// What begins an HTTP/2 connection may come in two segments as well as in one.
#[tokio::test]
async fn a_preface_in_two_segments_is_http2_all_the_same() {
    // Enough for the second segment on a busy machine.
    let header_timeout = Duration::from_secs(2);
    let running = start(ServerConfig::default().with_header_timeout(header_timeout)).await;
    let mut client = Connection::open(running.address).await.unwrap();
    client.send("PRI * HT").await.unwrap();
    // Were they read at once, it would be one: then this shows nothing, and fails nothing.
    tokio::time::sleep(Duration::from_millis(20)).await;
    client.send("TP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut settings = [0; 9];
    client.read_exact(&mut settings).await.unwrap();
    tokio::time::sleep(header_timeout + Duration::from_millis(200)).await;
    client.send("\0\0\x08\x06\0\0\0\0\0pingpong").await.unwrap();
    running.stopper.stop(LONG);
    assert_eq!(running.end().await.slow_heads, 0);
    let text = client.closed().await;
    assert!(text.windows(8).any(|eight| eight == b"pingpong"), "the ping is answered");
}

/// Pings of the client's own keep an HTTP/2 connection as young as when it was told to end.
#[tokio::test]
async fn pings_do_not_hold_up_the_end() {
    let running = start(patient()).await;
    let mut client = Connection::open(running.address).await.unwrap();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut settings = [0; 9];
    client.read_exact(&mut settings).await.unwrap();
    let pings = tokio::spawn(async move {
        while client.send("\0\0\x08\x06\0\0\0\0\0pingpong").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    // At the deadline nothing would be counted; only the time tells.
    running.stopper.stop(LONG);
    let end = tokio::time::timeout(LONG / 2, running.end()).await;
    assert!(end.is_ok(), "only the deadline would end it");
    pings.await.unwrap();
}

/// HTTP/2 ends when the client has answered a ping, which one that is gone never does.
#[tokio::test]
async fn an_http2_client_that_is_gone_does_not_hold_up_the_end() {
    let running = start(patient()).await;
    let mut gone = Connection::open(running.address).await.unwrap();
    // The preface and empty settings make a connection; nothing is answered from then on.
    gone.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut settings = [0; 9];
    gone.read_exact(&mut settings).await.unwrap();
    running.stopper.stop(LONG);
    assert_eq!(running.end().await.connections_cut, 0);
    let goaway = 7;
    assert!(gone.closed().await.contains(&goaway));
}

/// Node's `server.close()` before version 19: keep-alive connections stay until the client leaves.
#[tokio::test]
async fn an_idle_keep_alive_connection_does_not_hold_up_the_end() {
    let running = start(patient()).await;
    let mut idle = Connection::open(running.address).await.unwrap();
    idle.get("/").await.unwrap();
    let (mut client, idle_http2) = http2(running.address).await;
    client.send_request(http2_get("/")).await.unwrap();
    running.stopper.stop(LONG);
    let report = running.end().await;
    assert_eq!((report.connections, report.connections_cut), (2, 0));
    assert!(idle.closed().await.is_empty());
    idle_http2.await.unwrap().unwrap();
}

/// The 502 of every load balancer before a keep-alive time shorter than its own: the server closes
/// while a request is on its way.
#[tokio::test]
async fn an_idle_connection_outlives_the_load_balancers_idle_timeout() {
    let albs_default = Duration::from_secs(60);
    assert!(ServerConfig::default().idle_timeout > albs_default);
    // hyper's timer for heads runs on idle connections too and would close this one.
    let config = ServerConfig::default().with_header_timeout(Duration::from_millis(50));
    let running = start(config).await;
    let mut idle = Connection::open(running.address).await.unwrap();
    idle.get("/").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(idle.get("/").await.unwrap().status, 200);
}

/// axum #1070: `axum::serve` has no deadline, and one endless answer keeps it for ever.
#[tokio::test]
async fn an_endless_stream_is_cut_at_the_deadline() {
    let running = start(ServerConfig::default()).await;
    let mut endless = Connection::open(running.address).await.unwrap();
    endless.send("GET /endless HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    running.under_way(1).await;
    running.stopper.stop(Duration::from_millis(50));
    let report = running.end().await;
    assert_eq!((report.requests_abandoned, report.connections_cut), (1, 1));
    assert_eq!(report.abandoned[0].path, "/endless");
    let text = String::from_utf8(endless.closed().await).unwrap();
    assert!(!text.ends_with("0\r\n\r\n"), "an answer that was cut must not look complete: {text}");
}

/// The same, for streams that can end: whoever listens to the stop is not cut.
#[tokio::test]
async fn an_event_stream_that_listens_to_the_stop_ends_by_itself() {
    let running = start(ServerConfig::default()).await;
    let mut events = Connection::open(running.address).await.unwrap();
    events.send("GET /events HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    running.under_way(1).await;
    running.stopper.stop(LONG);
    let text = String::from_utf8(events.closed().await).unwrap();
    assert!(text.contains("data: goodbye") && text.ends_with("0\r\n\r\n"), "{text}");
    assert_eq!(running.end().await.requests_abandoned, 0);
}

/// Go #17721: `Shutdown` ignores connections that a handler has hijacked.
#[tokio::test]
async fn a_hijacked_connection_is_waited_for_and_cut_at_the_deadline() {
    let running = start(ServerConfig::default()).await;
    let mut polite = websocket(running.address, "/socket").await;
    let mut mute = websocket(running.address, "/mute").await;
    // Enough for a goodbye on a busy machine.
    running.stopper.stop(Duration::from_secs(3));
    assert!(polite.next().await.unwrap().unwrap().is_close());
    let report = running.end().await;
    assert_eq!((report.upgrades_cut, report.abandoned.len()), (1, 1));
    assert_eq!(report.abandoned[0].path, "/mute");
    assert!(!matches!(mute.next().await, Some(Ok(_))));
}

/// Go #34163 and #36819: what was accepted while `Shutdown` began was lost.
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
    assert_eq!(running.end().await.connections, 20);
    for mut stream in waiting {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK") && text.ends_with("hello"), "{text:?}");
    }
}

/// axum-server #114: a connection whose answer has just been sent counts until the time-out.
#[tokio::test]
async fn an_end_right_after_an_answer_waits_for_nothing() {
    for _ in 0..20 {
        let running = start(ServerConfig::default()).await;
        let mut connection = Connection::open(running.address).await.unwrap();
        connection.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
        assert_eq!(connection.answer().await.unwrap().status, 200);
        running.stopper.stop(LONG);
        drop(connection);
        assert_eq!(running.end().await.connections_cut, 0);
    }
}

/// Spring Boot #20995 and #24479, and almost every other server: the listener closes with the
/// signal, while load balancers still send.
#[tokio::test]
async fn the_listener_stays_open_for_the_drain_delay() {
    let mut process = Process::start("long delay");
    let address = process.address().await;
    process.signal(Signal::INT);
    let mut status = 200;
    while status == 200 {
        let mut connection = Connection::open(address).await.unwrap();
        status = connection.get("/ready").await.unwrap().status;
    }
    assert_eq!(status, 503);
    let mut connection = Connection::open(address).await.unwrap();
    let answer = connection.get("/work").await.unwrap();
    assert_eq!((answer.status, answer.closes), (200, true));
    // Also a websocket: `Connection: close` in place of `upgrade` would fail its handshake.
    drop(websocket(address, "/socket").await);
    let (text, status) = process.end().await;
    assert!(text.contains("(SIGINT)"), "{text}");
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(TcpStream::connect(address).await.is_err());
}

/// tokio replaces a signal's default action for good, so that a second Ctrl-C does nothing.
#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    let mut process = Process::start("blocked");
    let address = process.address().await;
    let mut endless = Connection::open(address).await.unwrap();
    endless.send("GET /endless?token=secret HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    endless.head().await.unwrap();
    let mute = websocket(address, "/mute").await;
    process.signal(Signal::TERM);
    process.line("blocking").await;
    process.signal(Signal::TERM);
    let (text, status) = process.end().await;
    assert_eq!(status.code(), Some(3), "{text}");
    for line in [
        "shutdown forced",
        "driver blocked abandoned",
        "driver http abandoned",
        "driver audit log abandoned",
        "1 request abandoned on 1 connection",
        "1 upgraded connection cut",
        "request GET /endless cut after",
        "upgraded connection GET /mute cut after",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    drop(mute);
}

/// A process that ends by itself is stopped by its orchestrator as well: that is no second signal.
#[tokio::test]
async fn the_first_signal_does_not_force_a_process_that_ends_by_itself() {
    let ends = [(&[Signal::TERM][..], 2), (&[Signal::TERM, Signal::INT][..], 3)];
    for (signals, code) in ends {
        let mut process = Process::start("blocked by itself");
        process.line("blocking").await;
        for signal in signals {
            process.signal(*signal);
        }
        let (text, status) = process.end().await;
        assert!(text.contains("(requested by the program)"), "{text}");
        assert_eq!(status.code(), Some(code), "{text}");
    }
}

/// tokio-graceful-shutdown #50: `spawn_blocking` (a DNS look-up) keeps the runtime alive after the
/// shutdown has ended well.
#[tokio::test]
async fn a_blocked_thread_does_not_keep_the_process_alive() {
    let mut process = Process::start("spawn_blocking");
    process.address().await;
    process.line("a thread is blocked").await;
    process.signal(Signal::TERM);
    let (text, status) = process.end().await;
    assert_eq!(status.code(), Some(0), "{text}");
}

/// Go's `RegisterOnShutdown`, and hooks elsewhere: unordered and not waited for.
#[tokio::test(start_paused = true)]
async fn hooks_run_in_order_and_are_waited_for() {
    let mut lifecycle = Lifecycle::new(LifecycleConfig::default()).unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    for name in ["one", "two", "three"] {
        let order = Arc::clone(&order);
        lifecycle.hook(name, async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            order.lock().unwrap().push(name);
            Ok::<_, std::io::Error>(())
        });
    }
    lifecycle.trigger().shut_down();
    let report = lifecycle.run().await;
    assert_eq!(*order.lock().unwrap(), ["one", "two", "three"]);
    assert_eq!(report.finished.len(), 3);
}

/// Consumers that receive through the drain abandon what they receive; publishers that stop with
/// everything else lose the figures of the shutdown.
#[tokio::test(start_paused = true)]
async fn consumers_stop_receiving_first_and_metrics_are_sent_last() {
    let mut lifecycle = Lifecycle::new(LifecycleConfig::default()).unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    for level in [Level::Metrics, Level::Support, Level::Consumers, Level::Requests] {
        let order = Arc::clone(&order);
        lifecycle.spawn(level, level.as_str(), move |stop: Stop| async move {
            stop.requested().await;
            order.lock().unwrap().push(level);
            Ok::<_, std::io::Error>(())
        });
    }
    lifecycle.trigger().shut_down();
    assert!(lifecycle.run().await.abandoned.is_empty());
    let expected = [Level::Consumers, Level::Requests, Level::Support, Level::Metrics];
    assert_eq!(*order.lock().unwrap(), expected);
}
