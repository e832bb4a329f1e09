//! Metrics: what a record costs beside one relaxed atomic addition, and what of a burst, a shutdown
//! and refused sends arrives; by us and, with the feature `peers`, by metrics_cloudwatch and metrique
//! in the same run.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use allocation_counter::measure;
use anyhow::Result;
use bluegreen::metrics::{Metrics, MetricsConfig, PublishReport, Publisher, Resolution, Unit};
use bluegreen::{Color, Release, ServiceIdentity, ServiceKey, Share, Stop};
use bluegreen_local::{Calls, Fault, Rule, Service, World};
use tokio::runtime::Runtime;

use crate::cpu;
use crate::figure::{Figure, Printer};

#[cfg(feature = "peers")]
mod peers;

/// Records of one timed stretch, and of one that has to meet another thread's on a busy machine.
const RECORDS: [u32; 2] = [1_000_000, 10_000_000];
/// Records of a burst that is too fast for a queue.
#[cfg(feature = "peers")]
const BURST: u64 = 100_000;
/// Records that are queued at the moment of a shutdown.
const QUEUED: u64 = 1_000;
const NAMESPACE: &str = "Bench";

pub(crate) fn run(printer: &Printer, rounds: usize) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let bench = Bench { printer, rounds, runtime };
    bench.record()?;
    bench.burst()?;
    bench.shutdown()?;
    bench.refused()?;
    bench.memory()
}

struct Bench<'a> {
    printer: &'a Printer,
    rounds: usize,
    runtime: Runtime,
}

impl Bench<'_> {
    fn print(
        &self,
        case: &'static str,
        who: &'static str,
        metric: &'static str,
        value: f64,
        unit: &'static str,
    ) {
        self.printer.print(&Figure { bench: "metrics", case, who, metric, value, unit });
    }

    /// Lets background work go on for so many milliseconds.
    fn pause(&self, millis: u64) {
        self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(millis)).await });
    }

    fn record(&self) -> Result<()> {
        let floor = AtomicU64::new(0);
        let metrics = ours(&World::new(), MetricsConfig::default())?.0;
        let counter = metrics.counter("n", Unit::Count)?;
        let values = metrics.distribution("d", Unit::Milliseconds)?;
        let gauge = metrics.gauge("g", Unit::Count)?;
        let add = |_| {
            black_box(&floor).fetch_add(1, Ordering::Relaxed);
        };
        #[cfg_attr(not(feature = "peers"), expect(unused_mut, reason = "the peers join it"))]
        let mut all: Vec<Record<'_>> = vec![
            ("record", "floor", Box::new(add)),
            ("record", "bluegreen", Box::new(move |n| values.record(value(n)))),
            ("count", "bluegreen", Box::new(move |_| counter.increment())),
            ("set", "bluegreen", Box::new(move |n| gauge.set(value(n)))),
        ];
        #[cfg(feature = "peers")]
        all.extend(peers::records());
        let costs = costs(self.rounds, &all, 1);
        let floor = costs.first().copied().unwrap_or(f64::NAN);
        for ((case, who, record), cost) in all.iter().zip(&costs) {
            self.print(case, who, "ns", *cost, "ns");
            self.print(case, who, "of_floor", cost / floor, "ratio");
            let allocations = measure(|| (0..1_000).for_each(record)).count_total;
            #[expect(clippy::cast_precision_loss, reason = "thousands")]
            let allocations = allocations as f64 / 1_000.0;
            self.print(case, who, "allocations", allocations, "count");
        }
        let together = self::costs(self.rounds, &all, 2);
        for ((case, who, _), (alone, together)) in all.iter().zip(costs.iter().zip(together)) {
            self.print(case, who, "ns_two_threads", together, "ns");
            self.print(case, who, "two_of_one", together / alone, "ratio");
        }
        #[cfg(feature = "peers")]
        peers::print_queued_records(self)?;
        Ok(())
    }

    /// A tight loop, then everything is let out.
    fn burst(&self) -> Result<()> {
        let world = World::new();
        let (metrics, publisher) = ours(&world, MetricsConfig::default())?;
        let running = Running::start(&self.runtime, publisher);
        let values = metrics.distribution("d", Unit::Milliseconds)?;
        for n in 0..1_000_000u32 {
            values.record(value(n));
        }
        running.stop(&self.runtime)?;
        self.print("burst", "bluegreen", "lost", 1e6 - arrived(&world, "d"), "count");
        let calls = world.calls(Service::CloudWatch, "PutMetricData");
        #[expect(clippy::cast_precision_loss, reason = "few calls")]
        self.print("burst", "bluegreen", "calls_per_million", calls as f64, "count");
        #[cfg(feature = "peers")]
        peers::print_bursts(self)?;
        Ok(())
    }

    /// Records in the very moment of the shutdown.
    fn shutdown(&self) -> Result<()> {
        let world = World::new();
        let (metrics, publisher) = ours(&world, MetricsConfig::default())?;
        let running = Running::start(&self.runtime, publisher);
        let counter = metrics.counter("n", Unit::Count)?;
        (0..QUEUED).for_each(|_| counter.increment());
        running.stop(&self.runtime)?;
        self.print("shutdown", "bluegreen", "lost", lost(QUEUED, sum(&world, "n")), "count");
        #[cfg(feature = "peers")]
        peers::print_shutdowns(self)?;
        Ok(())
    }

    /// Ten million records in bursts of two threads, a shutdown in the middle, three of ten sends
    /// refused.
    fn refused(&self) -> Result<()> {
        const BURSTS: u64 = 10;
        let world = World::new();
        refuse_three_of_ten(&world);
        let records = if self.rounds < 5 { 1_000_000 } else { 10_000_000 };
        let each = records / 2 / BURSTS / 2;
        let mut refused = 0;
        for _ in 0..2 {
            let (metrics, publisher) = ours(&world, by_the_second())?;
            let running = Running::start(&self.runtime, publisher);
            let counter = metrics.counter("n", Unit::Count)?;
            let values = metrics.distribution("d", Unit::Milliseconds)?;
            for _ in 0..BURSTS {
                std::thread::scope(|scope| {
                    for _ in 0..2 {
                        scope.spawn(|| {
                            for n in 0..each {
                                counter.increment();
                                values.record(value(u32::try_from(n).unwrap_or_default()));
                            }
                        });
                    }
                });
                self.pause(300);
            }
            refused += running.stop(&self.runtime)?.stats.failed_sends.throttled;
        }
        self.print("refused", "bluegreen", "lost", lost(records, sum(&world, "n")), "count");
        let of_values = lost(records, arrived(&world, "d"));
        self.print("refused", "bluegreen", "lost_values", of_values, "count");
        #[expect(clippy::cast_precision_loss, reason = "few calls")]
        self.print("refused", "bluegreen", "refused_sends", refused as f64, "count");
        #[cfg(feature = "peers")]
        peers::print_refused(self)?;
        Ok(())
    }

    /// What a series takes after one thread has recorded values of three decades.
    fn memory(&self) -> Result<()> {
        const SERIES: u32 = 100;
        let metrics = ours(&World::new(), MetricsConfig::default())?.0;
        let per_series = |make: &dyn Fn(&str)| {
            let names: Vec<_> = (0..SERIES).map(|n| format!("{n}")).collect();
            let taken = measure(|| names.iter().for_each(|name| make(name))).bytes_current;
            #[expect(clippy::cast_precision_loss, reason = "kilobytes")]
            let taken = taken as f64;
            taken / f64::from(SERIES)
        };
        let counters = per_series(&|name| {
            if let Ok(counter) = metrics.counter(&format!("counter {name}"), Unit::Count) {
                counter.increment();
            }
        });
        let distributions = per_series(&|name| {
            if let Ok(values) = metrics.distribution(&format!("values {name}"), Unit::Count) {
                (0..1_000).for_each(|n| values.record(f64::from(n)));
            }
        });
        self.print("memory", "bluegreen", "counter_bytes", counters, "bytes");
        self.print("memory", "bluegreen", "distribution_bytes", distributions, "bytes");
        #[cfg(feature = "peers")]
        peers::print_memory(self);
        Ok(())
    }
}

/// Values of about three decades.
fn value(n: u32) -> f64 {
    f64::from(n % 1_000) + 0.5
}

type Record<'a> = (&'static str, &'static str, Box<dyn Fn(u32) + Sync + 'a>);

/// CPU nanoseconds of one record of each, by so many threads at once; all within each round, so
/// that a drifting machine hits all of them.
fn costs(rounds: usize, all: &[Record<'_>], threads: usize) -> Vec<f64> {
    let mut spent: Vec<Vec<f64>> = vec![Vec::new(); all.len()];
    for _ in 0..rounds {
        for ((.., record), spent) in all.iter().zip(&mut spent) {
            spent.push(cost(record, threads));
        }
    }
    spent.into_iter().map(cpu::median).collect()
}

fn cost(record: &(dyn Fn(u32) + Sync), threads: usize) -> f64 {
    let together = Barrier::new(threads);
    let [alone, among] = RECORDS;
    let records = if threads == 1 { alone } else { among };
    let stretch = || {
        (0..10_000).for_each(record);
        together.wait();
        let start = cpu::thread_nanoseconds();
        (0..records).for_each(record);
        (cpu::thread_nanoseconds() - start) / f64::from(records)
    };
    if threads == 1 {
        return stretch();
    }
    let spent: Vec<f64> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(stretch)).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    spent.iter().sum::<f64>() / f64::from(u32::try_from(threads).unwrap_or(1))
}

fn identity() -> Result<ServiceIdentity> {
    Ok(ServiceIdentity::new(ServiceKey::new("bench")?, Color::Blue, Release::new("1")?, "1"))
}

fn ours(world: &World, config: MetricsConfig) -> Result<(Metrics, Publisher)> {
    Ok(Metrics::new(world.cloudwatch(), NAMESPACE, &identity()?, config)?)
}

fn by_the_second() -> MetricsConfig {
    MetricsConfig::default()
        .with_resolution(Resolution::Second)
        .with_flush_interval(Duration::from_secs(1))
}

fn refuse_three_of_ten(world: &World) {
    let puts = Calls::to(Service::CloudWatch).operation("PutMetricData");
    if let Ok(part) = Share::percent(30) {
        world.faults().inject(Rule::new(puts, Fault::Throttle).some(part, 7)).keep();
    }
}

/// A publisher in a task of its own.
struct Running {
    stopper: bluegreen::Stopper,
    task: tokio::task::JoinHandle<PublishReport>,
}

impl Running {
    fn start(runtime: &Runtime, publisher: Publisher) -> Self {
        let (stopper, stop) = Stop::new();
        let task = runtime.spawn(async move {
            let Ok(report) = publisher.run(stop).await;
            report
        });
        Self { stopper, task }
    }

    fn stop(self, runtime: &Runtime) -> Result<PublishReport> {
        self.stopper.stop(Duration::from_secs(60));
        Ok(runtime.block_on(self.task)?)
    }
}

/// The sum of all series of that name.
fn sum(world: &World, name: &str) -> f64 {
    let all = world.cloudwatch_service().series(NAMESPACE);
    all.iter().filter(|series| series.name == name).map(|series| series.sum).sum()
}

/// How many samples of that name there are.
fn arrived(world: &World, name: &str) -> f64 {
    let all = world.cloudwatch_service().series(NAMESPACE);
    all.iter().filter(|series| series.name == name).map(|series| series.count).sum()
}

#[expect(clippy::cast_precision_loss, reason = "millions")]
fn lost(recorded: u64, arrived: f64) -> f64 {
    recorded as f64 - arrived
}
