use bluegreen_core::Color;
use bluegreen_proxy::ProxyConfig;

use crate::served::{Target, Visitor, serve};
use crate::service::Service;

#[tokio::test]
async fn a_share_is_what_the_targets_count_exactly() {
    let service = Service::on_blue().await;
    let served = serve(&service.following, ProxyConfig::default()).await;
    let (blue, green) = (Target::start("blue").await, Target::start("green").await);
    served.proxy.set_targets(Color::Blue, [blue.address]);
    served.proxy.set_targets(Color::Green, [green.address]);
    service.begin(Color::Green).await;
    let visitor = Visitor::of(&served);
    let mut expected = 0;
    for share in [0, 37, 500, 1000] {
        service.shift(share).await;
        for _ in 0..1000 {
            let answer = visitor.get("/").await;
            assert_eq!(answer.body, format!("{} 0", answer.color.unwrap()), "the header is true");
        }
        expected += u64::from(share);
        assert_eq!(green.count(), expected);
    }
    assert_eq!(blue.count() + green.count(), 4000);
    let stats = served.proxy.stats();
    assert_eq!(stats.colors.green.requests, green.count());
    assert_eq!(stats.colors.blue.requests, blue.count());
}

#[tokio::test]
async fn an_unknown_deployment_gets_503_and_a_silent_proxy_no_color() {
    let service = Service::unknown();
    let config = ProxyConfig::default().with_show_color(false);
    let served = serve(&service.following, config).await;
    let answer = Visitor::of(&served).get("/").await;
    assert_eq!((answer.status.as_u16(), answer.color), (503, None));
    assert_eq!(served.proxy.stats().unrouted, 1);
}
