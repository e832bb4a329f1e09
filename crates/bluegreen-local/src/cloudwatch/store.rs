//! The metrics that arrived, in buckets of their resolution.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::datum::Datum;
use super::metric::Metric;
use super::samples::Samples;

/// How long AWS keeps points finer than a minute.
const FINE_POINTS_KEPT: Duration = Duration::from_secs(3 * 3600);
/// How long AWS keeps points finer than five minutes.
const MINUTES_KEPT: Duration = Duration::from_secs(15 * 24 * 3600);

#[derive(Debug, Default)]
pub(crate) struct Store {
    metrics: BTreeMap<Metric, BTreeMap<u64, Vec<Arrival>>>,
}

/// One datum in the bucket that starts at its second or minute.
#[derive(Debug)]
struct Arrival {
    at: SystemTime,
    unit: String,
    samples: Samples,
}

/// Which points to read.
#[derive(Clone, Debug)]
pub(crate) struct Window<'a> {
    /// Start, inclusive, and end, exclusive, in seconds since 1970.
    pub(crate) seconds: Range<u64>,
    /// Length of a bucket in seconds, at least 1.
    pub(crate) period: u64,
    /// `None`: data of every unit.
    pub(crate) unit: Option<&'a str>,
    pub(crate) now: SystemTime,
    /// What arrived after this moment is not yet visible.
    pub(crate) arrived_until: SystemTime,
}

/// The samples of one bucket and unit.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) start: u64,
    pub(crate) unit: String,
    pub(crate) samples: Samples,
}

impl Store {
    pub(crate) fn add(&mut self, datum: Datum, now: SystemTime) {
        let second = epoch_seconds(datum.timestamp);
        let start = second - second % datum.resolution;
        let arrival = Arrival { at: now, unit: datum.unit, samples: datum.samples };
        let buckets = self.metrics.entry(datum.metric).or_default();
        buckets.entry(start).or_default().push(arrival);
    }

    pub(crate) fn metrics(&self) -> impl Iterator<Item = &Metric> {
        self.metrics.keys()
    }

    /// All samples ever of each metric in the namespace, visible or not, without their values.
    pub(crate) fn totals(&self, namespace: &str) -> Vec<(Metric, Samples)> {
        let within = self.metrics.iter().filter(|(metric, _)| metric.namespace == namespace);
        let total = within.map(|(metric, buckets)| {
            let mut total = Samples::default();
            buckets.values().flatten().for_each(|arrival| total.add(&arrival.samples));
            (metric.clone(), total)
        });
        total.collect()
    }

    /// The buckets of exactly this metric, oldest first. Buckets count from the window's start; a
    /// bucket without samples does not appear.
    pub(crate) fn read(&self, metric: &Metric, window: &Window<'_>) -> Vec<Bucket> {
        let mut buckets: BTreeMap<(u64, &str), Samples> = BTreeMap::new();
        let points = self.metrics.get(metric).into_iter();
        let points = points.flat_map(|points| points.range(window.readable_seconds()));
        for (second, arrivals) in points {
            let start = second - (second - window.seconds.start) % window.period;
            let visible = arrivals.iter().filter(|arrival| arrival.at <= window.arrived_until);
            for arrival in visible.filter(|arrival| window.takes(&arrival.unit)) {
                let bucket = buckets.entry((start, &arrival.unit)).or_insert_with(Samples::none);
                bucket.add(&arrival.samples);
            }
        }
        let bucket = |((start, unit), samples): ((u64, &str), _)| Bucket {
            start,
            unit: unit.to_owned(),
            samples,
        };
        buckets.into_iter().map(bucket).collect()
    }
}

impl Window<'_> {
    fn takes(&self, unit: &str) -> bool {
        self.unit.is_none_or(|wanted| wanted == unit)
    }

    /// Periods below a minute reach back three hours only, those below five minutes 15 days.
    fn readable_seconds(&self) -> Range<u64> {
        let Range { start, end } = self.seconds;
        let kept = match self.period {
            300.. => return start..end.max(start),
            60.. => MINUTES_KEPT,
            _ => FINE_POINTS_KEPT,
        };
        let oldest = epoch_seconds(self.now).saturating_sub(kept.as_secs());
        let start = start.max(oldest);
        start..end.max(start)
    }
}

pub(crate) fn epoch_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
