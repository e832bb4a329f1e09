//! The embedded metric format: lines of JSON in a log, of which CloudWatch makes metrics.
//!
//! A record holds points of one window and one set of dimensions, at most 100 metrics of at most 100
//! values; beyond either CloudWatch drops what is too much and says nothing. As the format has
//! metrics and dimensions side by side under their names, no metric may be named as a dimension.
//! CloudWatch itself takes records of 1 MB since 2025; what ships a log often cuts lines at the 256 KB
//! that held before, and a line that was cut is no record.

use std::collections::{HashMap, HashSet};
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
/// The safer limit of a log event, less what the API adds to each.
const MOST_BYTES: usize = 256 * 1024 - EVENT_BYTES;
/// What CloudWatch counts for an event beside its text.
const EVENT_BYTES: usize = 26;
/// Digits and commas of a value and its count, at most.
const VALUE_BYTES: usize = 48;
/// Names of fields, quotes, unit and resolution of a metric, at most.
const METRIC_BYTES: usize = 128;
/// Quotes and punctuation of a dimension.
const DIMENSION_BYTES: usize = 9;
/// What is around the metrics and dimensions of a record, with the longest namespace, at most.
const AROUND_BYTES: usize = 400;

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

/// Points of one window in the order in which they make the fewest records: those of one set of
/// dimensions together, and of a metric that needs several points its second behind the first ones
/// of all, as a record has each metric once.
pub(crate) fn arranged(points: Vec<Point>) -> Vec<Point> {
    let (mut groups, mut rounds) = (HashMap::new(), HashMap::new());
    let mut places = Vec::with_capacity(points.len());
    for point in &points {
        let next = groups.len();
        let group = *groups.entry(&point.series.dimensions).or_insert(next);
        let round = rounds.entry((point.start, &raw const *point.series)).or_insert(0usize);
        places.push((point.start, group, *round));
        *round += 1;
    }
    let mut placed: Vec<_> = places.into_iter().zip(points).collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, point)| point).collect()
}

/// What CloudWatch takes in when such points are written.
pub(crate) fn ingested(namespace: &str, points: Vec<Point>) -> u64 {
    let points = arranged(points);
    let (mut rest, mut bytes) = (points.as_slice(), 0);
    while let Some((record, more)) = rest.split_at_checked(fitting(rest.iter(), usize::MAX))
        && !record.is_empty()
    {
        bytes += (self::record(namespace, record).to_string().len() + EVENT_BYTES) as u64;
        rest = more;
    }
    bytes
}

/// How long a text becomes in JSON, without its quotes. Names and values are printable ASCII.
fn escaped(text: &str) -> usize {
    text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

/// The most that a record takes before it has metrics.
fn bytes_of_dimensions(point: &Point) -> usize {
    let dimensions = point.series.dimensions.iter();
    let one =
        |(name, value): &(String, String)| DIMENSION_BYTES + 2 * escaped(name) + escaped(value);
    AROUND_BYTES + dimensions.map(one).sum::<usize>()
}

/// The most that a point adds to a record.
fn bytes_of_metric(point: &Point) -> usize {
    METRIC_BYTES + 2 * escaped(&point.series.name) + VALUE_BYTES * point.values().max(1)
}

/// How many points from the front go into one record; at least one of any.
pub(crate) fn fitting<'a>(points: impl Iterator<Item = &'a Point>, limit: usize) -> usize {
    let mut points = points.take(limit.min(MOST_METRICS)).peekable();
    let Some(first) = points.peek().copied() else { return 0 };
    let (mut names, mut bytes) = (HashSet::new(), bytes_of_dimensions(first));
    let fits = |point: &&'a Point| {
        let point = *point;
        bytes += bytes_of_metric(point);
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
    use std::collections::BTreeMap;
    use std::sync::OnceLock;

    use proptest::prelude::*;

    use super::*;
    use crate::series::SeriesId;
    use crate::{Resolution, Unit};

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

    /// Points of a metric, which needs several of them where it has more than a hundred values.
    fn of_series(
        name: &str,
        dimensions: &[(&str, &str)],
        start: u64,
        values: &[(f64, u64)],
    ) -> Vec<Point> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let dimensions = dimensions.iter().map(own).collect();
        let unit = Arc::new(OnceLock::from(Unit::Milliseconds));
        let id = Arc::new(SeriesId::new(name, dimensions, Resolution::Minute, unit));
        let start = UNIX_EPOCH + Duration::from_secs(60 * start);
        Point::many(&id, start, values, VALUES_PER_METRIC).collect()
    }

    /// The records that such points make, as they are written.
    fn records(points: Vec<Point>) -> Vec<String> {
        let points = arranged(points);
        let (mut rest, mut lines) = (points.as_slice(), Vec::new());
        while !rest.is_empty() {
            let (now, later) = rest.split_at(fitting(rest.iter(), 1_000));
            lines.push(record("Shop", now).to_string());
            let most =
                bytes_of_dimensions(&now[0]) + now.iter().map(bytes_of_metric).sum::<usize>();
            assert!(lines.last().unwrap().len() <= most, "more than it was taken for: {most}");
            rest = later;
        }
        lines
    }

    #[test]
    fn metrics_of_the_same_dimensions_share_records_whatever_their_order() {
        // Each metric with its label and as a total, as two declared sets have them.
        let both = |n: usize, values: &[(f64, u64)]| {
            let name = format!("m{n}");
            [
                of_series(&name, &[("Environment", "blue"), ("queue", "a")], 1, values),
                of_series(&name, &[("Environment", "blue")], 1, values),
            ]
            .concat()
        };
        let many: Vec<_> = (0..250u64).map(|n| (n as f64, 1)).collect();
        let plain = |count| (0..count).flat_map(|n| both(n, &[(1.0, 1)])).collect::<Vec<_>>();
        let mixed =
            || [both(0, &many), (1..100).flat_map(|n| both(n, &[(1.0, 1)])).collect()].concat();
        let later = of_series("m0", &[("Environment", "blue")], 2, &[(1.0, 1)]);
        for (what, points, expected) in [
            ("a hundred metrics", plain(100), 2),
            ("one more", plain(101), 4),
            ("one of them with three points", mixed(), 6),
            ("all of them with three points", (0..20).flat_map(|n| both(n, &many)).collect(), 6),
            ("a later window, which comes first", [later, plain(1)].concat(), 3),
        ] {
            assert_eq!(records(points).len(), expected, "{what}");
        }
    }

    #[test]
    fn a_record_stays_below_the_size_of_an_event_whatever_it_is_made_of() {
        let (quotes, long) = ("\"".repeat(1_000), "\\".repeat(200));
        let labels: Vec<_> = (0..25).map(|n| format!("{n}{long}")).collect();
        let labels: Vec<_> = labels.iter().map(|name| (name.as_str(), quotes.as_str())).collect();
        let values: Vec<_> =
            (1..=100u64).map(|n| (n as f64 / 3.0 * 1e-9, 1_234_567_890_123_456_789)).collect();
        for (labels, name) in [(&labels[..], ""), (&[], "x"), (&[], &long)] {
            let points: Vec<_> = (0..100)
                .flat_map(|n| of_series(&format!("{n}{name}"), labels, 1, &values))
                .collect();
            let lines = records(points);
            assert!(lines.iter().all(|line| line.len() <= 256 * 1024 - 26), "{name}");
            let longest = lines.iter().map(String::len).max().unwrap();
            assert!(longest > 120_000, "and is well filled: {longest}");
        }
    }

    type Samples = BTreeMap<(u64, BTreeMap<String, String>, String), Vec<(u64, u64)>>;

    /// What CloudWatch makes of a record, by the rules of its specification.
    fn extracted(line: &str, all: &mut Samples) -> Result<(), TestCaseError> {
        prop_assert!(line.len() <= 256 * 1024 - 26 && !line.contains('\n'));
        let record: Value = serde_json::from_str(line).unwrap();
        let aws = record["_aws"].as_object().unwrap();
        prop_assert_eq!(aws.len(), 2);
        let millis = aws["Timestamp"].as_u64().unwrap();
        let directives = aws["CloudWatchMetrics"].as_array().unwrap();
        prop_assert_eq!(directives.len(), 1);
        let directive = directives[0].as_object().unwrap();
        prop_assert_eq!(directive.len(), 3);
        prop_assert_eq!(&directive["Namespace"], "Shop");
        let sets = directive["Dimensions"].as_array().unwrap();
        prop_assert_eq!(sets.len(), 1);
        let names = sets[0].as_array().unwrap();
        prop_assert!(names.len() <= 30);
        let mut dimensions = BTreeMap::new();
        for name in names {
            let name = name.as_str().unwrap();
            let value = record[name].as_str().unwrap();
            prop_assert!((1..=1_024).contains(&value.len()));
            prop_assert!(dimensions.insert(name.to_owned(), value.to_owned()).is_none());
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        prop_assert!((1..=100).contains(&metrics.len()));
        // Nothing but the directive, the dimensions and the metrics, each once.
        prop_assert_eq!(record.as_object().unwrap().len(), 1 + dimensions.len() + metrics.len());
        for metric in metrics {
            prop_assert_eq!(metric.as_object().unwrap().len(), 3);
            prop_assert_eq!(&metric["Unit"], "Milliseconds");
            prop_assert_eq!(&metric["StorageResolution"], 60);
            let name = metric["Name"].as_str().unwrap();
            let samples = match &record[name] {
                Value::Object(many) => {
                    prop_assert_eq!(many.len(), 2);
                    let list = |of: &str| {
                        let list = many[of].as_array().unwrap().iter();
                        list.map(|one| one.as_f64().unwrap()).collect::<Vec<_>>()
                    };
                    let (values, counts) = (list("Values"), list("Counts"));
                    prop_assert!((1..=100).contains(&values.len()));
                    prop_assert_eq!(values.len(), counts.len());
                    let bits = |list: Vec<f64>| list.into_iter().map(f64::to_bits);
                    bits(values).zip(bits(counts)).collect()
                }
                one => vec![(one.as_f64().unwrap().to_bits(), 1f64.to_bits())],
            };
            let key = (millis / 60_000, dimensions.clone(), name.to_owned());
            all.entry(key).or_default().extend(samples);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_snapshot_is_valid_records_that_read_back_as_it_was(
            series in prop::collection::btree_map(
                (0u64..2, 0usize..4, "m[ -~]{0,60}"),
                prop::collection::btree_map(0u32..4_000_000, 1u64..(1 << 53), 1..320),
                1..40,
            ),
            labels in prop::collection::btree_map("l[ -~]{0,40}", "v[ -~]{0,300}", 4),
        ) {
            let labels: Vec<_> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let (mut points, mut expected) = (Vec::new(), Samples::new());
            for ((start, set, name), values) in &series {
                let dimensions = [&[("Environment", "blue")], &labels[..*set]].concat();
                let values: Vec<_> =
                    values.iter().map(|(value, count)| (f64::from(*value) / 7.0 - 9.0, *count)).collect();
                points.extend(of_series(name, &dimensions, *start, &values));
                let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
                let bits = |(value, count): &(f64, u64)| (value.to_bits(), (*count as f64).to_bits());
                let key = (*start, dimensions.iter().map(own).collect(), name.clone());
                expected.insert(key, values.iter().map(bits).collect());
            }
            let mut all = Samples::new();
            for line in records(points) {
                extracted(&line, &mut all)?;
            }
            prop_assert_eq!(all, expected);
        }
    }
}
