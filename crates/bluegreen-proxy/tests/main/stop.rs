use std::time::Duration;

use bluegreen_core::{Color, Stop};
use bluegreen_proxy::{Peer, Proxy, ProxyConfig};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tokio::net::TcpStream;
use tower_service::Service as _;

use crate::raw::{Raw, Then};
use crate::served::{Target, Visitor, serve};
use crate::service::Service;

#[tokio::test]
async fn a_stopped_proxy_ends_what_it_has_begun_and_accepts_nothing_more() {
    let service = Service::on_blue().await;
    let served = serve(&service.following, ProxyConfig::default()).await;
    let blue = Target::start("blue").await;
    served.proxy.set_targets(Color::Blue, [blue.address]);
    let visitor = Visitor::of(&served);
    let slow = tokio::spawn(async move { visitor.get("/slow").await });
    blue.one_arrives().await;
    served.stopper.stop(Duration::from_secs(60));
    while TcpStream::connect(served.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    blue.permits.add_permits(1);
    assert_eq!(slow.await.unwrap().body, "blue 0");
    assert_eq!(served.driver.await.unwrap().cut, 0);
}

#[tokio::test]
async fn what_outlasts_the_deadline_is_cut_and_counted() {
    let service = Service::on_blue().await;
    let served = serve(&service.following, ProxyConfig::default()).await;
    let blue = Target::start("blue").await;
    served.proxy.set_targets(Color::Blue, [blue.address]);
    let visitor = Visitor::of(&served);
    let slow = tokio::spawn(async move { visitor.ask("/slow", "").await });
    blue.one_arrives().await;
    served.stopper.stop(Duration::ZERO);
    let report = served.driver.await.unwrap();
    assert_eq!(report.cut, 1);
    assert!(slow.await.unwrap().is_err());
    assert_eq!(served.proxy.in_flight(Color::Blue), 0);
}

#[tokio::test]
async fn another_server_can_call_it_as_a_tower_service() {
    let service = Service::on_blue().await;
    let (mut proxy, driver) =
        Proxy::new(service.following.clone(), ProxyConfig::default()).unwrap();
    let (_stopper, stop) = Stop::new();
    tokio::spawn(driver.run_checks(stop));
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let mut target = Raw::start(answer, Then::Keep).await;
    proxy.set_targets(Color::Blue, [target.address]);
    let request = http::Request::post("/").header("host", "a");
    let request = request.extension(Peer::new("[::ffff:192.0.2.7]:1".parse().unwrap()));
    let request = request.body(Full::new(Bytes::from_static(b"order"))).unwrap();
    let response = proxy.call(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "ok");
    let got = target.got().await;
    assert!(got.contains("x-forwarded-for: 192.0.2.7\r\n") && got.ends_with("order"), "{got}");
}
