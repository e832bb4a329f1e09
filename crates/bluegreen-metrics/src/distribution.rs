use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::amount::{Amount, Taken};
use crate::bucket::{OCTAVES, PER_OCTAVE, Place};
use crate::counter::CounterCell;
use crate::own_metrics::OVERFLOW_DISTRIBUTION;
use crate::series::Cell;
use crate::shard::{Sharded, Writer};

mod reading;

pub(crate) use reading::Reading;

/// Values of which percentiles matter: latencies, sizes.
///
/// Recording is a few loads and stores of a copy that belongs to the thread: no lock, no queue, no
/// other thread to wait for. Nothing is allocated either, but for 1.3 KiB when a thread first
/// records into the series and 2 KiB when its first value of a doubling (1 to 2, 2 to 4, …)
/// arrives. Clones record into the same series.
///
/// Percentiles are right within 1 % for values from 2⁻³⁰ (about 10⁻⁹) up to 2⁴⁰ (about 10¹²).
/// Smaller ones count as zero; larger ones, negative ones and those that are not numbers are
/// refused and counted in [`Stats::refused`](crate::Stats::refused).
#[derive(Clone, Debug)]
#[must_use = "a distribution is empty until something is recorded"]
pub struct Distribution {
    cell: Arc<DistributionCell>,
}

impl Distribution {
    pub(crate) fn new(cell: Arc<DistributionCell>) -> Self {
        Self { cell }
    }

    /// Records one value, in the unit of the metric.
    pub fn record(&self, value: f64) {
        self.cell.record(value, 1);
    }

    /// Records the same value many times over, at the cost of one; the first of a thread in a doubling
    /// allocates 1 KiB more. More than 2³² − 1 times at once are refused, and each of them counted.
    pub fn record_many(&self, value: f64, times: u64) {
        self.cell.record(value, times);
    }
}

/// What is recorded: counts that only grow. A collector takes the differences.
#[derive(Debug)]
pub(crate) struct DistributionCell {
    shards: Sharded<Shard>,
    refused: Arc<CounterCell>,
}

#[derive(Debug)]
struct Shard {
    zeros: AtomicU64,
    /// The bits of the extremes since the last collection: of positive floats the order of the bits
    /// is that of the values.
    min: AtomicU64,
    max: AtomicU64,
    /// The extremes before these, whose records had ended when these began.
    displaced_min: AtomicU64,
    displaced_max: AtomicU64,
    octaves: [OnceLock<Box<Octave>>; OCTAVES],
}

/// The most times that one call may record a value: products with an offset then fit, and no window
/// can have so many calls that their sum wraps around.
const MOST_TIMES: u64 = u32::MAX as u64;

#[derive(Debug)]
struct Octave {
    buckets: [Bucket; PER_OCTAVE],
    /// What is too large for the offsets of values recorded many times over: units of 2³².
    high: OnceLock<Box<[AtomicU64; PER_OCTAVE]>>,
}

#[derive(Debug, Default)]
struct Bucket {
    count: AtomicU64,
    offsets: AtomicU64,
}

/// No smallest value yet.
const NO_MIN: u64 = u64::MAX;
/// No largest value yet. Zero itself needs no telling apart: it is never above another.
const NO_MAX: u64 = 0;

impl Default for Shard {
    fn default() -> Self {
        Self {
            zeros: AtomicU64::new(0),
            min: AtomicU64::new(NO_MIN),
            max: AtomicU64::new(NO_MAX),
            displaced_min: AtomicU64::new(NO_MIN),
            displaced_max: AtomicU64::new(NO_MAX),
            octaves: [const { OnceLock::new() }; OCTAVES],
        }
    }
}

impl DistributionCell {
    pub(crate) fn record(&self, value: f64, times: u64) {
        // Nothing recorded must not move the extremes.
        if times == 0 {
            return;
        }
        if times > MOST_TIMES {
            self.refused.count(times);
            return;
        }
        match Place::of(value) {
            Place::Refused => self.refused.count(times),
            Place::Zero => {
                let (shard, writer) = self.shards.own();
                shard.stretch(0, writer);
                writer.add(&shard.zeros, times, Ordering::Release);
            }
            Place::Bucket { octave, sub, offset } => {
                let (shard, writer) = self.shards.own();
                shard.stretch(value.to_bits(), writer);
                let octave = shard.octaves.get(octave).map(|octave| octave.get_or_init(empty));
                if let Some((octave, bucket)) =
                    octave.and_then(|octave| Some((octave, octave.buckets.get(sub)?)))
                {
                    let offsets = if times == 1 {
                        offset
                    } else {
                        octave.add_high(sub, offset * times, writer)
                    };
                    // The count last: who sees it also sees the offset and the extremes.
                    writer.add(&bucket.offsets, offsets, Ordering::Relaxed);
                    writer.add(&bucket.count, times, Ordering::Release);
                }
            }
        }
    }
}

impl Octave {
    /// Adds what is above 32 bits; answers what is below.
    #[cold]
    fn add_high(&self, sub: usize, offsets: u64, writer: Writer) -> u64 {
        let high = self.high.get_or_init(|| Box::new([const { AtomicU64::new(0) }; PER_OCTAVE]));
        if let Some(high) = high.get(sub) {
            writer.add(high, offsets >> 32, Ordering::Relaxed);
        }
        offsets & u64::from(u32::MAX)
    }
}

impl Cell for DistributionCell {
    const KIND: &'static str = "a distribution";
    const OVERFLOW: &'static str = OVERFLOW_DISTRIBUTION;
    type Reading = Reading;

    fn make(refused: &Arc<CounterCell>) -> Self {
        Self { shards: Sharded::default(), refused: Arc::clone(refused) }
    }

    fn take(&self, reading: &mut Reading) -> Taken {
        let histogram = reading.take(self);
        if histogram.count() == 0 { Taken::Nothing } else { Taken::New(Amount::Values(histogram)) }
    }
}

impl Shard {
    /// Widens the extremes; a mere look once they are wide enough.
    fn stretch(&self, bits: u64, writer: Writer) {
        writer.lower(&self.min, &self.displaced_min, bits);
        writer.raise(&self.max, &self.displaced_max, bits);
    }
}

fn empty() -> Box<Octave> {
    let buckets =
        [const { Bucket { count: AtomicU64::new(0), offsets: AtomicU64::new(0) } }; PER_OCTAVE];
    Box::new(Octave { buckets, high: OnceLock::new() })
}
