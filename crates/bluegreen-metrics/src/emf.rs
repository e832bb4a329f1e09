//! The embedded metric format: lines of JSON in a log, of which CloudWatch makes metrics.
//!
//! A record holds points of one window and one set of dimensions, at most 100 metrics of at most 100
//! values; beyond either CloudWatch drops what is too much and says nothing. As the format has
//! metrics and dimensions side by side under their names, no metric may be named as a dimension.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::point::{Point, Samples};
use crate::put::Failed;
use crate::stats::Failure;

/// Distinct values of one metric in one record.
pub(crate) const VALUES_PER_METRIC: usize = 100;
/// Metrics of one record.
const MOST_METRICS: usize = 100;
/// A log event is at most 256 KB; the rest is for what is around the metrics.
const MOST_BYTES: usize = 250_000;
/// Digits, quotes and commas of a value and its count, rounded up.
const VALUE_BYTES: usize = 48;
/// Names of fields, unit and resolution of a metric, rounded up.
const METRIC_BYTES: usize = 128;

/// Writes records, one a line.
pub(crate) struct Emf {
    namespace: Arc<str>,
    lines: Arc<Mutex<Lines>>,
}

/// A writer, and whether its last line is whole.
struct Lines {
    writer: Box<dyn Write + Send>,
    torn: bool,
}

impl fmt::Debug for Emf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emf").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Emf {
    pub(crate) fn new(namespace: &str, writer: impl Write + Send + 'static) -> Self {
        let lines = Lines { writer: Box::new(writer), torn: false };
        Self { namespace: namespace.into(), lines: Arc::new(Mutex::new(lines)) }
    }

    /// Writes one record, off the runtime's threads, as a pipe may be full.
    pub(crate) async fn write(&self, points: &[Point]) -> Result<(), Failed> {
        let line = format!("{}\n", record(&self.namespace, points));
        let lines = Arc::clone(&self.lines);
        let written = tokio::task::spawn_blocking(move || {
            // A writer that panicked may have left its line torn; the next one begins anew.
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.write(line.as_bytes())
        });
        // A writer that panicked may have written or not.
        written
            .await
            .unwrap_or_else(|ended| Err(failed(Failure::Unknown, &io::Error::other(ended))))
    }
}

impl Lines {
    /// A line that fails is torn and so no record: it may be written again. What a buffer took and
    /// could not pass on is another matter.
    fn write(&mut self, line: &[u8]) -> Result<(), Failed> {
        let torn = std::mem::replace(&mut self.torn, true);
        let begun = if torn { self.writer.write_all(b"\n") } else { Ok(()) };
        begun
            .and_then(|()| self.writer.write_all(line))
            .map_err(|error| failed(Failure::Refused, &error))?;
        self.torn = false;
        self.writer.flush().map_err(|error| failed(Failure::Unknown, &error))
    }
}

fn failed(failure: Failure, error: &io::Error) -> Failed {
    Failed { failure, reason: error.to_string() }
}

/// How many points from the front go into one record.
pub(crate) fn fitting<'a>(points: impl Iterator<Item = &'a Point>, limit: usize) -> usize {
    let mut points = points.take(limit.min(MOST_METRICS)).peekable();
    let Some(first) = points.peek().copied() else { return 0 };
    let (mut names, mut bytes) = (HashSet::new(), 0);
    let fits = |point: &&'a Point| {
        let point = *point;
        bytes += METRIC_BYTES + 2 * point.series.name.len() + VALUE_BYTES * point.values().max(1);
        point.start == first.start
            && point.series.dimensions == first.series.dimensions
            && names.insert(&point.series.name)
            && (bytes <= MOST_BYTES || names.len() == 1)
    };
    points.take_while(fits).count()
}

/// Points of one window and one set of dimensions as one record.
fn record(namespace: &str, points: &[Point]) -> Value {
    let mut record = Map::new();
    let Some(first) = points.first() else { return Value::Object(record) };
    let millis = first.start.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis();
    let dimensions: Vec<_> = first.series.dimensions.iter().map(|(name, _)| name).collect();
    let definitions: Vec<_> = points.iter().map(definition).collect();
    let directive =
        json!({ "Namespace": namespace, "Dimensions": [dimensions], "Metrics": definitions });
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    record.insert(
        "_aws".to_owned(),
        json!({ "Timestamp": millis, "CloudWatchMetrics": [directive] }),
    );
    for (name, value) in &first.series.dimensions {
        record.insert(name.clone(), value.clone().into());
    }
    for point in points {
        record.insert(point.series.name.clone(), samples(&point.samples));
    }
    Value::Object(record)
}

fn definition(point: &Point) -> Value {
    let resolution = point.series.resolution.window().as_secs();
    json!({
        "Name": point.series.name,
        "Unit": point.series.unit().as_str(),
        "StorageResolution": resolution,
    })
}

fn samples(samples: &Samples) -> Value {
    match samples {
        Samples::One(value) => json!(value),
        Samples::Many { values, counts } => json!({ "Values": values, "Counts": counts }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(name: &str, values: usize) -> Vec<Point> {
        let values: Vec<_> = (1..=values).map(|value| (value as f64, 2)).collect();
        Point::named(name, UNIX_EPOCH + Duration::from_secs(60), &values)
    }

    #[test]
    fn a_record_names_its_metrics_and_carries_their_values_beside_their_dimensions() {
        let one = Point::named("n", UNIX_EPOCH + Duration::from_secs(60), &[(5.0, 1)]);
        let points = [one, points("d", 2)].concat();
        let expected = json!({
            "_aws": {
                "Timestamp": 60_000,
                "CloudWatchMetrics": [{
                    "Namespace": "Shop",
                    "Dimensions": [["Environment", "Service"]],
                    "Metrics": [
                        { "Name": "n", "Unit": "Milliseconds", "StorageResolution": 60 },
                        { "Name": "d", "Unit": "Milliseconds", "StorageResolution": 60 },
                    ],
                }],
            },
            "Environment": "blue",
            "Service": "orders",
            "n": 5.0,
            "d": { "Values": [1.0, 2.0], "Counts": [2.0, 2.0] },
        });
        assert_eq!(record("Shop", &points), expected);
    }

    #[test]
    fn a_record_holds_a_hundred_metrics_of_one_window_each_once() {
        let many =
            |count: usize| (0..count).flat_map(|n| points(&format!("m{n}"), 1)).collect::<Vec<_>>();
        let later = Point::named("later", UNIX_EPOCH, &[(1.0, 1)]);
        for (what, points, expected) in [
            ("none", Vec::new(), 0),
            ("few", many(3), 3),
            ("more than a record takes", many(101), 100),
            ("the same metric twice", [many(2), many(2)].concat(), 2),
            ("another window", [many(2), later].concat(), 2),
        ] {
            assert_eq!(fitting(points.iter(), 1_000), expected, "{what}");
        }
        assert_eq!(fitting(many(3).iter(), 2), 2);
    }

    #[test]
    fn a_record_stays_below_the_size_of_an_event() {
        let long = "x".repeat(200);
        let points: Vec<_> =
            (0..100).flat_map(|n| points(&format!("{n}{long}"), VALUES_PER_METRIC)).collect();
        let fitting = fitting(points.iter(), 1_000);
        assert!((1..100).contains(&fitting), "{fitting}");
        let line = record("Shop", &points[..fitting]).to_string();
        assert!(line.len() < 256_000, "{}", line.len());
    }
}
