use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bluegreen_core::Color;
use bluegreen_proxy::ProxyConfig;
use tokio::task::JoinSet;

use crate::served::{Target, Visitor, serve};
use crate::service::Service;

/// Waits until `counter` has grown by `more`.
async fn grows(counter: &AtomicU64, more: u64) {
    let until = counter.load(Ordering::SeqCst) + more;
    while counter.load(Ordering::SeqCst) < until {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_under_load_fails_no_request_and_the_drained_color_gets_none() {
    let service = Service::on_blue().await;
    let served = serve(&service.following, ProxyConfig::default()).await;
    let (blue, green) = (Target::start("blue").await, Target::start("green").await);
    served.proxy.set_targets(Color::Blue, [blue.address]);
    served.proxy.set_targets(Color::Green, [green.address]);
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut visitors = JoinSet::new();
    for number in 0..32 {
        let (visitor, over, done) = (Visitor::of(&served), over.clone(), done.clone());
        visitors.spawn(async move {
            let body = "x".repeat(number * 100);
            while !over.load(Ordering::SeqCst) {
                let answer = visitor.ask("/", &body).await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.body);
                assert!(answer.body.ends_with(&format!(" {}", body.len())));
                done.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    grows(&done, 200).await;
    service.begin(Color::Green).await;
    served.proxy.check(Color::Green).await.unwrap();
    for share in [100, 500, 1000] {
        service.shift(share).await;
        grows(&done, 200).await;
    }
    service.commit().await;
    served.proxy.drain(Color::Blue).await.unwrap();
    let blue_had = blue.count();
    blue.kill();
    grows(&done, 500).await;
    over.store(true, Ordering::SeqCst);
    while let Some(visitor) = visitors.join_next().await {
        visitor.unwrap();
    }
    assert_eq!(blue.count(), blue_had);
    assert_eq!(blue.count() + green.count(), done.load(Ordering::SeqCst));
    assert_eq!(served.proxy.in_flight(Color::Blue), 0);
}
