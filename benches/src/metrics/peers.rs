//! The same asked of metrics_cloudwatch 5 and of metrique 0.1 with its aggregation.
//!
//! metrics_cloudwatch sends to the same stand-in; metrique speaks no `PutMetricData`, so of it the
//! records are counted that it writes in the embedded metric format.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use allocation_counter::measure;
use anyhow::{Context, Result};
use bluegreen_local::{Service, World};
use metrics::{Key, SetRecorderError};
use metrics_cloudwatch::collector::RecorderHandle;
use metrique::emf::Emf;
use metrique::writer::sink::{BackgroundQueue, BackgroundQueueJoinHandle};
use metrique::writer::{Entry, EntrySink, EntryWriter, FormatExt};
use metrique_aggregation::histogram::SharedHistogram;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{
    BURST, Bench, NAMESPACE, QUEUED, Record, arrived, lost, refuse_three_of_ten, sum, value,
};
use crate::cpu;

const CLOUDWATCH: &str = "metrics_cloudwatch";
const METRIQUE: &str = "metrique";
const AGGREGATION: &str = "metrique-aggregation";

/// Those that record into memory of their own.
pub(super) fn records() -> Vec<Record<'static>> {
    let shared = SharedHistogram::<f64>::default();
    vec![("record", AGGREGATION, Box::new(move |n| shared.add_value(value(n))))]
}

type QueuedRecord = Box<dyn Fn(u32)>;

/// Those that record into a queue: in stretches that fit, so that no record is a drop.
pub(super) fn print_queued_records(bench: &Bench<'_>) -> Result<()> {
    const STRETCH: u32 = 500;
    let world = World::new();
    let cloudwatch = CloudWatch::start(bench, &world)?;
    let histogram = cloudwatch.histogram("d");
    let queue = Queue::start();
    let entries = queue.entries.clone();
    let all: [(&'static str, QueuedRecord); 2] = [
        (CLOUDWATCH, Box::new(move |n| histogram.record(value(n)))),
        (METRIQUE, Box::new(move |n| entries.append(One(value(n))))),
    ];
    for (who, record) in &all {
        let mut spent = Vec::new();
        // Long enough for whoever empties the queue.
        let pause = || bench.pause(5);
        for _ in 0..bench.rounds * 20 {
            pause();
            let start = cpu::thread_nanoseconds();
            (0..STRETCH).for_each(record);
            spent.push((cpu::thread_nanoseconds() - start) / f64::from(STRETCH));
        }
        bench.print("record", who, "ns", cpu::median(spent), "ns");
        pause();
        let allocations = measure(|| (0..STRETCH).for_each(record)).count_total;
        #[expect(clippy::cast_precision_loss, reason = "hundreds")]
        let allocations = allocations as f64 / f64::from(STRETCH);
        bench.print("record", who, "allocations", allocations, "count");
    }
    drop(all);
    queue.stop();
    cloudwatch.stop(bench)
}

pub(super) fn print_bursts(bench: &Bench<'_>) -> Result<()> {
    let world = World::new();
    let cloudwatch = CloudWatch::start(bench, &world)?;
    let histogram = cloudwatch.histogram("d");
    (0..BURST).for_each(|n| histogram.record(value(u32::try_from(n).unwrap_or_default())));
    // It is let to empty its queue first.
    bench.pause(500);
    cloudwatch.stop(bench)?;
    bench.print("burst", CLOUDWATCH, "lost_of_100000", lost(BURST, arrived(&world, "d")), "count");
    let calls = world.calls(Service::CloudWatch, "PutMetricData");
    #[expect(clippy::cast_precision_loss, reason = "few calls")]
    bench.print("burst", CLOUDWATCH, "calls", calls as f64, "count");
    let queue = Queue::start();
    (0..BURST).for_each(|n| queue.entries.append(One(value(u32::try_from(n).unwrap_or_default()))));
    bench.print("burst", METRIQUE, "lost_of_100000", lost(BURST, queue.stop()), "count");
    Ok(())
}

pub(super) fn print_shutdowns(bench: &Bench<'_>) -> Result<()> {
    let world = World::new();
    let cloudwatch = CloudWatch::start(bench, &world)?;
    let counter = cloudwatch.counter("n");
    (0..QUEUED).for_each(|_| counter.increment(1));
    cloudwatch.stop(bench)?;
    bench.print("shutdown", CLOUDWATCH, "lost", lost(QUEUED, sum(&world, "n")), "count");
    let queue = Queue::start();
    (0..QUEUED).for_each(|_| queue.entries.append(One(1.0)));
    bench.print("shutdown", METRIQUE, "lost", lost(QUEUED, queue.stop()), "count");
    Ok(())
}

/// Few enough records at a time that its queue loses none: what is lost, the refusals have cost.
pub(super) fn print_refused(bench: &Bench<'_>) -> Result<()> {
    const BURSTS: u64 = 20;
    const EACH: u64 = 200;
    let world = World::new();
    refuse_three_of_ten(&world);
    let cloudwatch = CloudWatch::start(bench, &world)?;
    let counter = cloudwatch.counter("n");
    for _ in 0..BURSTS {
        (0..EACH).for_each(|_| counter.increment(1));
        bench.pause(300);
    }
    cloudwatch.stop(bench)?;
    let lost = lost(BURSTS * EACH, sum(&world, "n"));
    bench.print("refused", CLOUDWATCH, "lost_of_4000", lost, "count");
    Ok(())
}

pub(super) fn print_memory(bench: &Bench<'_>) {
    let mut kept = None;
    let taken = measure(|| {
        let histogram = SharedHistogram::<f64>::default();
        (0..1_000).for_each(|n| histogram.add_value(f64::from(n)));
        kept = Some(Box::new(histogram));
    });
    #[expect(clippy::cast_precision_loss, reason = "kilobytes")]
    let bytes = taken.bytes_current as f64;
    bench.print("memory", AGGREGATION, "distribution_bytes", bytes, "bytes");
    drop(kept);
}

/// metrics_cloudwatch, sending by the second to a stand-in.
struct CloudWatch {
    recorder: RecorderHandle,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// The recorder that was made last: it is handed over as if it were to be the global one.
static MADE: Mutex<Option<RecorderHandle>> = Mutex::new(None);

#[expect(clippy::unnecessary_wraps, reason = "its signature is metrics_cloudwatch's")]
fn keep(recorder: RecorderHandle) -> Result<(), SetRecorderError<RecorderHandle>> {
    *MADE.lock().unwrap_or_else(PoisonError::into_inner) = Some(recorder);
    Ok(())
}

impl CloudWatch {
    fn start(bench: &Bench<'_>, world: &World) -> Result<Self> {
        let (stop, stopped) = oneshot::channel::<()>();
        let driver = bench.runtime.block_on(
            metrics_cloudwatch::Builder::new()
                .cloudwatch_namespace(NAMESPACE)
                .default_dimension("Environment", "blue")
                .send_interval_secs(1)
                .storage_resolution(metrics_cloudwatch::Resolution::Second)
                .shutdown_signal(Box::pin(async move { drop(stopped.await) }))
                .init_async(world.cloudwatch(), keep),
        );
        let driver = driver.map_err(|error| anyhow::anyhow!("metrics_cloudwatch: {error}"))?;
        let task = bench.runtime.spawn(driver);
        let recorder = MADE.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(Self { recorder: recorder.context("metrics_cloudwatch made no recorder")?, stop, task })
    }

    fn histogram(&self, name: &'static str) -> metrics::Histogram {
        self.recorder.register_histogram(&Key::from_static_name(name))
    }

    fn counter(&self, name: &'static str) -> metrics::Counter {
        self.recorder.register_counter(&Key::from_static_name(name))
    }

    fn stop(self, bench: &Bench<'_>) -> Result<()> {
        self.stop.send(()).ok();
        Ok(bench.runtime.block_on(self.task)?)
    }
}

/// One value as metrique's entry.
struct One(f64);

impl Entry for One {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        writer.timestamp(UNIX_EPOCH);
        writer.value("d", &self.0);
    }
}

/// metrique's queue and the thread that writes it out.
struct Queue {
    entries: BackgroundQueue<One>,
    writer: BackgroundQueueJoinHandle,
    written: Arc<AtomicU64>,
}

impl Queue {
    fn start() -> Self {
        let lines = Lines::default();
        let written = Arc::clone(&lines.0);
        let emf = Emf::all_validations(NAMESPACE.to_owned(), vec![vec![]]);
        let (entries, writer) = BackgroundQueue::new(emf.output_to(lines));
        Self { entries, writer, written }
    }

    /// Stops it; answers how many entries were written.
    fn stop(self) -> f64 {
        self.writer.shut_down();
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let written = self.written.load(Ordering::Relaxed) as f64;
        written
    }
}

/// Counts lines and forgets them.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<AtomicU64>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        self.0.fetch_add(u64::try_from(lines).unwrap_or_default(), Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
