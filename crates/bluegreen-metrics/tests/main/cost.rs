//! What `cost()` tells, held against what is really sent and written.

use bluegreen_core::{Color, Release, ServiceIdentity, ServiceKey};
use bluegreen_metrics::{DimensionSet, Metrics, MetricsConfig, Resolution, Unit};

use crate::account::{Account, NAMESPACE, Running, identity, seconds};
use crate::emf::Log;

/// Of a month of 730 hours.
const MINUTES: f64 = 43_800.0;

/// As many values as one datum takes: those of 148 buckets, and the two extremes.
fn busy(metrics: &Metrics, name: &str) {
    let values = metrics.distribution(name, Unit::Milliseconds).unwrap();
    (0..148).for_each(|n| values.record_many(10.0 * 1.02f64.powi(n), 20));
}

fn sets() -> [DimensionSet; 2] {
    [DimensionSet::color().with_labels(), DimensionSet::color()]
}

#[tokio::test(start_paused = true)]
async fn gigabytes_of_logs_are_those_that_are_written() {
    const WINDOWS: u64 = 5;
    for (counters, distributions) in [(1, 0), (250, 0), (0, 1), (20, 30)] {
        let (account, log) = (Account::new(), Log::default());
        let config = MetricsConfig::default().with_dimension_sets(sets()).with_clock(account.clock);
        let (metrics, publisher) =
            Metrics::emf(log.clone(), NAMESPACE, &identity(Color::Blue), config).unwrap();
        let running = Running::new(publisher);
        Account::between_windows().await;
        for _ in 0..WINDOWS {
            for n in 0..counters {
                let labels = [("queue", "a \"quoted\" one")];
                metrics.counter_with(&format!("c{n}"), Unit::Count, &labels).unwrap().add(54_321);
            }
            (0..distributions).for_each(|n| busy(&metrics, &format!("d{n}")));
            tokio::time::sleep(seconds(60)).await;
        }
        // The last one is written within its jitter.
        tokio::time::sleep(seconds(15)).await;
        let cost = metrics.cost(1);
        let lines = log.lines();
        // The text of an event, and what CloudWatch adds to each.
        let written: usize = lines.iter().map(|line| line.len() + 26).sum();
        let told = cost.log_gigabytes * 1e9 / MINUTES * WINDOWS as f64;
        let of_written = told / written as f64;
        assert!((0.95..1.1).contains(&of_written), "{counters} {distributions}: {of_written}");
        assert!((cost.transport_dollars - cost.log_gigabytes * 0.5).abs() < 1e-9);
        running.stop(seconds(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_those_that_are_made() {
    const FLUSHES: u64 = 10;
    let seconds_in_minutes = || MetricsConfig::default().with_resolution(Resolution::Second);
    let quick = || seconds_in_minutes().with_flush_interval(seconds(1));
    for (case, config, counters, distributions, interval) in [
        ("one", MetricsConfig::default(), 1, 0, 60),
        ("more datums than a call takes", MetricsConfig::default(), 2_400, 0, 60),
        ("more bytes than a call takes", MetricsConfig::default(), 10, 700, 60),
        ("seconds, sent by the minute", seconds_in_minutes(), 40, 0, 60),
        ("seconds, sent by the second", quick(), 50, 0, 1),
    ] {
        let account = Account::new();
        let (metrics, running) = account.start(Color::Blue, config.with_max_calls_per_second(500));
        let gauges: Vec<_> = (0..counters)
            .map(|n| metrics.gauge(&format!("level {n}"), Unit::Count).unwrap())
            .collect();
        gauges.iter().for_each(|gauge| gauge.set(1.0));
        Account::between_windows().await;
        for _ in 0..FLUSHES {
            (0..distributions).for_each(|n| busy(&metrics, &format!("d{n}")));
            tokio::time::sleep(seconds(interval)).await;
        }
        // The last one is sent within its jitter.
        tokio::time::sleep(seconds(interval) / 3).await;
        let made = account.world.cloudwatch_service().put_calls() as f64;
        let told = metrics.cost(1).calls / MINUTES * (FLUSHES * interval) as f64 / 60.0;
        assert!((told - made).abs() < 1e-6, "{case}: told {told}, made {made}");
        running.stop(seconds(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_are_those_that_a_fleet_makes_by_all_declared_sets() {
    let account = Account::new();
    let sets = || sets().into_iter().chain([DimensionSet::color().with_instance()]);
    let mut fleet = Vec::new();
    for process in 1..=3 {
        let key = ServiceKey::new("orders").unwrap();
        let release = Release::new("1").unwrap();
        let identity = ServiceIdentity::new(key, Color::Blue, release, format!("blue-{process}"));
        let config = MetricsConfig::default().with_dimension_sets(sets()).with_clock(account.clock);
        let (metrics, publisher) =
            Metrics::new(account.client(), NAMESPACE, &identity, config).unwrap();
        for queue in ["a", "b", "c", "d"] {
            metrics.counter_with("Received", Unit::Count, &[("queue", queue)]).unwrap().increment();
        }
        metrics.gauge("Connections", Unit::Count).unwrap().set(7.0);
        drop(metrics.http_layer());
        fleet.push((metrics, Running::new(publisher)));
    }
    let cost = fleet[0].0.cost(3);
    // Four queues and their total; the level once, as it has no labels; of requests all but the
    // latencies, which nobody had. Each of them again for each process.
    for (_, running) in fleet {
        running.stop(seconds(5)).await;
    }
    let arrived = account.world.cloudwatch_service().series(NAMESPACE);
    let latencies = cost.metrics - arrived.len() as u64;
    assert_eq!(latencies, 1 + 3, "{arrived:?}");
    assert_eq!(cost.driver, Some(("Received".to_owned(), 4 + 1 + 3)));
    assert!((cost.metric_dollars - cost.metrics as f64 * 0.3).abs() < 1e-9);
}
