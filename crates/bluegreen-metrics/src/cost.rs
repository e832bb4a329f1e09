//! What CloudWatch will charge, by its published prices.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::dimensions::INSTANCE;
use crate::histogram::VALUES_PER_DATUM;
use crate::own_metrics::is_own;
use crate::point::wire_size;
use crate::registry::Registry;

/// An estimate of what one color's metrics cost in a month of 730 hours, before taxes, the free tier
/// and what reading them costs.
///
/// Prices are those of us-east-1 as of November 2026, and change: each metric, that is each name
/// and set of dimensions, $0.30 for the first 10,000 in the account, $0.10 for the next 240,000,
/// $0.05 for the next 750,000 and $0.02 beyond; calls $0.01 per 1,000; written as logs, $0.50 per GB
/// instead of the calls. A resolution of a second costs the same. CloudWatch charges a metric by the
/// hour in which it was sent, so what is seldom sent costs less than it says here; the metrics about
/// the metrics, which are sent only when there is something to tell, are left out. A distribution
/// counts as one datum of 150 values in each window.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Cost {
    /// Metrics published: those that all processes share, and those of each process.
    pub metrics: u64,
    /// Calls of `PutMetricData`; zero where metrics are written as logs.
    pub calls: f64,
    /// Gigabytes of logs; zero where metrics are sent by calls.
    pub log_gigabytes: f64,
    /// Dollars for metrics.
    pub metric_dollars: f64,
    /// Dollars for calls or logs.
    pub transport_dollars: f64,
    /// The name that makes the most metrics, with how many: where to save first.
    pub driver: Option<(String, u64)>,
}

impl Cost {
    /// All dollars.
    #[must_use]
    pub fn dollars(&self) -> f64 {
        self.metric_dollars + self.transport_dollars
    }
}

/// What one process publishes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    /// Name and number of metrics that all processes of the color share, and that each has alone.
    pub(crate) names: Vec<Name>,
    /// Datums of one flush, if every series has something to say.
    pub(crate) datums: u64,
    /// Bytes of one flush.
    pub(crate) bytes: u64,
    pub(crate) flush_interval: Duration,
    pub(crate) transport: Transport,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) name: String,
    pub(crate) shared: u64,
    pub(crate) by_instance: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Transport {
    #[default]
    Calls,
    Logs,
}

impl Published {
    /// What is registered so far.
    pub(crate) fn of(registry: &Registry, flush_interval: Duration, transport: Transport) -> Self {
        let mut names: BTreeMap<String, Name> = BTreeMap::new();
        let mut published = Self { flush_interval, transport, ..Self::default() };
        for one in registry.published().into_iter().filter(|one| !is_own(&one.id.name)) {
            let name = names.entry(one.id.name.clone()).or_default();
            name.name.clone_from(&one.id.name);
            if one.id.dimensions.iter().any(|(name, _)| name == INSTANCE) {
                name.by_instance += 1;
            } else {
                name.shared += 1;
            }
            let values = if one.is_distribution() { VALUES_PER_DATUM } else { 0 };
            let windows = flush_interval.as_secs() / one.id.resolution.window().as_secs();
            published.datums += windows.max(1);
            published.bytes += windows.max(1) * wire_size(&one.id, values) as u64;
        }
        published.names = names.into_values().collect();
        published
    }
}

const MONTH: Duration = Duration::from_secs(730 * 3600);
const CALL: f64 = 0.01 / 1_000.0;
const LOG_GIGABYTE: f64 = 0.50;
const DATUMS_OF_A_CALL: u64 = 1_000;
const BYTES_OF_A_CALL: u64 = 990_000;
/// Up to so many metrics each costs so much.
const TIERS: [(u64, f64); 4] =
    [(10_000, 0.30), (250_000, 0.10), (1_000_000, 0.05), (u64::MAX, 0.02)];

/// What `processes` that publish the same cost together.
pub(crate) fn of(published: &Published, processes: u64) -> Cost {
    let of_name = |name: &Name| name.shared + name.by_instance * processes;
    let metrics = published.names.iter().map(of_name).sum();
    let driver = published.names.iter().max_by_key(|name| (of_name(name), &name.name));
    let flushes = MONTH.as_secs_f64() / published.flush_interval.as_secs_f64().max(1.0);
    let flushes = flushes * processes as f64;
    let calls_of_a_flush =
        published.datums.div_ceil(DATUMS_OF_A_CALL).max(published.bytes.div_ceil(BYTES_OF_A_CALL));
    let (calls, log_gigabytes) = match published.transport {
        Transport::Calls => (calls_of_a_flush as f64 * flushes, 0.0),
        Transport::Logs => (0.0, published.bytes as f64 * flushes / 1e9),
    };
    Cost {
        metrics,
        calls,
        log_gigabytes,
        metric_dollars: metric_dollars(metrics),
        transport_dollars: calls * CALL + log_gigabytes * LOG_GIGABYTE,
        driver: driver.map(|name| (name.name.clone(), of_name(name))),
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

    #[test]
    fn a_fleet_shares_metrics_but_those_by_instance_and_calls_for_each_process() {
        let mut one = published(&[("a", 3, 0), ("b", 1, 2)]);
        one.datums = 1_001;
        let cost = of(&one, 10);
        assert_eq!(cost.metrics, 24);
        assert_eq!(cost.driver, Some(("b".to_owned(), 21)));
        assert_eq!(cost.calls, 2.0 * 43_800.0 * 10.0);
        assert!((cost.transport_dollars - 8.76).abs() < 1e-9, "{cost:?}");
        assert!((cost.dollars() - 7.2 - 8.76).abs() < 1e-9, "{cost:?}");
    }

    #[test]
    fn bytes_make_calls_where_datums_do_not() {
        let mut one = published(&[]);
        (one.datums, one.bytes) = (10, 2_000_000);
        assert_eq!(of(&one, 1).calls, 3.0 * 43_800.0);
        assert_eq!(of(&one, 1).driver, None);
    }

    #[test]
    fn logs_cost_by_the_gigabyte_and_no_calls() {
        let mut one = published(&[("a", 1, 0)]);
        (one.bytes, one.transport) = (10_000, Transport::Logs);
        let cost = of(&one, 1);
        assert_eq!((cost.calls, cost.log_gigabytes), (0.0, 0.438));
        assert!((cost.dollars() - 0.3 - 0.219).abs() < 1e-9, "{cost:?}");
    }
}
