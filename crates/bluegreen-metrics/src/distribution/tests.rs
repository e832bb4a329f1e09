//! Threads race here with a reader that only looks, far more often than windows end.

use proptest::prelude::*;

use super::*;
use crate::bucket::{self, PER_OCTAVE, Place};
use crate::sync::Ordering;

fn cell() -> DistributionCell {
    DistributionCell::make(&Arc::default())
}

fn recorded(cell: &DistributionCell, reading: &mut Reading) -> Vec<(f64, u64)> {
    cell.read(reading).values()
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
    let next = cell.read(&mut reading);
    assert_eq!((next.min, next.max), (None, None));
    cell.record(1.0, 1);
    cell.record(900.0, 1);
    let next = cell.read(&mut reading);
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
    let seen = cell.read(&mut reading);
    assert_eq!((seen.min, seen.max), (Some(5.02), Some(700.8)));
    // It stays in progress while other windows go by.
    cell.record(8.01, 1);
    let seen = cell.read(&mut reading);
    assert_eq!((seen.min, seen.max), (Some(8.01), Some(8.01)));
    cell.record(1.0, 1);
    cell.record(900.0, 1);
    let seen = cell.read(&mut reading);
    assert_eq!((seen.min, seen.max), (Some(1.0), Some(900.0)));
    assert_eq!((reading.looks.early_min, reading.looks.early_max), (vec![], vec![]));
}

#[test]
fn what_found_the_extremes_wide_enough_as_they_were_taken_has_them_in_its_own_window() {
    // Another window of the same thread may be between the two.
    for others in [&[][..], &[90.1]] {
        let (cell, mut reading) = (cell(), Reading::default());
        cell.record(5.03, 1);
        cell.record(700.7, 1);
        let seen = cell.read(&mut reading);
        assert_eq!((seen.min, seen.max), (Some(5.03), Some(700.7)));
        for value in others {
            cell.record(*value, 1);
            let seen = cell.read(&mut reading);
            assert_eq!((seen.min, seen.max), (Some(*value), Some(*value)));
        }
        // The counts of two records that had looked at the extremes before.
        let (shard, writer) = cell.shards.own();
        for value in [5.03, 700.7] {
            let Place::Bucket { octave, sub, offset } = Place::of(value) else { panic!("{value}") };
            let bucket = &shard.octaves[octave].get().unwrap().buckets[sub];
            writer.add(&bucket.offsets, offset, Ordering::Relaxed);
            writer.add(&bucket.count, 1, Ordering::Release);
        }
        cell.record(40.4, 1);
        let values = recorded(&cell, &mut reading);
        assert_eq!((values[0], values[2]), ((5.03, 1), (700.7, 1)));
    }
}

/// Its smallest value is believed of the window before its own, of which it displaces another's part.
#[test]
fn a_record_in_progress_moves_sums_by_less_than_the_width_of_its_bucket_and_no_count() {
    let (cell, mut reading) = (cell(), Reading::default());
    cell.record(128.5, 1);
    cell.record(128.9, 1);
    let (shard, writer) = cell.shards.own();
    shard.stretch(128.1f64.to_bits(), writer);
    let mut values = recorded(&cell, &mut reading);
    assert_eq!(values, [(128.1, 1), (128.9, 1)]);
    cell.record(128.1, 1);
    values.extend(recorded(&cell, &mut reading));
    assert_eq!(values.iter().map(|(_, count)| count).sum::<u64>(), 3);
    let sum: f64 = values.iter().map(|(value, count)| value * *count as f64).sum();
    assert!((sum - 385.5).abs() < 128.0 / 128.0, "{sum}");
    let least = values.iter().map(|(value, _)| *value).reduce(f64::min);
    assert_eq!(least, Some(128.1));
}

#[test]
fn an_offset_seen_before_its_count_waits_for_it() {
    let (cell, mut reading) = (cell(), Reading::default());
    cell.record(128.0, 1);
    let octave = bucket::index_of(128.0).unwrap() / PER_OCTAVE;
    let (shard, writer) = cell.shards.own();
    let bucket = &shard.octaves[octave].get().unwrap().buckets[0];
    // Another thread has added the offset of 128.5, not yet its count.
    shard.stretch(128.5f64.to_bits(), writer);
    bucket.offsets.fetch_add(1 << 27, Ordering::Relaxed);
    let early = cell.read(&mut reading);
    bucket.count.fetch_add(1, Ordering::Release);
    let late = cell.read(&mut reading);
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
            let histogram = cell.read(&mut reading);
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
            windows.push(cell.read(&mut reading));
        }
    });
    windows.push(cell.read(&mut reading));
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
        let histogram = cell.read(&mut reading);
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
