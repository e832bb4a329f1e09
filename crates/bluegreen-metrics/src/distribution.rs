use std::sync::Arc;

use crate::amount::{Amount, Taken};
use crate::bucket::Place;
use crate::counter::CounterCell;
use crate::histogram::Histogram;
use crate::own_metrics::OVERFLOW_DISTRIBUTION;
use crate::series::Cell;
use crate::shard::Sharded;

mod copy;
mod owed;
mod reading;
mod recent;

use copy::Shard;
use owed::Owed;

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

/// The single reader of a distribution.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    looks: reading::Reading,
    owed: Owed,
}

/// The most times that one call may record a value: products with an offset then fit, and no window
/// can have so many calls that their sum wraps around.
const MOST_TIMES: u64 = u32::MAX as u64;

impl DistributionCell {
    pub(crate) fn record(&self, value: f64, times: u64) {
        // Nothing recorded must not move the extremes.
        if times == 0 {
            return;
        }
        let place = Place::of(value);
        if times > MOST_TIMES || place == Place::Refused {
            self.refused.count(times);
            return;
        }
        let (shard, writer) = self.shards.own();
        shard.record(place, value, times, writer);
    }

    /// What came since the last call.
    pub(crate) fn read(&self, reading: &mut Reading) -> Histogram {
        reading.owed.settle(reading.looks.take(&self.shards))
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
        let histogram = self.read(reading);
        if histogram.count() == 0 { Taken::Nothing } else { Taken::New(Amount::Values(histogram)) }
    }
}

#[cfg(test)]
mod tests;
