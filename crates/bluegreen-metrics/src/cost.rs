//! What CloudWatch will charge, by its published prices.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crate::dimensions::INSTANCE;
use crate::histogram::VALUES_PER_DATUM;
use crate::own_metrics::is_own;
use crate::point::{Point, wire_size};
use crate::registry::Registry;
use crate::{Resolution, batch, emf};

/// An estimate of what one color's metrics cost in a month of 730 hours, before taxes, the free tier
/// and what reading them costs.
///
/// Prices are those of us-east-1 as of November 2026, and change: each metric, that is each name
/// and set of dimensions, $0.30 for the first 10,000 in the account, $0.10 for the next 240,000,
/// $0.05 for the next 750,000 and $0.02 beyond; calls $0.01 per 1,000; written as logs, $0.50 per GB
/// taken in instead of the calls, and not counted here what the log group keeps ($0.03 per GB and
/// month, compressed) and other copies of the log. A resolution of a second costs the same, but for
/// its calls. CloudWatch charges a metric by the hour in which it was sent, so what is seldom sent
/// costs less than it says here; the metrics about the metrics, which are sent only when there is
/// something to tell, are left out.
///
/// Calls and records are counted as they are made: datums filled into calls of 1,000 and 990 kB, or
/// written into records. Each series says something in each window, a distribution 150 distinct
/// values: a service at rest writes less.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Cost {
    /// Metrics published: those that all processes share, and those of each process.
    pub metrics: u64,
    /// Calls of `PutMetricData`; zero where metrics are written as logs.
    pub calls: f64,
    /// Gigabytes of logs taken in, of 10⁹ bytes; zero where metrics are sent by calls.
    pub log_gigabytes: f64,
    /// Dollars for metrics.
    pub metric_dollars: f64,
    /// Dollars for calls or logs.
    pub transport_dollars: f64,
    /// The name that makes the most metrics, with how many: where to save first, as long as metrics
    /// cost more than their transport.
    pub driver: Option<(String, u64)>,
}

impl Cost {
    /// All dollars.
    #[must_use]
    pub fn dollars(&self) -> f64 {
        self.metric_dollars + self.transport_dollars
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metrics, calls, log_gigabytes, metric_dollars, transport_dollars, driver } =
            self;
        write!(f, "${:.2} a month: {metrics} metrics ${metric_dollars:.2}", self.dollars())?;
        if let Some((name, count)) = driver {
            write!(f, " ({count} of them \"{name}\")")?;
        }
        if *log_gigabytes > 0.0 {
            write!(f, ", {log_gigabytes:.3} GB of logs ${transport_dollars:.2}")
        } else {
            write!(f, ", {calls:.0} calls ${transport_dollars:.2}")
        }
    }
}

/// What one process publishes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    /// Name and number of metrics that all processes of the color share, and that each has alone.
    pub(crate) names: Vec<Name>,
    /// What each second brings, and each minute.
    by_second: Window,
    by_minute: Window,
    flush_interval: Duration,
}

/// What one window of a resolution brings, if every series has something to say.
#[derive(Clone, Debug, Default)]
struct Window {
    /// Of each datum in a call.
    sizes: Vec<usize>,
    /// Of its records in a log, all together.
    log_bytes: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) name: String,
    pub(crate) shared: u64,
    pub(crate) by_instance: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Calls,
    Logs { namespace: Arc<str> },
}

impl Published {
    /// What is registered so far.
    pub(crate) fn of(registry: &Registry, flush_interval: Duration, transport: &Transport) -> Self {
        let mut names: BTreeMap<String, Name> = BTreeMap::new();
        let mut published = Self { flush_interval, ..Self::default() };
        let (mut seconds, mut minutes) = (Vec::new(), Vec::new());
        for one in registry.published().into_iter().filter(|one| !is_own(&one.id.name)) {
            let name = names.entry(one.id.name.clone()).or_default();
            name.name.clone_from(&one.id.name);
            if one.id.dimensions.iter().any(|(name, _)| name == INSTANCE) {
                name.by_instance += 1;
            } else {
                name.shared += 1;
            }
            let (window, points) = match one.id.resolution {
                Resolution::Second => (&mut published.by_second, &mut seconds),
                Resolution::Minute => (&mut published.by_minute, &mut minutes),
            };
            let values = if one.is_distribution() { VALUES_PER_DATUM } else { 0 };
            match transport {
                Transport::Calls => window.sizes.push(wire_size(&one.id, values)),
                Transport::Logs { .. } => points.extend(Point::many(
                    &one.id,
                    UNIX_EPOCH + A_TIME,
                    &typical(values),
                    emf::VALUES_PER_METRIC,
                )),
            }
        }
        if let Transport::Logs { namespace } = transport {
            published.by_second.log_bytes = emf::ingested(namespace, seconds);
            published.by_minute.log_bytes = emf::ingested(namespace, minutes);
        }
        published.names = names.into_values().collect();
        published
    }

    /// Calls and bytes of logs that one process makes in a month.
    fn transported(&self) -> (f64, f64) {
        let interval = self.flush_interval.as_secs().max(1);
        // What recurs: a flush, or all flushes of a minute.
        let minute = Resolution::Minute.window().as_secs();
        let round = if self.by_minute.is_empty() { interval } else { interval.max(minute) };
        let rounds = MONTH.as_secs_f64() / round as f64;
        let minutes = round / minute;
        let log_bytes = self.by_second.log_bytes * round + self.by_minute.log_bytes * minutes;
        let of_seconds = repeated(&self.by_second.sizes, interval);
        let with_minutes = [&of_seconds[..], &repeated(&self.by_minute.sizes, minutes)].concat();
        let calls =
            batch::calls(&of_seconds) * (round / interval - 1) + batch::calls(&with_minutes);
        (calls as f64 * rounds, log_bytes as f64 * rounds)
    }
}

impl Window {
    fn is_empty(&self) -> bool {
        self.sizes.is_empty() && self.log_bytes == 0
    }
}

fn repeated(sizes: &[usize], times: u64) -> Vec<usize> {
    sizes.repeat(usize::try_from(times).unwrap_or(0))
}

/// Values with the digits that means of buckets have, and counts of a busy minute; a single one is a
/// count or a level.
fn typical(values: usize) -> Vec<(f64, u64)> {
    if values == 0 {
        return vec![(12_345.0, 1)];
    }
    let mean = |value: &mut f64, _| {
        *value *= 1.012_345_678_901;
        Some((*value, 25))
    };
    (0..values).scan(1.234_567_890_123, mean).collect()
}

/// A time of as many digits as ours.
const A_TIME: Duration = Duration::from_secs(1_760_000_040);
const MONTH: Duration = Duration::from_secs(730 * 3600);
const CALL: f64 = 0.01 / 1_000.0;
const LOG_GIGABYTE: f64 = 0.50;
/// Up to so many metrics each costs so much.
const TIERS: [(u64, f64); 4] =
    [(10_000, 0.30), (250_000, 0.10), (1_000_000, 0.05), (u64::MAX, 0.02)];

/// What `processes` that publish the same cost together; none cost nothing.
pub(crate) fn of(published: &Published, processes: u64) -> Cost {
    let shares = processes.min(1);
    let of_name = |name: &Name| {
        (name.shared * shares).saturating_add(name.by_instance.saturating_mul(processes))
    };
    let metrics = published.names.iter().map(of_name).fold(0, u64::saturating_add);
    let driver = published.names.iter().max_by_key(|name| (of_name(name), &name.name));
    let driver = driver.map(|name| (name.name.clone(), of_name(name)));
    let (calls, log_bytes) = published.transported();
    let (calls, log_gigabytes) = (calls * processes as f64, log_bytes / 1e9 * processes as f64);
    Cost {
        metrics,
        calls,
        log_gigabytes,
        metric_dollars: metric_dollars(metrics),
        transport_dollars: calls * CALL + log_gigabytes * LOG_GIGABYTE,
        driver: driver.filter(|(_, metrics)| *metrics > 0),
    }
}

fn metric_dollars(metrics: u64) -> f64 {
    let mut below = 0;
    let tier = |(end, price): (u64, f64)| {
        let within = metrics.min(end) - metrics.min(below);
        below = end;
        within as f64 * price
    };
    TIERS.into_iter().map(tier).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(names: &[(&str, u64, u64)]) -> Published {
        let name = |(name, shared, by_instance): &(&str, u64, u64)| Name {
            name: (*name).to_owned(),
            shared: *shared,
            by_instance: *by_instance,
        };
        Published {
            names: names.iter().map(name).collect(),
            flush_interval: Duration::from_secs(60),
            ..Published::default()
        }
    }

    #[test]
    fn metrics_cost_by_published_tiers() {
        for (metrics, dollars) in [
            (0, 0.0),
            (1, 0.3),
            (10_000, 3_000.0),
            (10_001, 3_000.1),
            // What 20,000 users as a label cost.
            (20_000, 4_000.0),
            (250_000, 27_000.0),
            (1_000_000, 64_500.0),
            (1_000_100, 64_502.0),
        ] {
            let seen = metric_dollars(metrics);
            assert!((seen - dollars).abs() < 1e-6, "{metrics}: {seen} instead of {dollars}");
        }
    }

    fn window(sizes: &[usize]) -> Window {
        Window { sizes: sizes.to_vec(), log_bytes: 0 }
    }

    #[test]
    fn a_fleet_shares_metrics_but_those_by_instance_and_calls_for_each_process() {
        let mut one = published(&[("a", 3, 0), ("b", 1, 2)]);
        one.by_minute = window(&[100; 1_001]);
        let cost = of(&one, 10);
        assert_eq!(cost.metrics, 24);
        assert_eq!(cost.driver, Some(("b".to_owned(), 21)));
        assert_eq!(cost.calls, 2.0 * 43_800.0 * 10.0);
        assert!((cost.transport_dollars - 8.76).abs() < 1e-9, "{cost:?}");
        assert!((cost.dollars() - 7.2 - 8.76).abs() < 1e-9, "{cost:?}");
        let text = "$15.96 a month: 24 metrics $7.20 (21 of them \"b\"), 876000 calls $8.76";
        assert_eq!(cost.to_string(), text);
    }

    #[test]
    fn no_processes_cost_nothing_and_too_many_do_not_overflow() {
        let mut one = published(&[("a", 3, 0), ("b", 1, 2)]);
        one.by_minute = window(&[100]);
        let none = of(&one, 0);
        assert_eq!((none.metrics, none.dollars(), none.driver), (0, 0.0, None));
        assert_eq!(of(&one, u64::MAX).metrics, u64::MAX);
    }

    #[test]
    fn calls_are_filled_by_datums_or_bytes_once_a_flush() {
        for (case, interval, seconds, minutes, calls_a_minute) in [
            ("nothing", 60, &[][..], &[][..], 0.0),
            ("by the minute", 60, &[], &[100; 10], 1.0),
            ("bytes make calls where datums do not", 60, &[], &[900_000, 500_000], 2.0),
            ("seconds sent by the minute", 60, &[100; 10], &[], 1.0),
            ("so many that a minute's do not fit one call", 60, &[100; 20], &[], 2.0),
            ("by the second", 1, &[100], &[], 60.0),
            ("both, sent by the second", 1, &[100], &[100], 60.0),
            ("minutes alone are sent by the minute, however often one looks", 1, &[], &[100], 1.0),
            ("sent each five minutes", 300, &[], &[100; 10], 0.2),
        ] {
            let one = Published {
                by_second: window(seconds),
                by_minute: window(minutes),
                flush_interval: Duration::from_secs(interval),
                ..Published::default()
            };
            let calls = of(&one, 1).calls;
            assert!((calls - calls_a_minute * 43_800.0).abs() < 1e-6, "{case}: {calls}");
        }
    }

    #[test]
    fn logs_cost_by_the_gigabyte_and_no_calls() {
        let mut one = published(&[("a", 1, 0)]);
        (one.by_minute.log_bytes, one.by_second.log_bytes) = (10_000, 100);
        let cost = of(&one, 1);
        assert_eq!((cost.calls, cost.log_gigabytes), (0.0, 16_000.0 * 43_800.0 / 1e9));
        assert!((cost.dollars() - 0.3 - 0.3504).abs() < 1e-9, "{cost:?}");
        assert!(cost.to_string().ends_with(", 0.701 GB of logs $0.35"), "{cost}");
    }
}
