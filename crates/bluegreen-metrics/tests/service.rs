//! A service as its author writes it, from the documentation alone. In a binary of its own, as the
//! recorder of the facade and the subscriber are global.
#![cfg(all(test, feature = "error-events"))]

use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::{BehaviorVersion, Config, Credentials, Region};
use axum::Router;
use axum::body::Body;
use axum::extract::MatchedPath;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use bluegreen_core::{Clock, Color, Release, ServiceIdentity, ServiceKey, Stop};
use bluegreen_local::World;
use bluegreen_metrics::{Metrics, MetricsConfig, MetricsError, Reader, ReaderConfig, Unit};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

fn client(world: &World) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "secret", None, None, "local"))
        .http_client(world.http_client());
    Client::from_conf(config.build())
}

#[tokio::test(start_paused = true)]
async fn a_service_wired_as_documented_is_read_back_with_all_its_figures() {
    let start = UNIX_EPOCH + Duration::from_secs(1_760_000_040);
    let clock = Clock::starting_at(start);
    let world = World::builder().clock(clock).build();
    let key = ServiceKey::new("orders").unwrap();
    let identity =
        ServiceIdentity::new(key.clone(), Color::Green, Release::new("7").unwrap(), "host-1");

    let config = MetricsConfig::default().with_clock(clock);
    let (metrics, publisher) = Metrics::new(client(&world), "Shop", &identity, config).unwrap();
    metrics.install().unwrap();
    let subscriber = tracing_subscriber::registry().with(metrics.error_events());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let (stopper, stop) = Stop::new();
    let publishing = tokio::spawn(publisher.run(stop));
    let orders = metrics.counter_with("OrdersProcessed", Unit::Count, &[("shop", "a")]).unwrap();
    let broken = async || {
        tracing::error!(target: "orders", "the database is gone");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let fine = async move || {
        ::metrics::counter!("cache_hits", "cache" => "prices").increment(1);
        orders.increment();
        tokio::time::sleep(Duration::from_millis(40)).await;
        "an order"
    };
    let app = Router::new().route("/orders/{id}", get(fine)).route("/broken", get(broken));
    let app = app.layer(
        metrics
            .http_layer()
            .by_route(|request| request.extensions.get::<MatchedPath>().map(MatchedPath::as_str)),
    );

    for path in ["/orders/1", "/orders/2", "/broken"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = app.clone().oneshot(request).await.unwrap();
        drop(answer.into_body().collect().await);
    }
    tokio::time::sleep(Duration::from_secs(75)).await;

    let bound = Duration::from_millis(10);
    let config = ReaderConfig::default().with_slow_bound(bound).with_clock(clock);
    let reader = Reader::new(client(&world), "Shop", key, config).unwrap();
    let seen = reader.observe(start, start + Duration::from_secs(60)).await.unwrap();
    let figures = seen.green[0].figures().unwrap();
    assert_eq!((figures.requests, figures.errors, figures.slow), (3, 1, Some(2)));
    assert_eq!(figures.latency, Duration::from_millis(80));
    assert!(seen.blue[0].figures().is_none());

    stopper.stop(Duration::from_secs(5));
    let report = publishing.await.unwrap().unwrap();
    assert_eq!(report.stats.dropped.total(), 0);
    let all = world.cloudwatch_service().series("Shop");
    let told = |name: &str, label: &str, value: &str| {
        let mut of = all.iter().filter(|series| series.name == name);
        let is = of.find(|series| series.dimensions.get(label).is_some_and(|is| is == value));
        is.map(|series| series.sum)
    };
    assert_eq!(told("OrdersProcessed", "shop", "a"), Some(2.0));
    assert_eq!(told("cache_hits", "cache", "prices"), Some(2.0));
    assert_eq!(told("ErrorEvents", "Target", "orders"), Some(1.0));
    assert_eq!(told("RequestCount", "Route", "/orders/{id}"), Some(2.0));
    // Nobody replaces a recorder that is there.
    assert_eq!(metrics.install(), Err(MetricsError::RecorderTaken));
}
