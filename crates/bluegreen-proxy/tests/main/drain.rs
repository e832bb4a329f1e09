use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use bluegreen_core::Color;
use bluegreen_proxy::ProxyConfig;

use crate::served::{Served, Target, Visitor, serve};
use crate::service::Service;

async fn two_colors(service: &Service) -> (Served, Target, Target) {
    let served = serve(&service.following, ProxyConfig::default()).await;
    let (blue, green) = (Target::start("blue").await, Target::start("green").await);
    served.proxy.set_targets(Color::Blue, [blue.address]);
    served.proxy.set_targets(Color::Green, [green.address]);
    (served, blue, green)
}

#[tokio::test]
async fn a_drain_waits_for_the_last_request() {
    let service = Service::on_blue().await;
    let (served, blue, green) = two_colors(&service).await;
    let visitor = Visitor::of(&served);
    let slow = tokio::spawn({
        let visitor = visitor.clone();
        async move { visitor.get("/slow").await }
    });
    blue.one_arrives().await;
    service.begin(Color::Green).await;
    service.shift(1000).await;
    assert_eq!(served.proxy.in_flight(Color::Blue), 1);
    {
        let mut drain = pin!(served.proxy.drain(Color::Blue));
        assert!(drain.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(visitor.get("/").await.color, Some(Color::Green));
        assert!(drain.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        blue.permits.add_permits(1);
        drain.await.unwrap();
    }
    assert_eq!(served.proxy.in_flight(Color::Blue), 0);
    assert_eq!(slow.await.unwrap().body, "blue 0", "it was let to its end");
    assert_eq!((blue.count(), green.count()), (1, 1));
}

#[tokio::test]
async fn a_color_that_serves_does_not_drain() {
    let service = Service::on_blue().await;
    let (served, _blue, _green) = two_colors(&service).await;
    let error = served.proxy.drain(Color::Blue).await.unwrap_err();
    assert_eq!(error.to_string(), "blue does not drain: it gets 100 % of the requests");
    assert_eq!(Visitor::of(&served).get("/").await.body, "blue 0");
}

#[tokio::test]
async fn a_color_asked_back_while_it_drains_serves_again() {
    let service = Service::on_blue().await;
    let (served, blue, _green) = two_colors(&service).await;
    let visitor = Visitor::of(&served);
    let slow = tokio::spawn({
        let visitor = visitor.clone();
        async move { visitor.get("/slow").await }
    });
    blue.one_arrives().await;
    service.begin(Color::Green).await;
    service.shift(1000).await;
    let proxy = served.proxy.clone();
    let drain = tokio::spawn(async move { proxy.drain(Color::Blue).await });
    service.shift(0).await;
    let drained = drain.await.unwrap();
    assert!(drained.unwrap_err().to_string().starts_with("blue does not drain"));
    assert_eq!(visitor.get("/").await.body, "blue 0");
    blue.permits.add_permits(1);
    slow.await.unwrap();
}

#[tokio::test]
async fn a_drained_color_serves_again_once_it_has_a_share() {
    let service = Service::on_blue().await;
    let (served, _blue, _green) = two_colors(&service).await;
    let visitor = Visitor::of(&served);
    service.begin(Color::Green).await;
    service.shift(1000).await;
    served.proxy.drain(Color::Blue).await.unwrap();
    assert_eq!(visitor.get("/").await.body, "green 0");
    service.shift(0).await;
    assert_eq!(visitor.get("/").await.body, "blue 0");
    served.proxy.drain(Color::Green).await.unwrap();
    service.shift(1000).await;
    assert_eq!(visitor.get("/").await.body, "green 0");
}
