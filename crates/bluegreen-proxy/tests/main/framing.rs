//! The probes that told proxies apart: raw bytes in, what target and client then see.

use std::time::Duration;

use bluegreen_core::Color;
use bluegreen_proxy::ProxyConfig;

use crate::raw::{Raw, Then, exchange};
use crate::served::{Served, serve};
use crate::service::Service;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn before(answer: &'static str) -> (Served, Raw) {
    let service = Service::on_blue().await;
    let served = serve(&service.following, ProxyConfig::default()).await;
    let target = Raw::start(answer, Then::Keep).await;
    served.proxy.set_targets(Color::Blue, [target.address]);
    (served, target)
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_never_reaches_a_target() {
    let (served, mut target) = before(OK).await;
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(600_000));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(300));
    for (probe, request, status) in [
        ("length with a sign", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\nhi", 400),
        (
            "two lengths",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
            400,
        ),
        (
            "chunks in HTTP/1.0",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("folded header", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", 400),
        ("NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\x002\r\n\r\n", 400),
        ("no host", "GET / HTTP/1.1\r\n\r\n", 400),
        ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("tunnel", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        ("not HTTP", "HELLO\r\n\r\n", 400),
        ("too long a head", &long, 431),
        ("too many headers", &many, 431),
    ] {
        let closing = request.replacen("Host: a\r\n", "Host: a\r\nConnection: close\r\n", 1);
        let closing = closing.replace("1.1\r\n\r\n", "1.1\r\nConnection: close\r\n\r\n");
        let answer = exchange(served.address, &closing).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{probe}: {answer}");
        assert_eq!(target.further(), 0, "{probe}");
    }
}

#[tokio::test]
async fn a_broken_chunk_is_the_clients_fault() {
    let (served, _target) = before(OK).await;
    let request =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n0\r\n\r\n";
    let answer = exchange(served.address, request).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(served.proxy.stats().colors.blue.bad_body, 1);
}

#[tokio::test]
async fn a_coding_wins_over_a_length_in_both_directions() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n\
                  5\r\nhello\r\n0\r\n\r\n";
    let (served, mut target) = before(answer).await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\
                   Transfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n0\r\n\r\n";
    let answer = exchange(served.address, request).await;
    let got = target.got().await.to_ascii_lowercase();
    assert!(!got.contains("content-length") && got.contains("4\r\nwiki\r\n0\r\n\r\n"), "{got}");
    assert!(!answer.to_ascii_lowercase().contains("content-length"), "{answer}");
    assert!(answer.contains("5\r\nhello\r\n0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_body_of_no_announced_length_gets_through_whatever_the_method() {
    let (served, mut target) = before(OK).await;
    for method in ["POST", "DELETE", "GET"] {
        let request = format!(
            "{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\nquery\r\n0\r\n\r\n"
        );
        assert!(exchange(served.address, &request).await.starts_with("HTTP/1.1 200 "));
        let got = target.got().await;
        assert!(got.ends_with("\r\n\r\n5\r\nquery\r\n0\r\n\r\n"), "{got}");
    }
}

#[tokio::test]
async fn an_answer_to_head_keeps_its_length_and_ends_at_once() {
    let (served, _target) = before("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").await;
    let request = "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = exchange(served.address, request).await.to_ascii_lowercase();
    assert!(answer.contains("\r\ncontent-length: 5\r\n"), "{answer}");
    assert_eq!(served.proxy.in_flight(Color::Blue), 0);
}

#[tokio::test]
async fn the_target_sees_one_host_and_nothing_of_the_clients_connection() {
    let (served, mut target) = before(OK).await;
    let request = "GET http://shop/a?b HTTP/1.1\r\nHost: bank\r\nX-Secret: 1\r\nUpgrade: h2c\r\n\
                   HTTP2-Settings: x\r\nConnection: close, X-Secret, Upgrade, HTTP2-Settings\r\n\
                   Proxy-Authorization: Basic x\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n";
    let answer = exchange(served.address, request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\nx-bluegreen-color: blue\r\n"), "{answer}");
    let got = target.got().await;
    let (line, headers) = got.trim_end().split_once("\r\n").unwrap();
    assert_eq!(line, "GET /a?b HTTP/1.1");
    let mut headers: Vec<_> = headers.split("\r\n").collect();
    headers.sort_unstable();
    let expected = [
        "host: shop",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: shop",
        "x-forwarded-proto: http",
    ];
    assert_eq!(headers, expected);
}

#[tokio::test]
async fn trailers_get_through_in_both_directions() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                  2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n";
    let (served, mut target) = before(answer).await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close, TE\r\nTE: trailers\r\n\
                   Trailer: X-Count\r\nTransfer-Encoding: chunked\r\n\r\n\
                   2\r\nhi\r\n0\r\nX-Count: 2\r\n\r\n";
    let answer = exchange(served.address, request).await.to_ascii_lowercase();
    assert!(answer.contains("0\r\nx-sum: 7\r\n\r\n"), "{answer}");
    let got = target.got().await.to_ascii_lowercase();
    assert!(
        got.contains("\r\nte: trailers\r\n") && got.contains("\r\nconnection: te\r\n"),
        "{got}"
    );
    assert!(got.contains("0\r\nx-count: 2\r\n\r\n"), "{got}");
}

#[tokio::test]
async fn an_answer_in_another_protocol_is_502() {
    let (served, _target) =
        before("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
            .await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = exchange(served.address, request).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

#[tokio::test]
async fn early_hints_do_not_stand_in_for_the_answer() {
    let (served, _target) = before(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = exchange(served.address, request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("ok"), "{answer}");
}

#[tokio::test]
async fn half_a_head_does_not_hold_a_connection_forever() {
    let service = Service::on_blue().await;
    let config = ProxyConfig::default().with_head_timeout(Duration::from_millis(50));
    let served = serve(&service.following, config).await;
    // Without a time-out this would wait forever.
    exchange(served.address, "GET / HTTP/1.1\r\nHost: a\r\n").await;
}

#[tokio::test]
async fn one_kept_connection_serves_many_requests() {
    let (served, mut target) = before(OK).await;
    let keep = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = exchange(served.address, &[keep, keep, last].concat()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
    target.got().await;
    assert_eq!(target.further(), 2);
}
