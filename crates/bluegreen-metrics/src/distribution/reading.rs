//! What was recorded since the last look. The tests here race threads with a reader that only looks,
//! far more often than windows end.

use std::sync::atomic::Ordering;

use super::{DistributionCell, NO_MAX, NO_MIN, Octave, Shard};
use crate::bucket::{self, OCTAVES, PER_OCTAVE};
use crate::histogram::{Filled, Histogram};

/// The single reader of a distribution: remembers what it has already taken.
#[derive(Debug)]
pub(crate) struct Reading {
    zeros: u64,
    octaves: Vec<Option<Box<Taken>>>,
    /// Extremes seen before the count of their record.
    early_min: Vec<u64>,
    early_max: Vec<u64>,
}

/// What is already taken of each bucket.
type Taken = [TakenBucket; PER_OCTAVE];

/// Count, offsets, and what is too large for these; all wrap around.
#[derive(Clone, Copy, Debug, Default)]
struct TakenBucket {
    count: u64,
    offsets: u64,
    high: u64,
}

impl Default for Reading {
    fn default() -> Self {
        let octaves = vec![None; OCTAVES];
        Self { zeros: 0, octaves, early_min: Vec::new(), early_max: Vec::new() }
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

    /// Takes the extremes. One whose record is not counted yet waits for the next look, and what it
    /// displaced in its thread's copy counts in its place: that thread had finished with it.
    fn take_extremes(&mut self, cell: &DistributionCell, histogram: &mut Histogram) {
        if histogram.count() == 0 {
            for shard in cell.shards.iter() {
                self.early_min.extend(taken(shard.min.swap(NO_MIN, Ordering::Acquire), NO_MIN));
                self.early_max.extend(taken(shard.max.swap(NO_MAX, Ordering::Acquire), NO_MAX));
            }
            return;
        }
        // Zero has no bucket and sorts below all, as `None` does.
        let place = |bits: u64| bucket::index_of(f64::from_bits(bits));
        let edge = |filled: Option<&Filled>| filled.map(|bucket| bucket.index);
        let lowest = if histogram.zeros > 0 { None } else { edge(histogram.filled.first()) };
        let highest = edge(histogram.filled.last());
        let (low, high) =
            (|bits: &u64| place(*bits) >= lowest, |bits: &u64| place(*bits) <= highest);
        let mut mins: Vec<_> = self.early_min.extract_if(.., |bits| low(bits)).collect();
        let mut maxes: Vec<_> = self.early_max.extract_if(.., |bits| high(bits)).collect();
        for shard in cell.shards.iter() {
            if let Some(min) = taken(shard.min.swap(NO_MIN, Ordering::Acquire), NO_MIN) {
                let displaced = taken(shard.displaced_min.load(Ordering::Relaxed), NO_MIN);
                let counted = low(&min);
                mins.extend(if counted { Some(min) } else { displaced.filter(low) });
                self.early_min.extend((!counted).then_some(min));
            }
            if let Some(max) = taken(shard.max.swap(NO_MAX, Ordering::Acquire), NO_MAX) {
                let displaced = taken(shard.displaced_max.load(Ordering::Relaxed), NO_MAX);
                let counted = high(&max);
                maxes.extend(if counted { Some(max) } else { displaced.filter(high) });
                self.early_max.extend((!counted).then_some(max));
            }
        }
        histogram.min = mins.into_iter().min().map(f64::from_bits);
        histogram.max = maxes.into_iter().max().map(f64::from_bits);
    }
}

fn taken(bits: u64, none: u64) -> Option<u64> {
    (bits != none).then_some(bits)
}

fn take_octave<'a>(
    cell: &'a DistributionCell,
    number: usize,
    taken: &mut Option<Box<Taken>>,
    filled: &mut Vec<Filled>,
) {
    let octave_of = |shard: &'a Shard| shard.octaves.get(number)?.get().map(Box::as_ref);
    let octaves = || cell.shards.iter().filter_map(octave_of);
    if octaves().next().is_none() {
        return;
    }
    let taken = taken.get_or_insert_with(|| Box::new([TakenBucket::default(); PER_OCTAVE]));
    for (sub, taken) in taken.iter_mut().enumerate() {
        if let Some((count, offsets)) = take_bucket(octaves(), sub, taken) {
            filled.push(Filled { index: bucket::index(number, sub), count, offsets });
        }
    }
}

fn take_bucket<'a>(
    octaves: impl Iterator<Item = &'a Octave>,
    sub: usize,
    taken: &mut TakenBucket,
) -> Option<(u64, u128)> {
    let mut seen = TakenBucket::default();
    for octave in octaves {
        if let Some(bucket) = octave.buckets.get(sub) {
            seen.count = seen.count.wrapping_add(bucket.count.load(Ordering::Acquire));
            seen.offsets = seen.offsets.wrapping_add(bucket.offsets.load(Ordering::Relaxed));
        }
        if let Some(high) = octave.high.get().and_then(|high| high.get(sub)) {
            seen.high = seen.high.wrapping_add(high.load(Ordering::Relaxed));
        }
    }
    let new = seen.count.wrapping_sub(taken.count);
    if new == 0 {
        return None;
    }
    let (low, high) =
        (seen.offsets.wrapping_sub(taken.offsets), seen.high.wrapping_sub(taken.high));
    let offsets = (u128::from(high) << 32) + u128::from(low);
    let most = bucket::most_offsets(new);
    *taken = seen;
    if let Some(early) = offsets.checked_sub(most).filter(|early| *early > 0) {
        // Of a record in progress: left for the next look.
        let high = u64::try_from(early >> 32).unwrap_or(u64::MAX).min(high);
        taken.high = taken.high.wrapping_sub(high);
        let rest = u64::try_from(early - (u128::from(high) << 32)).unwrap_or(u64::MAX);
        taken.offsets = taken.offsets.wrapping_sub(rest);
    }
    Some((new, offsets.min(most)))
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
    fn an_extreme_in_progress_leaves_those_of_others_and_its_own_threads_former_as_they_are() {
        let (cell, mut reading) = (cell(), Reading::default());
        // One thread has finished with 5.03 and 700.7, and is in the middle of 1.0 and 900.0.
        for value in [5.03, 60.0, 700.7] {
            cell.record(value, 1);
        }
        let (shard, writer) = cell.shards.own();
        shard.stretch(1.0f64.to_bits(), writer);
        shard.stretch(900.0f64.to_bits(), writer);
        // Another one has finished with these, of the same buckets.
        std::thread::scope(|scope| {
            scope.spawn(|| [5.02, 700.8].iter().for_each(|value| cell.record(*value, 1)));
        });
        let seen = reading.take(&cell);
        assert_eq!((seen.min, seen.max), (Some(5.02), Some(700.8)));
        // It stays in progress while other windows go by.
        cell.record(8.01, 1);
        let seen = reading.take(&cell);
        assert_eq!((seen.min, seen.max), (Some(8.01), Some(8.01)));
        cell.record(1.0, 1);
        cell.record(900.0, 1);
        let seen = reading.take(&cell);
        assert_eq!((seen.min, seen.max), (Some(1.0), Some(900.0)));
        assert_eq!((reading.early_min, reading.early_max), (vec![], vec![]));
    }

    #[test]
    fn an_offset_seen_before_its_count_waits_for_it() {
        let (cell, mut reading) = (cell(), Reading::default());
        cell.record(128.0, 1);
        let octave = bucket::index_of(128.0).unwrap() / PER_OCTAVE;
        let bucket = &cell.shards.own().0.octaves[octave].get().unwrap().buckets[0];
        // Another thread has added the offset of 128.5, not yet its count.
        bucket.offsets.fetch_add(1 << 27, Ordering::Relaxed);
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

    /// What threads read together, window after window, while others record.
    fn read_while_recorded(threads: &[Vec<f64>]) -> Vec<Histogram> {
        let (cell, mut reading) = (cell(), Reading::default());
        let begin = std::sync::Barrier::new(threads.len() + 1);
        let mut windows = Vec::new();
        std::thread::scope(|scope| {
            let recording: Vec<_> = threads
                .iter()
                .map(|records| {
                    let (cell, begin) = (&cell, &begin);
                    scope.spawn(move || {
                        begin.wait();
                        records.iter().for_each(|value| cell.record(*value, 1));
                    })
                })
                .collect();
            begin.wait();
            while !recording.iter().all(|thread| thread.is_finished()) {
                windows.push(reading.take(&cell));
            }
        });
        windows.push(reading.take(&cell));
        windows
    }

    fn times() -> impl Strategy<Value = u64> {
        prop_oneof![0..3u64, any::<u32>().prop_map(u64::from), any::<u64>(), Just(u64::MAX)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_records_in_any_interleaving_with_looks_are_read_once_and_as_they_were(
            threads in prop::collection::vec(
                prop::collection::vec(
                    prop_oneof![1 => Just(0.0), 9 => (-1.0..3.0f64).prop_map(|e| 10f64.powf(e))],
                    1..3_000,
                ),
                1..5,
            ),
        ) {
            let windows = read_while_recorded(&threads);
            let mut records: Vec<_> = threads.concat();
            records.sort_by(f64::total_cmp);
            let exact: Vec<_> = records.iter().map(|value| (*value, 1)).collect();
            let count: u64 = windows.iter().map(Histogram::count).sum();
            prop_assert_eq!(count, records.len() as u64);
            let mins = windows.iter().filter_map(|window| window.min);
            prop_assert_eq!(mins.reduce(f64::min), records.first().copied());
            let maxes = windows.iter().filter_map(|window| window.max);
            prop_assert_eq!(maxes.reduce(f64::max), records.last().copied());
            let mut values: Vec<_> = windows.iter().flat_map(Histogram::values).collect();
            values.sort_by(|(one, _), (other, _)| one.total_cmp(other));
            let whole = windows.into_iter().fold(Histogram::default(), Histogram::join);
            let buckets = whole.filled.iter();
            let sum: f64 = buckets.map(|b| bucket::sum(b.index, b.count, b.offsets)).sum();
            let expected: f64 = records.iter().sum();
            prop_assert!((sum - expected).abs() <= 1e-9 * expected, "{} {}", sum, expected);
            for percent in [1, 25, 50, 90, 99, 100] {
                let (got, expected) = (percentile(&values, percent), percentile(&exact, percent));
                prop_assert!((got - expected).abs() <= 0.01 * expected, "p{}", percent);
            }
        }

        #[test]
        fn values_recorded_any_number_of_times_are_exact_or_refused_and_counted(
            records in prop::collection::vec(((0.0..3.0f64).prop_map(|e| 10f64.powf(e)), times()), 1..40),
        ) {
            let (cell, mut reading) = (cell(), Reading::default());
            let (mut count, mut sum, mut refused) = (0u64, 0.0, 0u64);
            for (value, times) in &records {
                // Of one bucket, so that the sums grow as large as they can.
                let value = 1.0 + value / 1e6;
                cell.record(value, *times);
                if *times <= u64::from(u32::MAX) {
                    count += times;
                    sum += value * *times as f64;
                } else {
                    refused += (*times).min(1 << 53);
                }
            }
            let histogram = reading.take(&cell);
            prop_assert_eq!(histogram.count(), count);
            prop_assert_eq!(cell.refused.total(), refused);
            let buckets = histogram.filled.iter();
            let got: f64 = buckets.map(|b| bucket::sum(b.index, b.count, b.offsets)).sum();
            prop_assert!((got - sum).abs() <= 1e-9 * sum, "{} {}", got, sum);
        }
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
