use bluegreen_core::Color;
use bluegreen_metrics::{Metrics, MetricsConfig};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::account::{Account, seconds};

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
    let layer = metrics.error_events();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let subscriber = tracing_subscriber::registry().with(layer.clone());
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
