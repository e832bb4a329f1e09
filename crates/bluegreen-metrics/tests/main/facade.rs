use bluegreen_core::Color;
use bluegreen_metrics::MetricsConfig;

use crate::account::{Account, NAMESPACE, seconds};

#[tokio::test(start_paused = true)]
async fn instrumentation_through_the_facade_arrives_unwired() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let recorder = metrics.recorder();
    ::metrics::with_local_recorder(&recorder, || {
        ::metrics::describe_histogram!("fetch", ::metrics::Unit::Milliseconds, "a fetch");
        for _ in 0..3 {
            ::metrics::counter!("messages", "queue" => "orders").increment(2);
        }
        ::metrics::counter!("ticks").absolute(40);
        ::metrics::gauge!("depth").set(10.0);
        ::metrics::histogram!("fetch", "table" => "items").record(12.5);
    });
    Account::between_windows().await;
    tokio::time::sleep(seconds(120)).await;
    ::metrics::with_local_recorder(&recorder, || {
        // Levels and totals go on from where they were.
        ::metrics::gauge!("depth").increment(1.0);
        ::metrics::counter!("ticks").absolute(42);
        ::metrics::counter!("ticks").absolute(41);
    });
    running.stop(seconds(5)).await;
    assert_eq!(account.sum("messages"), 6.0);
    assert_eq!(account.sum("ticks"), 42.0);
    assert_eq!(account.sum("fetch"), 12.5);
    assert_eq!(account.read("depth", "Sum", 60).await, [(0, 10.0), (60, 10.0), (120, 11.0)]);
    let messages = &account.series("messages")[0].dimensions;
    assert_eq!(messages.get("queue").map(String::as_str), Some("orders"));
    assert_eq!(messages.get("Environment").map(String::as_str), Some("blue"));
}

#[tokio::test(start_paused = true)]
async fn a_described_unit_reaches_series_with_labels() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    ::metrics::with_local_recorder(&metrics.recorder(), || {
        ::metrics::describe_histogram!("fetch", ::metrics::Unit::Milliseconds, "a fetch");
        ::metrics::histogram!("fetch", "table" => "items").record(12.5);
    });
    running.stop(seconds(5)).await;
    let statistics = account
        .client()
        .get_metric_statistics()
        .namespace(NAMESPACE)
        .metric_name("fetch")
        .set_dimensions(Some(
            [("Environment", "blue"), ("Service", "orders"), ("table", "items")]
                .into_iter()
                .map(|(name, value)| {
                    aws_sdk_cloudwatch::types::Dimension::builder().name(name).value(value).build()
                })
                .collect(),
        ))
        .start_time(crate::account::at(0).into())
        .end_time(crate::account::at(60).into())
        .period(60)
        .statistics(aws_sdk_cloudwatch::types::Statistic::Sum)
        .send()
        .await
        .unwrap();
    let unit = statistics.datapoints()[0].unit().unwrap().as_str();
    assert_eq!(unit, "Milliseconds");
}

#[tokio::test(start_paused = true)]
async fn labels_that_run_away_are_folded_and_foreign_names_are_adapted() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    ::metrics::with_local_recorder(&metrics.recorder(), || {
        for n in 0..20_000 {
            ::metrics::counter!("n", "user" => n.to_string()).increment(1);
        }
        ::metrics::counter!("größe", "Environment" => "evil", "x" => "").increment(1);
        // One name, two kinds: the second is named in the log and records nothing.
        ::metrics::gauge!("n").set(1.0);
        ::metrics::counter!("RequestCount").increment(1);
    });
    let report = running.stop(seconds(5)).await;
    assert_eq!(account.series("n").iter().map(|series| series.sum).sum::<f64>(), 20_000.0);
    assert_eq!(account.series("n").len(), 101);
    assert_eq!(report.stats.failed_sends.total(), 0);
    let adapted = &account.series("gr??e")[0].dimensions;
    assert_eq!(adapted.get("Environment").map(String::as_str), Some("blue"));
    assert_eq!(adapted.get("x").map(String::as_str), Some("none"));
    assert_eq!(account.sum("RequestCount"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_macro_finds_its_series_again_after_it_was_forgotten() {
    let account = Account::new();
    let config = MetricsConfig::default().with_idle_ttl(seconds(60)).with_max_series(2);
    let (metrics, running) = account.start(Color::Blue, config);
    let recorder = metrics.recorder();
    let record = |queue: &'static str| {
        ::metrics::with_local_recorder(&recorder, || {
            ::metrics::counter!("n", "queue" => queue).increment(1);
            ::metrics::gauge!("depth", "queue" => queue).set(5.0);
            ::metrics::histogram!("d", "queue" => queue).record(2.0);
        });
    };
    Account::between_windows().await;
    // More queues than the cap, but never so many at a time.
    for queue in ["a", "b", "c", "a", "d"] {
        record(queue);
        record(queue);
        tokio::time::sleep(seconds(180)).await;
    }
    let report = running.stop(seconds(5)).await;
    assert_eq!(report.stats.folded, 0);
    let sums = |name| -> Vec<_> {
        let all = account.series(name).into_iter();
        all.map(|series| (series.dimensions.get("queue").cloned(), series.sum)).collect()
    };
    let of = |a: f64, other: f64| {
        [("a", a), ("b", other), ("c", other), ("d", other)]
            .map(|(queue, sum)| (Some(queue.to_owned()), sum))
    };
    assert_eq!(sums("n"), of(4.0, 2.0));
    assert_eq!(sums("d"), of(8.0, 4.0));
    // A level in the window it was set, and in one more until it was idle.
    assert_eq!(sums("depth"), of(20.0, 10.0));
}

/// A macro holds no handle: what it counts from must not depend on how long it was silent.
#[tokio::test(start_paused = true)]
async fn totals_and_levels_go_on_from_where_they_were_after_the_series_was_forgotten() {
    let account = Account::new();
    let config = MetricsConfig::default().with_idle_ttl(seconds(60));
    let (metrics, running) = account.start(Color::Blue, config);
    let recorder = metrics.recorder();
    let record = |total: u64, moved: f64| {
        ::metrics::with_local_recorder(&recorder, || {
            ::metrics::counter!("total", "queue" => "a").absolute(total);
            ::metrics::gauge!("depth").increment(moved);
            ::metrics::gauge!("set").set(moved);
        });
    };
    Account::between_windows().await;
    record(1_000, 10.0);
    tokio::time::sleep(seconds(600)).await;
    record(1_000, 1.0);
    // Forgotten again, and now what was moved since the first time.
    tokio::time::sleep(seconds(600)).await;
    record(1_007, -4.0);
    running.stop(seconds(5)).await;
    assert_eq!(account.sum("total"), 1_007.0);
    // Each level in the window in which it was set, and in one more until it was idle.
    let expected = [(0, 10.0), (60, 10.0), (600, 11.0), (660, 11.0), (1_200, 7.0)];
    assert_eq!(account.read("depth", "Sum", 60).await, expected);
    let expected = [(0, 10.0), (60, 10.0), (600, 1.0), (660, 1.0), (1_200, -4.0)];
    assert_eq!(account.read("set", "Sum", 60).await, expected);
}

#[tokio::test(start_paused = true)]
async fn names_that_run_away_are_folded_by_kind_and_lose_no_record() {
    let account = Account::new();
    let config = MetricsConfig::default().with_max_total_series(60);
    let (metrics, running) = account.start(Color::Blue, config);
    ::metrics::with_local_recorder(&metrics.recorder(), || {
        for n in 0..5_000 {
            ::metrics::counter!(format!("counter-{n}")).increment(1);
            ::metrics::gauge!(format!("gauge-{n}")).set(7.0);
            ::metrics::histogram!(format!("histogram-{n}")).record(2.0);
        }
        for n in 0..5_000 {
            ::metrics::counter!("counter-0", format!("label-{n}") => "x").increment(1);
        }
    });
    let report = running.stop(seconds(5)).await;
    let of = |name: &str| {
        let all = account.world.cloudwatch_service().series(NAMESPACE).into_iter();
        let sums = all.filter(|series| series.name.starts_with(name)).map(|series| series.sum);
        sums.collect::<Vec<_>>()
    };
    // A third of the cap each, and what took the rest.
    assert_eq!((of("counter-").len(), of("OverflowCounter")), (20 + 11, vec![4_980.0]));
    assert_eq!(of("counter-").iter().sum::<f64>(), 20.0 + 5_000.0);
    assert_eq!((of("gauge-").len(), of("OverflowGauge")), (20, vec![7.0]));
    assert_eq!((of("histogram-").len(), of("OverflowDistribution")), (20, vec![9_960.0]));
    assert_eq!(report.stats.folded, 3 * 4_980 + 5_000);
    assert_eq!(account.sum("MetricsFolded"), report.stats.folded as f64);
    assert_eq!(report.stats.failed_sends.total(), 0);
}

/// Threads that come and go and hold no handle meet a collector that forgets what they record in.
#[tokio::test(start_paused = true)]
async fn what_threads_record_while_their_series_are_being_forgotten_all_arrives() {
    const ROUNDS: u64 = 40;
    const THREADS: u64 = 6;
    let account = Account::new();
    let config = MetricsConfig::default().with_idle_ttl(seconds(60));
    let (metrics, running) = account.start(Color::Blue, config);
    let recorder = metrics.recorder();
    let record = move |records: u64| {
        ::metrics::with_local_recorder(&recorder, || {
            for n in 0..records {
                let queue = ["a", "b", "c"][usize::try_from(n % 3).unwrap()];
                ::metrics::counter!("n", "queue" => queue).increment(1);
                ::metrics::histogram!("d", "queue" => queue).record(2.0);
            }
        });
    };
    let mut recorded = 0;
    for round in 0..ROUNDS {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let record = record.clone();
                std::thread::spawn(move || record(3_000))
            })
            .collect();
        recorded += THREADS * 3_000;
        // The collector goes through several windows, idle ones among them, meanwhile.
        for _ in 0..round % 5 {
            tokio::time::sleep(seconds(61)).await;
        }
        for thread in threads {
            thread.join().unwrap();
        }
    }
    let report = running.stop(seconds(30)).await;
    let sum = |name| account.series(name).iter().map(|series| series.sum).sum::<f64>();
    assert_eq!(sum("n"), recorded as f64, "{report:?}");
    assert_eq!(sum("d"), 2.0 * recorded as f64, "{report:?}");
    assert_eq!(report.stats.dropped.total(), 0);
}
