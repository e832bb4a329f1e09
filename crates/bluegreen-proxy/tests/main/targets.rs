use std::time::Duration;

use axum::http::StatusCode;
use bluegreen_core::Color;
use bluegreen_proxy::{CheckError, CheckFailure, ProxyConfig};
use tokio::net::TcpSocket;

use crate::raw::{Raw, Then};
use crate::served::{Target, Visitor, listener, serve};
use crate::service::Service;

#[tokio::test]
async fn a_killed_target_costs_no_request_while_another_one_lives() {
    let service = Service::on_blue().await;
    let served = serve(&service.following, ProxyConfig::default()).await;
    let (one, two) = (Target::start("one").await, Target::start("two").await);
    served.proxy.set_targets(Color::Blue, [one.address, two.address]);
    served.proxy.check(Color::Blue).await.unwrap();
    one.kill();
    let visitor = Visitor::of(&served);
    for _ in 0..20 {
        // A POST too: nothing of it was sent to the dead one.
        assert_eq!(visitor.ask("/", "order").await.unwrap().body, "two 5");
    }
    let stats = served.proxy.stats().colors.blue;
    assert_eq!((stats.requests, stats.not_sent, stats.unreachable), (20, 10, 0));
}

#[tokio::test]
async fn healthy_targets_share_evenly_and_an_unhealthy_one_gets_nothing() {
    let service = Service::on_blue().await;
    let served = serve(&service.following, ProxyConfig::default()).await;
    let (one, two) = (Target::start("one").await, Target::start("two").await);
    let sick = Target::with_health("sick", StatusCode::SERVICE_UNAVAILABLE).await;
    served.proxy.set_targets(Color::Blue, [one.address, sick.address, two.address]);
    let error = served.proxy.check(Color::Blue).await.unwrap_err();
    let failed = vec![(sick.address, CheckFailure::Status(503))];
    assert_eq!(error, CheckError::Failed { color: Color::Blue, checked: 3, failed });
    let visitor = Visitor::of(&served);
    for _ in 0..20 {
        assert_eq!(visitor.get("/").await.status, 200);
    }
    assert_eq!((one.count(), two.count(), sick.count()), (10, 10, 0));
}

#[tokio::test]
async fn a_check_tells_a_silent_target_from_a_missing_one() {
    let service = Service::on_blue().await;
    // Enough to be refused on a busy machine.
    let config = ProxyConfig::default().with_check_timeout(Duration::from_secs(2));
    let served = serve(&service.following, config).await;
    let none = served.proxy.check(Color::Green).await.unwrap_err();
    assert_eq!(none, CheckError::NoTargets { color: Color::Green });
    // This one is connected to by the kernel and never answers; that one's port is taken by a socket
    // that does not listen, and so by nobody else's.
    let (_silent, silent) = listener().await;
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = deaf.local_addr().unwrap();
    served.proxy.set_targets(Color::Green, [silent, closed]);
    let CheckError::Failed { mut failed, .. } = served.proxy.check(Color::Green).await.unwrap_err()
    else {
        panic!("there are targets");
    };
    failed.sort_by_key(|(address, _)| *address != silent);
    let expected = [(silent, CheckFailure::TimedOut), (closed, CheckFailure::Unreachable)];
    assert_eq!(failed, expected);
}

#[tokio::test]
async fn a_color_whose_targets_are_all_sick_gets_503() {
    let service = Service::on_blue().await;
    let served = serve(&service.following, ProxyConfig::default()).await;
    let visitor = Visitor::of(&served);
    assert_eq!(visitor.get("/").await.status, 503, "no targets at all");
    let sick = Target::with_health("sick", StatusCode::SERVICE_UNAVAILABLE).await;
    served.proxy.set_targets(Color::Blue, [sick.address]);
    served.proxy.check(Color::Blue).await.unwrap_err();
    let answer = visitor.get("/").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (503, "no healthy target\n"));
    assert_eq!(sick.count(), 0);
    assert_eq!(served.proxy.stats().colors.blue.no_target, 2);
}

#[tokio::test]
async fn a_connection_that_nobody_needs_is_closed_when_its_time_is_over() {
    let service = Service::on_blue().await;
    let config = ProxyConfig::default()
        .with_idle_timeout(Duration::from_millis(20))
        .with_check_interval(Duration::from_millis(10));
    let served = serve(&service.following, config).await;
    let target = Raw::start("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Then::Keep).await;
    served.proxy.set_targets(Color::Blue, [target.address]);
    assert_eq!(Visitor::of(&served).get("/").await.status, 200);
    let closed = tokio::time::timeout(Duration::from_secs(30), target.closed());
    closed.await.expect("no request and no target closes it, so the checks must");
}

#[tokio::test]
async fn a_check_that_passes_promises_that_requests_are_answered() {
    let service = Service::on_blue().await;
    let rise = ProxyConfig::default().with_rise(3.try_into().unwrap());
    let served = serve(&service.following, rise).await;
    // Its first check fails, as a process that is only starting would.
    let late = Target::with_health("late", StatusCode::SERVICE_UNAVAILABLE).await;
    served.proxy.set_targets(Color::Blue, [late.address]);
    served.proxy.check(Color::Blue).await.unwrap_err();
    late.set_health(StatusCode::OK);
    let visitor = Visitor::of(&served);
    let mut checks = 0;
    while let Err(error) = served.proxy.check(Color::Blue).await {
        let CheckError::Failed { failed, .. } = error else { panic!("{error}") };
        assert_eq!(failed, [(late.address, CheckFailure::Rising)]);
        assert_eq!(visitor.get("/").await.status, 503);
        checks += 1;
    }
    assert!(checks > 0, "three checks in a row are needed");
    assert_eq!(visitor.get("/").await.status, 200);
}
