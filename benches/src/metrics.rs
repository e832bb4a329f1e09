//! Metrics: what a record costs beside one relaxed atomic addition, and what of a burst, a shutdown,
//! refused sends and lost replies arrives; by us and, with the feature `peers`, by
//! metrics_cloudwatch and metrique in the same run. What we promise is gated.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use allocation_counter::measure;
use anyhow::Result;
use bluegreen::metrics::{Metrics, MetricsConfig, PublishReport, Publisher, Resolution, Unit};
use bluegreen::{Clock, Color, Release, ServiceIdentity, ServiceKey, Share, Stop};
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
    bench.lost_replies()?;
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
        for ((case, who, record), cost) in all.iter().zip(costs(self.rounds, &all)) {
            self.print(case, who, "ns", cost.alone, "ns");
            self.print(case, who, "of_floor", cost.of_floor, "ratio");
            self.print(case, who, "ns_two_threads", cost.together, "ns");
            self.print(case, who, "two_of_one", cost.two_of_one, "ratio");
            let allocated = measure(|| (0..1_000).for_each(record)).count_total;
            #[expect(clippy::cast_precision_loss, reason = "thousands")]
            let allocations = allocated as f64 / 1_000.0;
            self.print(case, who, "allocations", allocations, "count");
            if *who != "bluegreen" {
                continue;
            }
            self.printer.gate("metrics: a record allocates nothing", allocated == 0);
            if *case == "record" {
                let (floor, threads) = (cost.of_floor <= 2.5, cost.two_of_one <= 1.5);
                self.printer.gate("metrics: a record is at most 2.5 relaxed additions", floor);
                self.printer.gate("metrics: of two threads, at most 1.5 times one's", threads);
            }
        }
        #[cfg(feature = "peers")]
        peers::print_queued_records(self)?;
        Ok(())
    }

    /// A tight loop, then everything is let out.
    fn burst(&self) -> Result<()> {
        // Begun right after a whole minute, so that all is in one: a thousand values are seven datums
        // at most, and one call is the least.
        let clock = Clock::starting_at(UNIX_EPOCH + Duration::from_secs(1_760_000_041));
        let world = World::builder().clock(clock).build();
        let (metrics, publisher) = ours(&world, MetricsConfig::default().with_clock(clock))?;
        let running = Running::start(&self.runtime, publisher);
        let values = metrics.distribution("d", Unit::Milliseconds)?;
        for n in 0..1_000_000u32 {
            values.record(value(n));
        }
        running.stop(&self.runtime)?;
        let lost = 1e6 - arrived(&world, "d");
        self.print("burst", "bluegreen", "lost", lost, "count");
        self.printer.gate("metrics: a burst arrives whole", lost == 0.0);
        let calls = world.calls(Service::CloudWatch, "PutMetricData");
        self.printer.gate("metrics: a million records of a minute take one call", calls == 1);
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
        let lost = lost(QUEUED, sum(&world, "n"));
        self.print("shutdown", "bluegreen", "lost", lost, "count");
        self.printer.gate("metrics: a shutdown loses nothing", lost == 0.0);
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
        let of_counts = lost(records, sum(&world, "n"));
        let of_values = lost(records, arrived(&world, "d"));
        self.print("refused", "bluegreen", "lost", of_counts, "count");
        self.print("refused", "bluegreen", "lost_values", of_values, "count");
        let to_the_bit = of_counts == 0.0 && of_values == 0.0 && refused > 0;
        self.printer.gate("metrics: with refused sends counts are equal to the bit", to_the_bit);
        #[expect(clippy::cast_precision_loss, reason = "few calls")]
        self.print("refused", "bluegreen", "refused_sends", refused as f64, "count");
        #[cfg(feature = "peers")]
        peers::print_refused(self)?;
        Ok(())
    }

    /// Datums of a thousand each, of which three of ten calls are executed and not answered.
    fn lost_replies(&self) -> Result<()> {
        const BURSTS: u64 = 12;
        const EACH: u64 = 1_000;
        let world = World::new();
        let puts = Calls::to(Service::CloudWatch).operation("PutMetricData");
        let unanswered = Rule::new(puts, Fault::LostReply).some(Share::percent(30)?, 5);
        world.faults().inject(unanswered).keep();
        let (metrics, publisher) = ours(&world, by_the_second())?;
        let running = Running::start(&self.runtime, publisher);
        let counter = metrics.counter("n", Unit::Count)?;
        for _ in 0..BURSTS {
            (0..EACH).for_each(|_| counter.increment());
            self.pause(1_000);
        }
        let stats = running.stop(&self.runtime)?.stats;
        let surplus = -lost(BURSTS * EACH, sum(&world, "n"));
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let (resent, each) = (stats.resent as f64, EACH as f64);
        self.print("lost-replies", "bluegreen", "surplus", surplus, "count");
        self.print("lost-replies", "bluegreen", "datums_resent", resent, "count");
        let published = sum(&world, "MetricsResent");
        self.print("lost-replies", "bluegreen", "datums_resent_published", published, "count");
        let bounded = (0.0..=resent * each).contains(&surplus) && resent > 0.0;
        self.printer.gate("metrics: the surplus is at most what was sent again", bounded);
        let told = published * each >= surplus;
        self.printer.gate("metrics: what was sent again is published", told);
        Ok(())
    }

    /// What a series takes after one thread, or each of four, has recorded values of three decades.
    fn memory(&self) -> Result<()> {
        // As the README states them.
        const OF_COUNTER: f64 = 1_250.0;
        const OF_COUNTERS_THREAD: f64 = 200.0;
        const OF_DISTRIBUTION: f64 = 24_000.0;
        const OF_DISTRIBUTIONS_THREAD: f64 = 22_500.0;
        let metrics = ours(&World::new(), MetricsConfig::default())?.0;
        let count = |name: &str| {
            if let Ok(counter) = metrics.counter(&format!("counter {name}"), Unit::Count) {
                counter.increment();
            }
        };
        let record = |name: &str| {
            if let Ok(values) = metrics.distribution(&format!("values {name}"), Unit::Count) {
                (0..1_000).for_each(|n| values.record(f64::from(n)));
            }
        };
        for (threads, metric_of_counter, metric_of_distribution) in [
            (1, "counter_bytes", "distribution_bytes"),
            (4, "counter_bytes_4_threads", "distribution_bytes_4_threads"),
        ] {
            let counter = per_series(threads, &count);
            let distribution = per_series(threads, &record);
            self.print("memory", "bluegreen", metric_of_counter, counter, "bytes");
            self.print("memory", "bluegreen", metric_of_distribution, distribution, "bytes");
            let more = f64::from(threads - 1);
            let holds = counter <= OF_COUNTER + more * OF_COUNTERS_THREAD
                && distribution <= OF_DISTRIBUTION + more * OF_DISTRIBUTIONS_THREAD;
            self.printer.gate("metrics: a series takes what the README states", holds);
        }
        #[cfg(feature = "peers")]
        peers::print_memory(self);
        Ok(())
    }
}

/// Values of about three decades.
fn value(n: u32) -> f64 {
    f64::from(n % 1_000) + 0.5
}

/// Bytes that a series takes once each of so many threads has recorded in it.
fn per_series(threads: u32, record: &(dyn Fn(&str) + Sync)) -> f64 {
    const SERIES: u32 = 100;
    let names: Vec<_> = (0..SERIES).map(|n| format!("{n} of {threads}")).collect();
    let taken = || {
        #[expect(clippy::cast_precision_loss, reason = "kilobytes")]
        let taken = measure(|| names.iter().for_each(|name| record(name))).bytes_current as f64;
        taken
    };
    // One after the other, each with memory of its own while the others live.
    let (together, taken) = (Barrier::new(threads as usize), &taken);
    let taken: Vec<f64> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let taken = taken();
                    together.wait();
                    taken
                })
            })
            .collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    taken.iter().sum::<f64>() / f64::from(SERIES)
}

type Record<'a> = (&'static str, &'static str, Box<dyn Fn(u32) + Sync + 'a>);

/// What a record takes: medians over the rounds, in nanoseconds of CPU time and as ratios within
/// each round.
#[derive(Clone, Copy, Debug)]
struct Cost {
    alone: f64,
    together: f64,
    of_floor: f64,
    two_of_one: f64,
}

/// The cost of one record of each, of which the first is the floor. All are measured within each
/// round, by one thread and by two, so that a machine that drifts drifts for all of them.
fn costs(rounds: usize, all: &[Record<'_>]) -> Vec<Cost> {
    let mut spent: Vec<Vec<(f64, f64, f64)>> = vec![Vec::new(); all.len()];
    for _ in 0..rounds {
        let mut floor = f64::NAN;
        for ((.., record), spent) in all.iter().zip(&mut spent) {
            let alone = cost(record, 1);
            let together = cost(record, 2);
            if floor.is_nan() {
                floor = alone;
            }
            spent.push((alone, together, alone / floor));
        }
    }
    let of = |spent: Vec<(f64, f64, f64)>| {
        let median = |of: fn(&(f64, f64, f64)) -> f64| cpu::median(spent.iter().map(of).collect());
        Cost {
            alone: median(|one| one.0),
            together: median(|one| one.1),
            of_floor: median(|one| one.2),
            two_of_one: median(|one| one.1 / one.0),
        }
    };
    spent.into_iter().map(of).collect()
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
