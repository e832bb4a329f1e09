use std::sync::{Arc, Mutex};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_cloudwatch::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_cloudwatch::error::BoxError;
use bluegreen_core::{Color, Release, ServiceIdentity, ServiceKey};
use bluegreen_local::Service;
use bluegreen_metrics::{DimensionSet, Metrics, MetricsConfig, MetricsError, Resolution, Unit};

use crate::account::{Account, NAMESPACE, Running, identity, seconds};

#[tokio::test(start_paused = true)]
async fn every_datum_carries_environment_service_and_stage() {
    let account = Account::new();
    let key = ServiceKey::new("orders").unwrap().with_stage("staging").unwrap();
    let who = ServiceIdentity::new(key, Color::Green, Release::new("2").unwrap(), "green-1");
    let config = MetricsConfig::default().with_clock(account.clock);
    let (metrics, publisher) = Metrics::new(account.client(), NAMESPACE, &who, config).unwrap();
    let running = Running::new(publisher);
    metrics.counter("OrdersProcessed", Unit::Count).unwrap().add(3);
    metrics.counter_with("Sent", Unit::Count, &[("queue", "a")]).unwrap().increment();
    metrics.gauge("Connections", Unit::Count).unwrap().set(7.0);
    metrics.distribution("Size", Unit::Bytes).unwrap().record(1_000.0);
    let layer = metrics.http_layer();
    running.stop(seconds(5)).await;
    drop(layer);
    let all = account.world.cloudwatch_service().series(NAMESPACE);
    let names: Vec<_> = all.iter().map(|series| series.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Connections",
            "ErrorCount",
            "InFlight",
            "OrdersProcessed",
            "RequestCount",
            "Sent",
            "Size"
        ]
    );
    for series in &all {
        let dimension = |name| series.dimensions.get(name).map(String::as_str);
        assert_eq!(dimension("Environment"), Some("green"), "{series:?}");
        assert_eq!(dimension("Service"), Some("orders"), "{series:?}");
        assert_eq!(dimension("Stage"), Some("staging"), "{series:?}");
        let labels = if series.name == "Sent" { 4 } else { 3 };
        assert_eq!(series.dimensions.len(), labels, "{series:?}");
    }
    assert_eq!(account.sum("OrdersProcessed"), 3.0);
    assert_eq!(account.sum("Connections"), 7.0);
    assert_eq!(account.sum("Size"), 1_000.0);
}

#[tokio::test(start_paused = true)]
async fn points_carry_the_minute_recorded_and_not_the_minute_sent() {
    let account = Account::new();
    let config = MetricsConfig::default().with_flush_interval(seconds(180));
    let (metrics, running) = account.start(Color::Blue, config);
    let counter = metrics.counter("n", Unit::Count).unwrap();
    tokio::time::sleep(seconds(5)).await;
    counter.add(3);
    tokio::time::sleep(seconds(60)).await;
    counter.add(5);
    tokio::time::sleep(seconds(110)).await;
    assert_eq!(account.world.calls(Service::CloudWatch, "PutMetricData"), 0);
    counter.add(7);
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(account.world.calls(Service::CloudWatch, "PutMetricData"), 1);
    assert_eq!(account.read("n", "Sum", 60).await, [(0, 3.0), (60, 5.0), (120, 7.0)]);
    running.stop(seconds(5)).await;
}

#[tokio::test(start_paused = true)]
async fn by_the_second_each_second_has_its_own_point() {
    let account = Account::new();
    let config = MetricsConfig::default()
        .with_resolution(Resolution::Second)
        .with_flush_interval(seconds(2));
    let (metrics, running) = account.start(Color::Blue, config);
    let counter = metrics.counter("n", Unit::Count).unwrap();
    Account::between_windows().await;
    for n in 1..=4 {
        counter.add(n);
        tokio::time::sleep(seconds(1)).await;
    }
    running.stop(seconds(5)).await;
    assert_eq!(account.read("n", "Sum", 1).await, [(0, 1.0), (1, 2.0), (2, 3.0), (3, 4.0)]);
    assert!(account.world.calls(Service::CloudWatch, "PutMetricData") <= 3);
}

#[tokio::test(start_paused = true)]
async fn a_million_increments_of_four_threads_all_arrive() {
    const EACH: u64 = 250_000;
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let counter = metrics.counter("n", Unit::Count).unwrap();
    let values = metrics.distribution("d", Unit::None).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            let (counter, values) = (counter.clone(), values.clone());
            scope.spawn(move || {
                for n in 0..EACH {
                    counter.increment();
                    values.record((n % 100) as f64 + f64::from(thread));
                }
            });
        }
    });
    let report = running.stop(seconds(5)).await;
    assert_eq!(account.sum("n"), 1_000_000.0);
    let values = account.series("d");
    assert_eq!(values[0].count, 1_000_000.0);
    let expected = 1_000_000.0 * (49.5 + 1.5);
    assert!((values[0].sum - expected).abs() <= 1e-9 * expected, "{values:?}");
    assert_eq!(report.stats.dropped.total(), 0);
    assert_eq!(report.stats.pending, 0);
}

#[tokio::test(start_paused = true)]
async fn the_stop_sends_the_window_in_progress() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let counter = metrics.counter("n", Unit::Count).unwrap();
    tokio::time::sleep(seconds(10)).await;
    counter.add(1_000);
    let report = running.stop(seconds(5)).await;
    assert_eq!(account.sum("n"), 1_000.0);
    assert_eq!((report.stats.sends, report.stats.sent), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_starts_late_sends_what_was_recorded_before() {
    let account = Account::new();
    let (metrics, publisher) = account.metrics(Color::Blue, MetricsConfig::default());
    metrics.counter("n", Unit::Count).unwrap().add(2);
    tokio::time::sleep(seconds(600)).await;
    Running::new(publisher).stop(seconds(5)).await;
    assert_eq!(account.sum("n"), 2.0);
}

#[tokio::test(start_paused = true)]
async fn percentiles_survive_the_way_within_one_percent() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let latency = metrics.distribution("Latency", Unit::Milliseconds).unwrap();
    (1..=10_000).for_each(|n| latency.record(f64::from(n) * 0.37));
    running.stop(seconds(5)).await;
    for (stat, expected) in
        [("p50", 5_000.0 * 0.37), ("p99", 9_900.0 * 0.37), ("p99.9", 9_990.0 * 0.37)]
    {
        let read = account.read("Latency", stat, 60).await[0].1;
        assert!((read - expected).abs() <= 0.01 * expected, "{stat}: {read} for {expected}");
    }
    assert_eq!(account.read("Latency", "SampleCount", 60).await, [(0, 10_000.0)]);
    assert_eq!(account.read("Latency", "Minimum", 60).await, [(0, 0.37)]);
    assert_eq!(account.read("Latency", "Maximum", 60).await, [(0, 3_700.0)]);
}

#[tokio::test(start_paused = true)]
async fn calls_are_filled_to_a_thousand_datums() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    for n in 0..2_500 {
        metrics.counter(&format!("n{n}"), Unit::Count).unwrap().increment();
    }
    let report = running.stop(seconds(5)).await;
    assert_eq!((report.stats.sends, report.stats.sent), (3, 2_500));
    assert_eq!(account.world.cloudwatch_service().series(NAMESPACE).len(), 2_500);
}

#[tokio::test(start_paused = true)]
async fn calls_stay_below_a_megabyte_and_large_ones_are_taken() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    for n in 0..200 {
        let values = metrics.distribution(&format!("d{n}"), Unit::None).unwrap();
        (0..1_500).for_each(|n| values.record(1.006f64.powi(n)));
    }
    let report = running.stop(seconds(5)).await;
    assert_eq!(report.stats.failed_sends.total(), 0, "{report:?}");
    assert!(report.stats.sends > 3, "{report:?}");
    for series in account.world.cloudwatch_service().series(NAMESPACE) {
        assert_eq!(series.count, 1_500.0);
    }
}

#[tokio::test(start_paused = true)]
async fn labels_beyond_the_cap_go_into_one_series() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    for n in 0..20_000 {
        let user = n.to_string();
        metrics.counter_with("n", Unit::Count, &[("user", &user)]).unwrap().increment();
    }
    let report = running.stop(seconds(5)).await;
    let series = account.series("n");
    assert_eq!(series.len(), 101);
    assert_eq!(series.iter().map(|series| series.sum).sum::<f64>(), 20_000.0);
    assert_eq!(report.stats.folded, 19_900);
}

#[tokio::test(start_paused = true)]
async fn values_that_are_none_are_refused_counted_and_harm_nothing() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let values = metrics.distribution("d", Unit::None).unwrap();
    let gauge = metrics.gauge("g", Unit::None).unwrap();
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        values.record(wrong);
        gauge.set(wrong);
    }
    values.record(-1.0);
    values.record(5.0);
    gauge.set(-5.0);
    let report = running.stop(seconds(5)).await;
    assert_eq!((account.sum("d"), account.sum("g")), (5.0, -5.0));
    assert_eq!(report.stats.refused, 7);
    assert_eq!(account.sum("MetricsRefused"), 7.0);
    assert_eq!(report.stats.failed_sends.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn names_that_cloudwatch_or_this_crate_does_not_give_away_are_refused() {
    let account = Account::new();
    let (metrics, _publisher) = account.metrics(Color::Blue, MetricsConfig::default());
    let long = "x".repeat(256);
    for name in ["", " ", "ä", &long, "RequestCount", "MetricsDropped"] {
        let error = metrics.counter(name, Unit::Count).unwrap_err();
        let MetricsError::Name { field, found, .. } = error else { panic!("{error}") };
        assert_eq!((field, found.as_str()), ("metric", name));
    }
    for namespace in ["", "AWS/Orders", ":x"] {
        let made = Metrics::new(
            account.client(),
            namespace,
            &identity(Color::Blue),
            MetricsConfig::default(),
        );
        assert!(matches!(made, Err(MetricsError::Name { field: "namespace", .. })), "{made:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn declared_sets_of_dimensions_are_published_side_by_side() {
    let account = Account::new();
    let color = DimensionSet::color();
    let sets = [color.with_labels(), color, color.with_instance().with_release()];
    let config = MetricsConfig::default().with_dimension_sets(sets);
    let (metrics, running) = account.start(Color::Blue, config);
    for (queue, n) in [("a", 1), ("b", 2)] {
        metrics.counter_with("n", Unit::Count, &[("queue", queue)]).unwrap().add(n);
        let values = metrics.distribution_with("d", Unit::None, &[("queue", queue)]).unwrap();
        (0..200).for_each(|value| values.record(1.02f64.powi(value)));
    }
    running.stop(seconds(5)).await;
    let told = |name: &str| {
        let all = account.series(name).into_iter();
        let own = |series: &bluegreen_local::cloudwatch::Series| {
            let own = series.dimensions.iter();
            let own = own.filter(|(name, _)| !["Environment", "Service"].contains(&name.as_str()));
            own.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        all.map(|series| (own(&series), series.sum, series.count)).collect::<Vec<_>>()
    };
    let mut counts = told("n");
    counts.sort_by(|one, other| one.0.cmp(&other.0));
    let instance = "Instance=blue-1 Release=1".to_owned();
    assert_eq!(
        counts,
        [
            (String::new(), 3.0, 1.0),
            (instance.clone(), 3.0, 1.0),
            ("queue=a".to_owned(), 1.0, 1.0),
            ("queue=b".to_owned(), 2.0, 1.0),
        ]
    );
    let values = told("d");
    let total = values.iter().find(|(own, ..)| own.is_empty()).unwrap();
    assert_eq!(total.2, 400.0);
    assert_eq!(values.iter().map(|(.., count)| count).sum::<f64>(), 1_200.0);
}

#[tokio::test(start_paused = true)]
async fn one_metric_by_the_second_beside_others_by_the_minute() {
    let account = Account::new();
    let config = MetricsConfig::default()
        .with_resolution_of("fine", Resolution::Second)
        .with_resolution_of("RequestCount", Resolution::Second);
    let (metrics, running) = account.start(Color::Blue, config);
    let (fine, coarse) = (
        metrics.counter("fine", Unit::Count).unwrap(),
        metrics.counter("coarse", Unit::Count).unwrap(),
    );
    drop(metrics.http_layer());
    Account::between_windows().await;
    for n in 1..=4 {
        fine.add(n);
        coarse.add(n);
        tokio::time::sleep(seconds(1)).await;
    }
    tokio::time::sleep(seconds(70)).await;
    // All of the minute went in one call: finer metrics cost no more calls.
    assert_eq!(account.world.calls(Service::CloudWatch, "PutMetricData"), 1);
    running.stop(seconds(5)).await;
    assert_eq!(account.read("fine", "Sum", 1).await, [(0, 1.0), (1, 2.0), (2, 3.0), (3, 4.0)]);
    assert_eq!(account.read("coarse", "Sum", 1).await, [(0, 10.0)]);
    // What is told of requests goes together.
    for name in ["RequestCount", "ErrorCount", "InFlight"] {
        assert_eq!(account.read(name, "SampleCount", 60).await[0], (0, 60.0), "{name}");
        let by_the_second = account.read(name, "SampleCount", 1).await;
        assert!(by_the_second.len() > 60, "{name} has {} points", by_the_second.len());
    }
}

#[tokio::test(start_paused = true)]
async fn idle_series_that_nobody_holds_fall_silent_and_make_room() {
    let account = Account::new();
    let config = MetricsConfig::default().with_max_series(1).with_idle_ttl(seconds(120));
    let (metrics, running) = account.start(Color::Blue, config);
    Account::between_windows().await;
    metrics.gauge_with("level", Unit::Count, &[("pool", "a")]).unwrap().set(3.0);
    let kept = metrics.gauge("kept", Unit::Count).unwrap();
    kept.set(1.0);
    tokio::time::sleep(seconds(300)).await;
    let sent = |name| account.series(name).iter().map(|series| series.count).sum::<f64>();
    // The fifth window waits for its moment.
    assert_eq!((sent("level"), sent("kept")), (3.0, 4.0));
    metrics.gauge_with("level", Unit::Count, &[("pool", "b")]).unwrap().set(4.0);
    kept.add(1.0);
    running.stop(seconds(5)).await;
    let pools: Vec<_> = account
        .series("level")
        .iter()
        .map(|series| (series.dimensions.get("pool").unwrap().clone(), series.sum))
        .collect();
    assert_eq!(pools, [("a".to_owned(), 9.0), ("b".to_owned(), 4.0)]);
    assert_eq!(account.sum("kept"), 7.0);
}

#[tokio::test(start_paused = true)]
async fn the_cap_is_for_callers_and_not_for_the_causes_of_drops() {
    let account = Account::new();
    let config = MetricsConfig::default().with_max_series(1);
    let (metrics, running) = account.start(Color::Blue, config);
    assert_eq!(metrics.stats().folded, 0);
    running.stop(seconds(5)).await;
}

#[tokio::test(start_paused = true)]
async fn calls_keep_to_the_budget() {
    let account = Account::new();
    let config = MetricsConfig::default().with_max_calls_per_second(2).with_max_series(9_000);
    let (metrics, running) = account.start(Color::Blue, config);
    for n in 0..9_000 {
        let label = n.to_string();
        metrics.counter_with("n", Unit::Count, &[("number", &label)]).unwrap().increment();
    }
    let before = tokio::time::Instant::now();
    let report = running.stop(seconds(60)).await;
    assert_eq!((report.stats.sends, report.stats.sent), (9, 9_000));
    assert_eq!(before.elapsed(), seconds(4));
}

/// What the SDK says of each body that it sends.
#[derive(Clone, Debug, Default)]
struct Encodings(Arc<Mutex<Vec<Option<String>>>>);

impl Intercept for Encodings {
    fn name(&self) -> &'static str {
        "Encodings"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let encoding = context.request().headers().get("content-encoding");
        self.0.lock().unwrap().push(encoding.map(str::to_owned));
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn large_calls_are_compressed() {
    let account = Account::new();
    let encodings = Encodings::default();
    let config = account.client().config().to_builder().interceptor(encodings.clone()).build();
    let client = Client::from_conf(config);
    let config = MetricsConfig::default().with_clock(account.clock);
    let (metrics, publisher) =
        Metrics::new(client, NAMESPACE, &identity(Color::Blue), config).unwrap();
    let values = metrics.distribution("d", Unit::None).unwrap();
    (0..1_500).for_each(|n| values.record(1.006f64.powi(n)));
    Running::new(publisher).stop(seconds(5)).await;
    assert_eq!(*encodings.0.lock().unwrap(), [Some("gzip".to_owned())]);
    assert_eq!(account.series("d")[0].count, 1_500.0);
}

/// How long each body is, uncompressed.
#[derive(Clone, Debug, Default)]
struct Lengths(Arc<Mutex<Vec<u64>>>);

impl Intercept for Lengths {
    fn name(&self) -> &'static str {
        "Lengths"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.lock().unwrap().extend(context.request().body().content_length());
        Ok(())
    }
}

/// The longest of everything: each datum is taken for as long as it is at most, and hardly longer.
#[tokio::test(start_paused = true)]
async fn calls_are_filled_to_a_megabyte_and_never_beyond_whatever_they_are_made_of() {
    let long = |length: usize, n: usize| format!("{n:x>length$}");
    for (case, counters, labels, label, value) in [
        ("long labels", 120, 25, 255, 1_024),
        ("short ones", 3_000, 25, 10, 10),
        ("values", 0, 0, 0, 0),
    ] {
        let account = Account::new();
        let lengths = Lengths::default();
        let client = account.client().config().to_builder().disable_request_compression(true);
        let client = Client::from_conf(client.interceptor(lengths.clone()).build());
        let config = MetricsConfig::default().with_clock(account.clock);
        let (metrics, publisher) =
            Metrics::new(client, NAMESPACE, &identity(Color::Blue), config).unwrap();
        let labels: Vec<_> = (0..labels).map(|n| (long(label, n), long(value, 0))).collect();
        let labels: Vec<_> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        for n in 0..counters {
            let name = long(if label > 10 { 255 } else { 5 }, n);
            metrics
                .counter_with(&name, Unit::KilobytesPerSecond, &labels)
                .unwrap()
                .add(n as u64 + 1);
        }
        if counters == 0 {
            for n in 0..300 {
                let values = metrics.distribution(&long(255, n), Unit::GigabitsPerSecond).unwrap();
                (0..1_500).for_each(|n| values.record_many(1.006f64.powi(n), 1 << 20));
            }
        }
        let stats = Running::new(publisher).stop(seconds(60)).await.stats;
        assert_eq!((stats.failed_sends.total(), stats.pending), (0, 0), "{case}: {stats:?}");
        let lengths = lengths.0.lock().unwrap();
        let (last, full) = lengths.split_last().unwrap();
        assert!(full.len() > 2 && *last <= 1_000_000, "{case}: {lengths:?}");
        assert!(
            full.iter().all(|length| (940_000..=1_000_000).contains(length)),
            "{case}: {lengths:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_cost_names_what_drives_it_and_foretells_the_calls_made() {
    let account = Account::new();
    let color = DimensionSet::color();
    let sets = [color.with_labels(), color.with_instance()];
    let config = MetricsConfig::default().with_dimension_sets(sets);
    let (metrics, running) = account.start(Color::Blue, config);
    let users: Vec<_> = (0..100).map(|user| user.to_string()).collect();
    for user in &users {
        metrics.counter_with("n", Unit::Count, &[("user", user)]).unwrap().increment();
    }
    metrics.gauge("level", Unit::Count).unwrap().set(1.0);
    drop(metrics.http_layer());
    let cost = metrics.cost(4);
    // By user, and by process; the level and the four of requests shared and by process.
    assert_eq!(cost.metrics, 100 + 4 + (1 + 4) * (1 + 4));
    assert_eq!(cost.driver, Some(("n".to_owned(), 104)));
    assert_eq!(cost.calls, 4.0 * 43_800.0);
    assert!((cost.dollars() - 129.0 * 0.3 - 1.752).abs() < 1e-9, "{cost:?}");
    Account::between_windows().await;
    for _ in 0..10 {
        tokio::time::sleep(seconds(60)).await;
        metrics.counter_with("n", Unit::Count, &[("user", "1")]).unwrap().increment();
    }
    // The last one's jitter.
    tokio::time::sleep(seconds(15)).await;
    assert_eq!(account.world.calls(Service::CloudWatch, "PutMetricData"), 10);
    running.stop(seconds(5)).await;
    let sent = account.world.cloudwatch_service().series(NAMESPACE).len() as u64;
    // Without requests there are no latencies, alone and by process.
    assert_eq!(metrics.cost(1).metrics, sent + 2);
}

#[tokio::test(start_paused = true)]
async fn a_value_recorded_no_times_moves_nothing_and_one_recorded_too_often_stops_nobody() {
    let account = Account::new();
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    let few = metrics.distribution("few", Unit::None).unwrap();
    // Of one bucket, so that the largest and the sum would be those of what was not recorded.
    few.record_many(900.0, 0);
    few.record(897.0);
    let many = metrics.distribution("many", Unit::None).unwrap();
    many.record_many(1.0, u64::MAX);
    many.record(2.0);
    metrics.counter("others", Unit::Count).unwrap().increment();
    running.stop(seconds(5)).await;
    let few = &account.series("few")[0];
    assert_eq!((few.count, few.sum), (1.0, 897.0));
    assert_eq!(account.sum("others"), 1.0);
}
