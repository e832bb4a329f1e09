use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_cloudwatch::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_cloudwatch::error::BoxError;
use bluegreen_core::Color;
use bluegreen_metrics::{Metrics, MetricsConfig};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::account::{Account, NAMESPACE, Running, identity, seconds};

/// Target and count of what arrived for a color.
fn told(account: &Account, color: &str) -> Vec<(String, f64)> {
    let all = account.series("ErrorEvents").into_iter();
    let of_color =
        all.filter(|series| series.dimensions.get("Environment").is_some_and(|of| of == color));
    of_color
        .map(|series| (series.dimensions.get("Target").cloned().unwrap_or_default(), series.sum))
        .collect()
}

fn logged(metrics: &Metrics, log: impl FnOnce()) {
    let subscriber = tracing_subscriber::registry().with(metrics.error_events());
    tracing::subscriber::with_default(subscriber, log);
}

#[tokio::test(start_paused = true)]
async fn errors_are_counted_by_color_and_target_and_nothing_else_is() {
    let account = Account::new();
    let (blue, running_blue) = account.start(Color::Blue, MetricsConfig::default());
    let (green, running_green) = account.start(Color::Green, MetricsConfig::default());
    logged(&blue, || {
        for _ in 0..3 {
            tracing::error!("a query failed");
        }
        tracing::error!(target: "orders::queue", "a message failed");
        tracing::warn!("slow");
        tracing::info!("fine");
        drop(tracing::error_span!("a span is no event").entered());
    });
    logged(&green, || tracing::error!(target: "orders::queue", "a message failed"));
    running_blue.stop(seconds(5)).await;
    running_green.stop(seconds(5)).await;
    let here = module_path!().to_owned();
    assert_eq!(told(&account, "blue"), [(here, 3.0), ("orders::queue".to_owned(), 1.0)]);
    assert_eq!(told(&account, "green"), [("orders::queue".to_owned(), 1.0)]);
}

#[tokio::test(start_paused = true)]
async fn errors_of_many_threads_are_all_counted() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let subscriber = tracing_subscriber::registry().with(metrics.error_events());
            scope.spawn(move || {
                tracing::subscriber::with_default(subscriber, || {
                    for _ in 0..1_000 {
                        tracing::error!(target: "t", "failed");
                        tracing::error!(target: "u", "failed");
                    }
                });
            });
        }
    });
    running.stop(seconds(5)).await;
    let expected = ["t", "u"].map(|target| (target.to_owned(), 8_000.0));
    assert_eq!(told(&account, "blue"), expected);
}

#[tokio::test(start_paused = true)]
async fn events_of_the_log_crates_bridge_count_by_the_target_they_had() {
    let account = Account::new();
    let config = MetricsConfig::default().with_max_series(2);
    let (metrics, running) = account.start(Color::Blue, config);
    logged(&metrics, || {
        // As the bridge makes them.
        let bridged = |target: &str| {
            tracing::error!(target: "log", { log.target = target, log.line = 7 }, "a query failed");
        };
        bridged("sqlx::query");
        bridged("sqlx::query");
        bridged("rustls");
        (0..100).for_each(|n| bridged(&format!("made up {n}")));
    });
    running.stop(seconds(5)).await;
    let expected = [("overflow", 100.0), ("rustls", 1.0), ("sqlx::query", 2.0)];
    let mut seen = told(&account, "blue");
    seen.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(seen, expected.map(|(target, count)| (target.to_owned(), count)));
}

/// Only ERROR is asked for, and what the layer beside it asks for is left alone.
#[tokio::test(start_paused = true)]
async fn counting_errors_turns_on_no_other_level_and_turns_none_off_beside_it() {
    use tracing_subscriber::Layer as _;
    use tracing_subscriber::filter::LevelFilter;
    #[derive(Clone, Default)]
    struct Heard(std::sync::Arc<std::sync::Mutex<Vec<tracing::Level>>>);
    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Heard {
        fn on_event(
            &self,
            event: &tracing::Event<'_>,
            _: tracing_subscriber::layer::Context<'_, S>,
        ) {
            self.0.lock().unwrap().push(*event.metadata().level());
        }
    }
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let alone = tracing_subscriber::registry().with(metrics.error_events());
    assert_eq!(tracing::Subscriber::max_level_hint(&alone), Some(LevelFilter::ERROR));
    let heard = Heard::default();
    let beside = tracing_subscriber::registry()
        .with(heard.clone().with_filter(LevelFilter::INFO))
        .with(metrics.error_events());
    assert_eq!(tracing::Subscriber::max_level_hint(&beside), Some(LevelFilter::INFO));
    tracing::subscriber::with_default(beside, || {
        tracing::info!("fine");
        tracing::error!("failed");
    });
    assert_eq!(*heard.0.lock().unwrap(), [tracing::Level::INFO, tracing::Level::ERROR]);
    running.stop(seconds(5)).await;
    assert_eq!(told(&account, "blue").len(), 1);
}

/// Tells an error whenever something is sent.
#[derive(Debug)]
struct Telling;

impl Intercept for Telling {
    fn name(&self) -> &'static str {
        "Telling"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        tracing::error!(target: "sending", "sent");
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_told_while_sending_is_counted_in_its_minute_and_keeps_no_publisher_going() {
    let account = Account::new();
    let telling = account.client().config().to_builder().interceptor(Telling).build();
    let config = MetricsConfig::default().with_clock(account.clock);
    let (metrics, publisher) =
        Metrics::new(Client::from_conf(telling), NAMESPACE, &identity(Color::Blue), config)
            .unwrap();
    let subscriber = tracing_subscriber::registry().with(metrics.error_events());
    let _subscriber = tracing::subscriber::set_default(subscriber);
    let running = Running::new(publisher);
    drop(metrics.http_layer());
    tokio::time::sleep(seconds(5 * 60 + 30)).await;
    assert_eq!(metrics.stats().sends, 5);
    // Those of the first five calls; the one of the last has nobody to go with.
    let stats = running.stop(seconds(5)).await.stats;
    assert_eq!((stats.sends, stats.pending), (6, 0), "{stats:?}");
    assert_eq!(told(&account, "blue"), [("sending".to_owned(), 5.0)]);
}
