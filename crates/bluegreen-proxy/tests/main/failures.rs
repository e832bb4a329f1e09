use std::time::Duration;

use bluegreen_core::Color;
use bluegreen_proxy::ProxyConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::raw::{Raw, Then};
use crate::served::{Target, Visitor, listener, serve};
use crate::service::Service;

#[tokio::test]
async fn a_request_that_was_sent_is_not_sent_again() {
    let service = Service::on_blue().await;
    let served = serve(&service.following, ProxyConfig::default()).await;
    let mut breaks_off = Raw::start("", Then::Close).await;
    served.proxy.set_targets(Color::Blue, [breaks_off.address]);
    let answer = Visitor::of(&served).ask("/", "order").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (502, "the target broke off\n"));
    assert!(breaks_off.got().await.ends_with("order"));
    assert_eq!(breaks_off.further(), 0);
    assert_eq!(served.proxy.stats().colors.blue.broken, 1);
    assert_eq!(served.proxy.in_flight(Color::Blue), 0);
}

#[tokio::test]
async fn no_target_that_takes_a_connection_is_502_and_names_no_address() {
    let service = Service::on_blue().await;
    let served = serve(&service.following, ProxyConfig::default()).await;
    let live = Target::start("blue").await;
    served.proxy.set_targets(Color::Blue, [live.address]);
    served.proxy.check(Color::Blue).await.unwrap();
    live.kill();
    let answer = Visitor::of(&served).get("/").await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.body, "no target took the request\n");
    assert_eq!(served.proxy.stats().colors.blue.unreachable, 1);
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_504_and_no_longer_in_flight() {
    let service = Service::on_blue().await;
    let config = ProxyConfig::default().with_response_timeout(Duration::from_millis(50));
    let served = serve(&service.following, config).await;
    let (_silent, address) = listener().await;
    served.proxy.set_targets(Color::Blue, [address]);
    let answer = Visitor::of(&served).get("/").await;
    assert_eq!((answer.status.as_u16(), answer.color), (504, Some(Color::Blue)));
    assert_eq!(served.proxy.in_flight(Color::Blue), 0);
}

#[tokio::test]
async fn a_kept_connection_that_the_target_closed_costs_no_request() {
    let service = Service::on_blue().await;
    let served = serve(&service.following, ProxyConfig::default()).await;
    // It announces no close, and closes after each response.
    let target = Raw::start("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Then::Close).await;
    served.proxy.set_targets(Color::Blue, [target.address]);
    let visitor = Visitor::of(&served);
    for _ in 0..50 {
        assert_eq!(visitor.ask("/", "order").await.unwrap().status, 200);
        target.closed().await;
    }
}

#[tokio::test]
async fn a_visitor_that_leaves_is_no_longer_in_flight() {
    let service = Service::on_blue().await;
    let served = serve(&service.following, ProxyConfig::default()).await;
    let blue = Target::start("blue").await;
    served.proxy.set_targets(Color::Blue, [blue.address]);
    let visitor = Visitor::of(&served);
    let slow = tokio::spawn(async move { visitor.get("/slow").await });
    blue.one_arrives().await;
    slow.abort();
    service.begin(Color::Green).await;
    service.shift(1000).await;
    served.proxy.drain(Color::Blue).await.unwrap();
}

#[tokio::test]
async fn a_response_that_breaks_off_on_either_side_is_no_longer_in_flight() {
    let service = Service::on_blue().await;
    let served = serve(&service.following, ProxyConfig::default()).await;
    service.begin(Color::Green).await;
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok";
    // The target ends within the body.
    let torn = Raw::start(half, Then::Close).await;
    served.proxy.set_targets(Color::Blue, [torn.address]);
    assert!(Visitor::of(&served).ask("/", "").await.is_err());
    service.shift(1000).await;
    served.proxy.drain(Color::Blue).await.unwrap();
    // The target goes no further, and the client leaves.
    let stuck = Raw::start(half, Then::Keep).await;
    served.proxy.set_targets(Color::Blue, [stuck.address]);
    service.shift(0).await;
    let mut client = TcpStream::connect(served.address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"ok") {
        client.read_buf(&mut seen).await.unwrap();
    }
    assert_eq!(served.proxy.in_flight(Color::Blue), 1);
    drop(client);
    service.shift(1000).await;
    served.proxy.drain(Color::Blue).await.unwrap();
}
