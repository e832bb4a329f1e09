//! What was recorded since the last look.

use std::sync::atomic::Ordering;

use super::{Bucket, DistributionCell, NO_MAX, NO_MIN};
use crate::bucket::{self, OCTAVES, PER_OCTAVE};
use crate::histogram::{Filled, Histogram};

/// The single reader of a distribution: remembers what it has already taken.
#[derive(Debug)]
pub(crate) struct Reading {
    zeros: u64,
    octaves: Vec<Option<Box<Taken>>>,
    /// Extremes seen before the count of their record.
    early_min: u64,
    early_max: u64,
}

/// Count and offsets already taken, by bucket.
type Taken = [(u64, u64); PER_OCTAVE];

impl Default for Reading {
    fn default() -> Self {
        let octaves = vec![None; OCTAVES];
        Self { zeros: 0, octaves, early_min: NO_MIN, early_max: NO_MAX }
    }
}

impl Reading {
    /// What came since the last call.
    ///
    /// A record in progress meanwhile is either in it or in the next one. Its count, once seen,
    /// brings its offset and extremes with it; an offset or extreme that is seen before its count
    /// is left for the next look.
    pub(crate) fn take(&mut self, cell: &DistributionCell) -> Histogram {
        let mut histogram = Histogram { zeros: self.take_zeros(cell), ..Histogram::default() };
        for (number, taken) in self.octaves.iter_mut().enumerate() {
            take_octave(cell, number, taken, &mut histogram.filled);
        }
        self.take_extremes(cell, &mut histogram);
        histogram
    }

    fn take_zeros(&mut self, cell: &DistributionCell) -> u64 {
        let total = cell
            .shards
            .iter()
            .fold(0, |sum: u64, shard| sum.wrapping_add(shard.zeros.load(Ordering::Acquire)));
        total.wrapping_sub(std::mem::replace(&mut self.zeros, total))
    }

    /// Takes the extremes; keeps those whose record is not counted yet for the next look.
    fn take_extremes(&mut self, cell: &DistributionCell, histogram: &mut Histogram) {
        let mut min = std::mem::replace(&mut self.early_min, NO_MIN);
        let mut max = std::mem::replace(&mut self.early_max, NO_MAX);
        for shard in cell.shards.iter() {
            min = min.min(shard.min.swap(NO_MIN, Ordering::Relaxed));
            max = max.max(shard.max.swap(NO_MAX, Ordering::Relaxed));
        }
        let place = |bits: u64| bucket::index_of(f64::from_bits(bits));
        let edge = |filled: Option<&Filled>| filled.map(|bucket| bucket.index);
        let lowest = if histogram.zeros > 0 { None } else { edge(histogram.filled.first()) };
        let highest = edge(histogram.filled.last());
        let empty = histogram.count() == 0;
        // Zero has no bucket and sorts below all, as `None` does.
        if min != NO_MIN {
            if empty || place(min) < lowest {
                self.early_min = min;
            } else {
                histogram.min = Some(f64::from_bits(min));
            }
        }
        if max != NO_MAX {
            if empty || place(max) > highest {
                self.early_max = max;
            } else {
                histogram.max = Some(f64::from_bits(max));
            }
        }
    }
}

fn take_octave(
    cell: &DistributionCell,
    number: usize,
    taken: &mut Option<Box<Taken>>,
    filled: &mut Vec<Filled>,
) {
    let octaves = || cell.shards.iter().filter_map(|shard| shard.octaves.get(number)?.get());
    if octaves().next().is_none() {
        return;
    }
    let taken = taken.get_or_insert_with(|| Box::new([(0, 0); PER_OCTAVE]));
    for (sub, taken) in taken.iter_mut().enumerate() {
        let buckets = octaves().filter_map(|octave| octave.get(sub));
        if let Some((count, offsets)) = take_bucket(buckets, taken) {
            filled.push(Filled { index: bucket::index(number, sub), count, offsets });
        }
    }
}

fn take_bucket<'a>(
    buckets: impl Iterator<Item = &'a Bucket>,
    taken: &mut (u64, u64),
) -> Option<(u64, u64)> {
    let (mut count, mut offsets) = (0u64, 0u64);
    for bucket in buckets {
        count = count.wrapping_add(bucket.count.load(Ordering::Acquire));
        offsets = offsets.wrapping_add(bucket.offsets.load(Ordering::Relaxed));
    }
    let new = count.wrapping_sub(taken.0);
    if new == 0 {
        return None;
    }
    let new_offsets = offsets.wrapping_sub(taken.1).min(bucket::most_offsets(new));
    *taken = (count, taken.1.wrapping_add(new_offsets));
    Some((new, new_offsets))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::series::Cell as _;

    fn cell() -> DistributionCell {
        DistributionCell::make(&Arc::default())
    }

    fn recorded(cell: &DistributionCell, reading: &mut Reading) -> Vec<(f64, u64)> {
        reading.take(cell).values()
    }

    /// The value at or below which `percent` of the counted values lie.
    fn percentile(values: &[(f64, u64)], percent: u64) -> f64 {
        let count: u64 = values.iter().map(|(_, count)| count).sum();
        let rank = (count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let reached = values.iter().find(|(_, count)| {
            seen += count;
            seen >= rank
        });
        reached.unwrap().0
    }

    #[test]
    fn each_look_sees_what_came_since_the_last() {
        let (cell, mut reading) = (cell(), Reading::default());
        assert_eq!(recorded(&cell, &mut reading), []);
        cell.record(5.0, 1);
        cell.record(0.0, 2);
        assert_eq!(recorded(&cell, &mut reading), [(0.0, 2), (5.0, 1)]);
        assert_eq!(recorded(&cell, &mut reading), []);
        cell.record(5.0, 3);
        cell.record(700.0, 1);
        assert_eq!(recorded(&cell, &mut reading), [(5.0, 3), (700.0, 1)]);
    }

    #[test]
    fn what_is_not_a_size_is_refused_and_counted() {
        let (cell, mut reading) = (cell(), Reading::default());
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1, 1e13] {
            cell.record(value, 1);
        }
        assert_eq!(recorded(&cell, &mut reading), []);
        assert_eq!(cell.refused.total(), 5);
    }

    #[test]
    fn an_extreme_seen_before_its_count_waits_for_it() {
        let (cell, mut reading) = (cell(), Reading::default());
        cell.record(100.0, 1);
        // Another thread is in the middle of recording 1.0 and 900.0.
        let (shard, writer) = cell.shards.own();
        shard.stretch(1.0f64.to_bits(), writer);
        shard.stretch(900.0f64.to_bits(), writer);
        assert_eq!(recorded(&cell, &mut reading), [(100.0, 1)]);
        let next = reading.take(&cell);
        assert_eq!((next.min, next.max), (None, None));
        cell.record(1.0, 1);
        cell.record(900.0, 1);
        let next = reading.take(&cell);
        assert_eq!((next.min, next.max), (Some(1.0), Some(900.0)));
    }

    #[test]
    fn an_offset_seen_before_its_count_waits_for_it() {
        let (cell, mut reading) = (cell(), Reading::default());
        cell.record(128.0, 1);
        let octave = bucket::index_of(128.0).unwrap() / PER_OCTAVE;
        let bucket = &cell.shards.own().0.octaves[octave].get().unwrap()[0];
        // Another thread has added the offset of 128.5, not yet its count.
        bucket.offsets.fetch_add(1 << 31, Ordering::Relaxed);
        let early = reading.take(&cell);
        bucket.count.fetch_add(1, Ordering::Release);
        let late = reading.take(&cell);
        let sum: f64 = [early, late]
            .iter()
            .flat_map(|histogram| &histogram.filled)
            .map(|filled| bucket::sum(filled.index, filled.count, filled.offsets))
            .sum();
        assert_eq!(sum, 256.5);
    }

    #[test]
    fn records_of_many_threads_under_a_reader_are_all_seen_once() {
        const THREADS: u64 = 4;
        const EACH: u64 = 250_000;
        let (cell, mut reading) = (cell(), Reading::default());
        let (mut count, mut sum, mut max) = (0, 0.0, 0.0f64);
        std::thread::scope(|scope| {
            let recording: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let cell = &cell;
                    scope.spawn(move || {
                        (0..EACH).for_each(|n| cell.record((n * THREADS + thread) as f64, 1));
                    })
                })
                .collect();
            loop {
                let done = recording.iter().all(|thread| thread.is_finished());
                let histogram = reading.take(&cell);
                count += histogram.count();
                max = max.max(histogram.max.unwrap_or_default());
                sum += histogram
                    .filled
                    .iter()
                    .map(|f| bucket::sum(f.index, f.count, f.offsets))
                    .sum::<f64>();
                if done {
                    break;
                }
            }
        });
        let records = THREADS * EACH;
        assert_eq!(count, records);
        assert_eq!(max, (records - 1) as f64);
        let expected = (records * (records - 1) / 2) as f64;
        assert!((sum - expected).abs() <= 1e-9 * expected, "{sum} instead of {expected}");
    }

    proptest! {
        #[test]
        fn what_is_read_keeps_count_sum_extremes_and_percentiles(
            windows in prop::collection::vec(
                prop::collection::vec(prop_oneof![Just(0.0), (-3.0..9.0f64).prop_map(|e| 10f64.powf(e))], 1..400),
                1..4,
            ),
        ) {
            let (cell, mut reading) = (cell(), Reading::default());
            for mut records in windows {
                records.iter().for_each(|value| cell.record(*value, 1));
                let values = recorded(&cell, &mut reading);
                records.sort_by(f64::total_cmp);
                let count: u64 = values.iter().map(|(_, count)| count).sum();
                prop_assert_eq!(count, records.len() as u64);
                let sum: f64 = values.iter().map(|(value, count)| value * *count as f64).sum();
                let expected: f64 = records.iter().sum();
                prop_assert!((sum - expected).abs() <= 1e-9 * expected);
                prop_assert_eq!(values.first().unwrap().0, records[0]);
                prop_assert_eq!(values.last().unwrap().0, records[records.len() - 1]);
                prop_assert!(values.is_sorted_by(|(a, _), (b, _)| a < b));
                let exact: Vec<_> = records.iter().map(|value| (*value, 1)).collect();
                for percent in [1, 25, 50, 90, 99, 100] {
                    let (got, expected) = (percentile(&values, percent), percentile(&exact, percent));
                    prop_assert!((got - expected).abs() <= 0.01 * expected, "p{}", percent);
                }
            }
        }
    }
}
