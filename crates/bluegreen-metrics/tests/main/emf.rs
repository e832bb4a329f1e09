//! What is written to a log, read as CloudWatch documents it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, UNIX_EPOCH};

use bluegreen_core::Color;
use bluegreen_metrics::{DimensionSet, Metrics, MetricsConfig, Resolution, Unit};
use serde_json::Value;

use crate::account::{Account, NAMESPACE, Running, at, identity, seconds};

/// A log that tears some of its lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    text: Vec<u8>,
    writes: usize,
    /// Of each so many writes the last fails half-way.
    fails_each: usize,
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.0.lock().unwrap();
        inner.writes += 1;
        let fails = inner.fails_each > 0 && inner.writes.is_multiple_of(inner.fails_each);
        let taken = if fails { &bytes[..bytes.len() / 2] } else { bytes };
        inner.text.extend_from_slice(taken);
        if fails { Err(io::Error::other("the disk is full")) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One metric of one window, as CloudWatch extracts it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Extracted {
    unit: String,
    resolution: u64,
    values: Vec<(f64, f64)>,
}

impl Extracted {
    fn count(&self) -> f64 {
        self.values.iter().map(|(_, count)| count).sum()
    }

    fn sum(&self) -> f64 {
        self.values.iter().map(|(value, count)| value * count).sum()
    }
}

impl Log {
    fn fails_each(self, writes: usize) -> Self {
        self.0.lock().unwrap().fails_each = writes;
        self
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().text.clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// By second after the start, name and dimensions. Lines that are no JSON are no records.
    fn extract(&self) -> BTreeMap<(u64, String, String), Extracted> {
        let mut all: BTreeMap<_, Extracted> = BTreeMap::new();
        for line in self.lines() {
            assert!(line.len() <= 256 * 1024);
            let Ok(record) = serde_json::from_str::<Value>(&line) else { continue };
            let millis = record["_aws"]["Timestamp"].as_u64().unwrap();
            let time = UNIX_EPOCH + Duration::from_millis(millis);
            let start = time.duration_since(at(0)).unwrap().as_secs();
            let directive = &record["_aws"]["CloudWatchMetrics"][0];
            assert_eq!(directive["Namespace"], NAMESPACE);
            let dimensions = directive["Dimensions"][0].as_array().unwrap();
            assert!(dimensions.len() <= 30);
            let dimensions: Vec<_> = dimensions
                .iter()
                .map(|name| {
                    let name = name.as_str().unwrap();
                    format!("{name}={}", record[name].as_str().unwrap())
                })
                .collect();
            let metrics = directive["Metrics"].as_array().unwrap();
            assert!((1..=100).contains(&metrics.len()));
            for metric in metrics {
                let name = metric["Name"].as_str().unwrap();
                let key = (start, name.to_owned(), dimensions.join(" "));
                let extracted = all.entry(key).or_default();
                extracted.unit = metric["Unit"].as_str().unwrap().to_owned();
                extracted.resolution = metric["StorageResolution"].as_u64().unwrap();
                extracted.values.extend(values(&record[name]));
            }
        }
        all
    }
}

fn values(value: &Value) -> Vec<(f64, f64)> {
    if let Some(one) = value.as_f64() {
        return vec![(one, 1.0)];
    }
    let list = |name: &str| {
        let list = value[name].as_array().unwrap();
        assert!((1..=100).contains(&list.len()), "CloudWatch drops what is beyond 100");
        list.iter().map(|value| value.as_f64().unwrap()).collect::<Vec<_>>()
    };
    let (values, counts) = (list("Values"), list("Counts"));
    assert_eq!(values.len(), counts.len());
    values.into_iter().zip(counts).collect()
}

fn start(account: &Account, log: &Log, config: MetricsConfig) -> (Metrics, Running) {
    let config = config.with_clock(account.clock);
    let (metrics, publisher) =
        Metrics::emf(log.clone(), NAMESPACE, &identity(Color::Blue), config).unwrap();
    (metrics, Running::new(publisher))
}

#[tokio::test(start_paused = true)]
async fn the_same_metrics_are_written_as_records() {
    let (account, log) = (Account::new(), Log::default());
    let color = DimensionSet::color();
    let config = MetricsConfig::default()
        .with_dimension_sets([color.with_labels(), color])
        .with_resolution_of("fine", Resolution::Second);
    let (metrics, running) = start(&account, &log, config);
    Account::between_windows().await;
    metrics.counter_with("n", Unit::Count, &[("queue", "a")]).unwrap().add(3);
    metrics.gauge("level", Unit::Percent).unwrap().set(-2.5);
    metrics.counter("fine", Unit::Bytes).unwrap().add(7);
    drop(metrics.http_layer());
    tokio::time::sleep(seconds(60)).await;
    let cost = metrics.cost(1);
    running.stop(seconds(5)).await;
    let all = log.extract();
    let own = "Environment=blue Service=orders";
    for (key, unit, resolution, values) in [
        ((0, "n", format!("{own} queue=a")), "Count", 60, [(3.0, 1.0)]),
        ((0, "n", own.to_owned()), "Count", 60, [(3.0, 1.0)]),
        ((0, "level", own.to_owned()), "Percent", 60, [(-2.5, 1.0)]),
        ((0, "fine", own.to_owned()), "Bytes", 1, [(7.0, 1.0)]),
        ((0, "RequestCount", own.to_owned()), "Count", 60, [(0.0, 1.0)]),
    ] {
        let (second, name, dimensions) = key;
        let extracted = &all[&(second, name.to_owned(), dimensions)];
        let (unit, values) = (unit.to_owned(), values.to_vec());
        assert_eq!(extracted, &Extracted { unit, resolution, values }, "{name}");
    }
    assert_eq!(cost.calls, 0.0);
    assert!(cost.log_gigabytes > 0.0 && cost.transport_dollars > 0.0, "{cost:?}");
}

#[tokio::test(start_paused = true)]
async fn more_than_a_hundred_values_go_into_several_records_and_none_is_lost() {
    for buckets in [1u32, 99, 100, 101, 250, 1_500] {
        let (account, log) = (Account::new(), Log::default());
        let (metrics, running) = start(&account, &log, MetricsConfig::default());
        let values = metrics.distribution("d", Unit::Milliseconds).unwrap();
        let records: Vec<_> =
            (0..buckets).map(|n| 1.01f64.powi(i32::try_from(n).unwrap())).collect();
        records.iter().for_each(|value| values.record_many(*value, 3));
        running.stop(seconds(5)).await;
        let all = log.extract();
        let [extracted] = all.values().collect::<Vec<_>>()[..] else { panic!("{all:?}") };
        assert_eq!(extracted.count(), f64::from(buckets) * 3.0);
        let expected = records.iter().sum::<f64>() * 3.0;
        assert!((extracted.sum() - expected).abs() <= 1e-9 * expected, "{buckets}");
        assert_eq!(extracted.values.first().unwrap().0, records[0]);
        assert_eq!(extracted.values.last().unwrap().0, *records.last().unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_metric_named_as_its_dimension_is_refused_where_they_stand_side_by_side() {
    let (account, log) = (Account::new(), Log::default());
    let (metrics, running) = start(&account, &log, MetricsConfig::default());
    for (name, labels) in
        [("queue", &[("queue", "a")][..]), ("Environment", &[]), ("Release", &[]), ("_aws", &[])]
    {
        let error = metrics.counter_with(name, Unit::Count, labels).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the metric {name:?} does not fit: it must be not named as a dimension, nor \"_aws\""
            )
        );
    }
    // It would take the place of the record's own directive, and the record be none.
    let error = metrics.counter_with("orders", Unit::Count, &[("_aws", "a")]).unwrap_err();
    assert_eq!(error.to_string(), "the label \"_aws\" does not fit: it must be not \"_aws\"");
    running.stop(seconds(5)).await;
    // CloudWatch itself keeps them apart.
    let (metrics, running) = account.start(Color::Blue, MetricsConfig::default());
    metrics.counter_with("queue", Unit::Count, &[("queue", "a")]).unwrap().increment();
    running.stop(seconds(5)).await;
    assert_eq!(account.sum("queue"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_torn_line_is_no_record_and_is_written_again() {
    let (account, log) = (Account::new(), Log::default().fails_each(3));
    let (metrics, running) = start(&account, &log, MetricsConfig::default());
    let counter = metrics.counter("n", Unit::Count).unwrap();
    Account::between_windows().await;
    for _ in 0..30 {
        counter.add(10);
        tokio::time::sleep(seconds(60)).await;
    }
    let stats = running.stop(seconds(60)).await.stats;
    let all = log.extract();
    let counted = all.iter().filter(|((_, name, _), _)| name == "n");
    assert_eq!(counted.map(|(_, extracted)| extracted.sum()).sum::<f64>(), 300.0);
    assert!(stats.failed_sends.refused > 5, "{stats:?}");
    assert_eq!((stats.dropped.total(), stats.pending), (0, 0));
    let torn =
        log.lines().iter().filter(|line| serde_json::from_str::<Value>(line).is_err()).count();
    assert_eq!(torn as u64, stats.failed_sends.refused);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_takes_nothing_ends_the_stop_at_its_deadline_and_is_counted() {
    let (account, log) = (Account::new(), Log::default().fails_each(1));
    let (metrics, running) = start(&account, &log, MetricsConfig::default());
    metrics.counter("n", Unit::Count).unwrap().increment();
    let stats = running.stop(seconds(3)).await.stats;
    assert_eq!((stats.sent, stats.dropped.shutdown, stats.pending), (0, 1, 0), "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn metrics_of_two_declared_sets_fill_two_records_and_not_one_for_each() {
    let (account, log) = (Account::new(), Log::default());
    let color = DimensionSet::color();
    let config = MetricsConfig::default().with_dimension_sets([color.with_labels(), color]);
    let (metrics, running) = start(&account, &log, config);
    Account::between_windows().await;
    for n in 0..100 {
        let name = format!("n{n}");
        metrics.counter_with(&name, Unit::Count, &[("queue", "a")]).unwrap().increment();
    }
    running.stop(seconds(5)).await;
    assert_eq!(log.lines().len(), 2);
    assert_eq!(log.extract().len(), 200);
}

/// A file in a directory that goes with it.
struct Logged(std::path::PathBuf);

impl Logged {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.join("metrics.log")
    }

    fn append(&self) -> File {
        OpenOptions::new().append(true).create(true).open(self.path()).unwrap()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// The sum of a metric in the text of a log, each line of which must be a record.
fn sum_of(name: &str, text: &str) -> f64 {
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter_map(|record| record[name].as_f64()).sum()
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_rotated_by_name_or_by_truncation_loses_no_record() {
    let logged = Logged::new("bluegreen-rotated");
    let account = Account::new();
    let config = MetricsConfig::default().with_clock(account.clock);
    let (metrics, publisher) =
        Metrics::emf(logged.append(), NAMESPACE, &identity(Color::Blue), config).unwrap();
    let running = Running::new(publisher);
    let counter = metrics.counter("n", Unit::Count).unwrap();
    Account::between_windows().await;
    let minute = async || {
        counter.add(10);
        tokio::time::sleep(seconds(75)).await;
    };
    minute().await;
    // Renamed: what was opened goes on under its new name.
    let renamed = logged.0.join("metrics.log.1");
    fs::rename(logged.path(), &renamed).unwrap();
    minute().await;
    let before = fs::read_to_string(&renamed).unwrap();
    assert_eq!(sum_of("n", &before), 20.0);
    // Copied and cut: a file that is opened to append goes on at its new end.
    OpenOptions::new().write(true).open(&renamed).unwrap().set_len(0).unwrap();
    minute().await;
    let stats = running.stop(seconds(5)).await.stats;
    let after = fs::read_to_string(&renamed).unwrap();
    assert_eq!(sum_of("n", &after), 10.0);
    assert_eq!((stats.dropped.total(), stats.failed_sends.total()), (0, 0));
    assert!(!logged.path().exists());
}

#[tokio::test(start_paused = true)]
async fn a_pipe_whose_reader_has_gone_keeps_what_it_can_and_counts_the_rest() {
    let account = Account::new();
    let (mut reader, writer) = io::pipe().unwrap();
    let config = MetricsConfig::default().with_clock(account.clock);
    let (metrics, publisher) =
        Metrics::emf(writer, NAMESPACE, &identity(Color::Blue), config).unwrap();
    let running = Running::new(publisher);
    let counter = metrics.counter("n", Unit::Count).unwrap();
    Account::between_windows().await;
    counter.add(10);
    tokio::time::sleep(seconds(75)).await;
    let mut read = vec![0; 10_000];
    let length = reader.read(&mut read).unwrap();
    assert_eq!(sum_of("n", std::str::from_utf8(&read[..length]).unwrap()), 10.0);
    drop(reader);
    for _ in 0..3 {
        counter.add(10);
        tokio::time::sleep(seconds(60)).await;
    }
    let stats = metrics.stats();
    assert!(stats.failed_sends.refused >= 3 && stats.pending >= 3, "{stats:?}");
    assert_eq!(stats.dropped.total(), 0, "nothing is dropped before the stop");
    let stats = running.stop(seconds(2)).await.stats;
    assert_eq!(stats.pending, 0);
    assert!(stats.dropped.shutdown >= 3, "{stats:?}");
}

/// A standard output that nobody reads: it takes nothing until it is let go.
struct Blocked(mpsc::Receiver<()>);

impl Write for Blocked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Ends when the other side is dropped.
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// In real time: a paused clock waits for threads that block.
#[tokio::test]
async fn a_writer_that_blocks_holds_up_neither_records_nor_the_stop_beyond_its_deadline() {
    let (free, blocked) = mpsc::channel();
    let config = MetricsConfig::default()
        .with_resolution(Resolution::Second)
        .with_flush_interval(seconds(1));
    let (metrics, publisher) =
        Metrics::emf(Blocked(blocked), NAMESPACE, &identity(Color::Blue), config).unwrap();
    let running = Running::new(publisher);
    let counter = metrics.counter("n", Unit::Count).unwrap();
    counter.increment();
    let stats = running.stop(Duration::from_millis(50)).await.stats;
    // The line is in the writer's hands, and nobody will know what became of it.
    assert_eq!((stats.sent, stats.dropped.shutdown, stats.pending), (0, 1, 0), "{stats:?}");
    (0..1_000).for_each(|_| counter.increment());
    drop(free);
}
