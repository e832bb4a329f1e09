//! In a binary of its own, as the subscriber is global: only so events within events are heard.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::{BehaviorVersion, Config};
use bluegreen_core::{Color, Release, ServiceIdentity, ServiceKey};
use bluegreen_metrics::{Metrics, MetricsConfig, Recorder, Unit};
use futures_util::FutureExt as _;
use http::{Request, Response};
use tower::{Layer as _, Service as _, service_fn};
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use recording::Recording;

#[cfg(test)]
mod recording {
    use super::*;

    /// Records whatever is said, and each time something of each cap that is too much.
    #[derive(Clone)]
    pub(crate) struct Recording {
        pub(crate) metrics: Metrics,
        pub(crate) recorder: Recorder,
        pub(crate) heard: Arc<AtomicU64>,
    }

    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Recording {
        fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
            let heard = self.heard.fetch_add(1, Ordering::Relaxed);
            assert!(heard < 10, "what the recording says is recorded without end");
            self.record(&format!("heard-{heard}"));
        }
    }

    impl Recording {
        pub(crate) fn record(&self, what: &str) {
            let by_path = self.metrics.http_layer().by_route(|request| Some(request.uri.path()));
            let service = service_fn(|_: Request<()>| {
                ready(Ok::<_, Infallible>(Response::new(String::new())))
            });
            let request = Request::get(format!("/{what}")).body(()).unwrap();
            assert!(by_path.layer(service).call(request).now_or_never().is_some());
            let labels = [("what", what)];
            self.metrics.counter_with("n", Unit::Count, &labels).unwrap().increment();
            self.metrics.counter(what, Unit::Count).unwrap().increment();
            // Of another kind than the counter of that name: nothing is recorded.
            ::metrics::with_local_recorder(&self.recorder, || ::metrics::gauge!("n").set(1.0));
        }
    }
}

/// All of it is said while something is being registered or looked up.
#[test]
fn a_layer_that_records_what_the_registry_says_neither_waits_for_itself_nor_goes_round_in_circles()
{
    let config = Config::builder().behavior_version(BehaviorVersion::latest()).build();
    let key = ServiceKey::new("orders").unwrap();
    let who = ServiceIdentity::new(key, Color::Blue, Release::new("1").unwrap(), "1");
    let caps = MetricsConfig::default().with_max_series(1).with_max_total_series(7);
    let metrics = Metrics::new(Client::from_conf(config), "Shop", &who, caps).unwrap().0;
    let recorder = metrics.recorder();
    let recording = Recording { metrics, recorder, heard: Arc::default() };
    let subscriber = tracing_subscriber::registry().with(recording.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    for what in ["a", "b", "c"] {
        recording.record(what);
    }
    // Of the routes, the labels, the names, and what is not recorded: once each.
    assert_eq!(recording.heard.load(Ordering::Relaxed), 4);
}
