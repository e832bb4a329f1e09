//! In a binary of its own, as the counting allocator is global.

use std::convert::Infallible;
use std::future::ready;

use allocation_counter::measure;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::{BehaviorVersion, Config};
use bluegreen_core::{Color, Release, ServiceIdentity, ServiceKey};
use bluegreen_metrics::{Metrics, MetricsConfig, Unit};
use futures_util::FutureExt as _;
use http::{Request, Response};
use tower::{Layer as _, Service, service_fn};

use asked::{ask, metrics};

#[cfg(test)]
mod asked {
    use super::*;

    pub(crate) fn metrics() -> Metrics {
        let config = Config::builder().behavior_version(BehaviorVersion::latest()).build();
        let key = ServiceKey::new("orders").unwrap();
        let who = ServiceIdentity::new(key, Color::Blue, Release::new("1").unwrap(), "1");
        Metrics::new(Client::from_conf(config), "Shop", &who, MetricsConfig::default()).unwrap().0
    }

    /// A service that is ready at once and allocates nothing, asked once.
    pub(crate) fn ask<S, B>(service: &mut S)
    where
        S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    {
        let answer = std::pin::pin!(service.call(Request::new(())));
        let answer = answer.now_or_never().unwrap().unwrap();
        assert_eq!(answer.status(), 200);
    }
}

#[test]
fn a_record_allocates_nothing() {
    let metrics = metrics();
    let counter = metrics.counter("n", Unit::Count).unwrap();
    let gauge = metrics.gauge("g", Unit::Count).unwrap();
    let values = metrics.distribution("d", Unit::Milliseconds).unwrap();
    // The thread's number among the recording ones is drawn once in its life.
    metrics.counter("first", Unit::Count).unwrap().increment();
    let records = || {
        for n in 0..10_000 {
            counter.increment();
            gauge.add(1.0);
            values.record(1.0 + f64::from(n) / 10.0);
        }
    };
    let first = measure(records);
    // The thread's copies of the counter and of the distribution, and of the latter one piece of
    // 2 KiB for each doubling from 1 to 1,000: once in a thread's life.
    assert_eq!(first.count_total, 12, "{first:?}");
    assert!(first.bytes_total < 10 * 2_048 + 2_048, "{first:?}");
    assert_eq!(measure(records).count_total, 0);
}

#[test]
fn a_record_through_the_facade_allocates_nothing_with_a_handle_in_hand() {
    let metrics = metrics();
    let (counter, values) = ::metrics::with_local_recorder(&metrics.recorder(), || {
        (::metrics::counter!("n", "queue" => "a"), ::metrics::histogram!("d", "queue" => "a"))
    });
    counter.increment(1);
    values.record(5.0);
    let info = measure(|| {
        for _ in 0..1_000 {
            counter.increment(1);
            values.record(5.0);
        }
    });
    assert_eq!(info.count_total, 0);
}

#[test]
fn the_layer_allocates_nothing_for_a_request_with_or_without_a_known_route() {
    let metrics = metrics();
    let plain = service_fn(|_: Request<()>| ready(Ok(Response::new(String::new()))));
    let by_route = metrics.http_layer().by_route(|request| Some(request.uri.path()));
    let mut measured = metrics.http_layer().layer(plain);
    let mut routed = by_route.layer(plain);
    // The first of a thread and of a route makes their places.
    ask(&mut measured);
    ask(&mut routed);
    // So does the first of a doubling of latencies; here all take no time.
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(async {
            ask(&mut measured);
            ask(&mut routed);
            assert_eq!(measure(|| (0..100).for_each(|_| ask(&mut measured))).count_total, 0);
            assert_eq!(measure(|| (0..100).for_each(|_| ask(&mut routed))).count_total, 0);
        });
}
