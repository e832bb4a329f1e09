//! CloudWatch: metrics put, read back and listed; dashboards kept.
//!
//! Speaks RPC v2 CBOR with gzip, as the current SDKs do, and is as strict as AWS documents itself:
//! an exact set of dimensions, minute and second buckets, percentiles only where the data carries
//! single values. What differs: a point is visible at once unless [`CloudWatch::delay_points`]
//! says otherwise, percentiles are exact, a dimension named `Environment` must be `blue` or
//! `green`, and of metric math only what dashboards here are made of is known: `+ - * /`, comparisons,
//! `IF`, `FILL` with a number, `PERIOD`, `SUM`, and `SEARCH` for exact names; all else is refused.

mod cbor;
mod dashboard_body;
mod dashboards;
mod datum;
mod fault;
mod fields;
mod get_metric_data;
mod get_metric_statistics;
mod list_metrics;
mod math;
mod metric;
mod period;
mod put_metric_data;
mod samples;
mod stat;
mod store;
mod wire;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bluegreen_core::Clock;
use bytes::Bytes;

use self::cbor::Value;
use self::dashboards::Dashboards;
use self::fault::Fault;
use self::metric::Metric;
use self::samples::Samples;
use self::store::{Bucket, Store, Window};

/// The stand-in. Clones share one set of metrics.
#[derive(Clone, Debug)]
pub struct CloudWatch {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    store: Store,
    dashboards: Dashboards,
    put_calls: u64,
    delay: Duration,
    hidden: bool,
    /// How many points a page of `GetMetricData` has at most, where fewer than AWS's limit.
    page: Option<usize>,
}

/// All that was ever put to one metric.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Series {
    /// Name of the metric.
    pub name: String,
    /// Its dimensions.
    pub dimensions: BTreeMap<String, String>,
    /// Sum of all samples.
    pub sum: f64,
    /// Number of samples.
    pub count: f64,
}

/// What the reading operations see at one moment.
struct Reader<'a> {
    state: &'a State,
    now: SystemTime,
}

impl CloudWatch {
    /// Without metrics or dashboards.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: Arc::default() }
    }

    /// From now on data becomes readable only this long after it arrived, what arrived before
    /// included. Zero, the beginning, makes it readable at once.
    pub fn delay_points(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// Whether reads return no data points, as if the metrics pipeline had stopped. What is put
    /// meanwhile is kept.
    pub fn hide_reads(&self, hidden: bool) {
        self.state().hidden = hidden;
    }

    /// Whatever a reader asks for, `GetMetricData` answers at most so many points in one page: AWS,
    /// too, may end a page before it is full. At least one.
    pub fn limit_pages(&self, points: usize) {
        self.state().page = Some(points.max(1));
    }

    /// How many `PutMetricData` calls came in, refused ones included.
    #[must_use]
    pub fn put_calls(&self) -> u64 {
        self.state().put_calls
    }

    /// All metrics of the namespace, in order of name and dimensions. Neither a delay nor hiding
    /// conceals anything here.
    #[must_use]
    pub fn series(&self, namespace: &str) -> Vec<Series> {
        let totals = self.state().store.totals(namespace).into_iter();
        let series = totals.map(|(metric, samples)| Series {
            name: metric.name,
            dimensions: metric.dimensions,
            sum: samples.sum(),
            count: samples.count(),
        });
        series.collect()
    }

    #[expect(clippy::unused_async, reason = "every service of the world answers asynchronously")]
    pub(crate) async fn handle(
        &self,
        operation: &str,
        request: &http::Request<Bytes>,
    ) -> http::Response<Bytes> {
        wire::response(&self.answer(operation, request))
    }

    fn answer(&self, operation: &str, request: &http::Request<Bytes>) -> Result<Value, Fault> {
        let now = self.clock.now();
        let mut state = self.state();
        if operation == "PutMetricData" {
            state.put_calls += 1;
        }
        let input = wire::input(request)?;
        match operation {
            "PutMetricData" => {
                let data = put_metric_data::read(&input, now)?;
                data.into_iter().for_each(|datum| state.store.add(datum, now));
                Ok(Value::Map(Vec::new()))
            }
            "GetMetricData" => get_metric_data::answer(&input, &Reader { state: &state, now }),
            "GetMetricStatistics" => {
                get_metric_statistics::answer(&input, &Reader { state: &state, now })
            }
            "ListMetrics" => list_metrics::answer(&input, state.store.metrics()),
            "PutDashboard" => state.dashboards.put(&input, now),
            "GetDashboard" => state.dashboards.get(&input),
            "ListDashboards" => state.dashboards.list(&input),
            other => Err(Fault::unknown_operation(other)),
        }
    }

    // Nothing here panics with the lock held; if it did, the metrics would still be whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader<'_> {
    /// The buckets of a metric, one per start and unit.
    fn buckets(
        &self,
        metric: &Metric,
        seconds: &Range<u64>,
        period: u64,
        unit: Option<&str>,
    ) -> Vec<Bucket> {
        if self.state.hidden {
            return Vec::new();
        }
        let arrived_until = self.now.checked_sub(self.state.delay).unwrap_or(UNIX_EPOCH);
        let seconds = seconds.clone();
        let window = Window { seconds, period, unit, now: self.now, arrived_until };
        self.state.store.read(metric, &window)
    }

    /// The samples of each bucket whatever their unit, by the bucket's start.
    fn totals(
        &self,
        metric: &Metric,
        seconds: &Range<u64>,
        period: u64,
        unit: Option<&str>,
    ) -> BTreeMap<u64, Samples> {
        let mut totals = BTreeMap::new();
        for bucket in self.buckets(metric, seconds, period, unit) {
            let total = totals.entry(bucket.start).or_insert_with(Samples::none);
            total.add(&bucket.samples);
        }
        totals
    }
}
