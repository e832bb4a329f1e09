//! Runs recording threads and the collector through the interleavings that loom can think of, with at
//! most two preemptions each. The files are the crate's own; of the buckets there are two, as each is
//! written and read like any other.
//!
//! Loom does not see the thread-local that keeps a thread's number, the weak handles of the facade's
//! recorder, and the table of routes.
#![allow(dead_code, reason = "the crate uses what the test does not")]

#[path = "../src/distribution/copy.rs"]
mod copy;
#[path = "../src/histogram.rs"]
mod histogram;
#[path = "../src/slot/numbers.rs"]
mod numbers;
#[path = "../src/distribution/reading.rs"]
mod reading;
#[path = "../src/distribution/recent.rs"]
mod recent;
#[path = "../src/shard.rs"]
mod shard;
#[path = "../src/registry/sole.rs"]
mod sole;

#[cfg(test)]
mod sync {
    use loom::sync::atomic;

    pub(crate) use loom::sync::atomic::Ordering;
    pub(crate) use loom::sync::{Arc, Mutex};

    /// Two things that loom leaves out are put back in. Of a load and a store of one thread it forgets
    /// that the load races with another thread's: a load therefore says beforehand that it comes. And
    /// after a plain store and a swap that race it has either as the last one, whatever the swap has
    /// read, though a swap replaces what it has read: a store is therefore a swap of which nobody looks
    /// at the former value. Neither orders anything that the order that is asked for does not.
    #[derive(Debug, Default)]
    pub(crate) struct AtomicU64 {
        number: atomic::AtomicU64,
        loads: atomic::AtomicU64,
    }

    impl AtomicU64 {
        pub(crate) fn new(number: u64) -> Self {
            Self { number: atomic::AtomicU64::new(number), loads: atomic::AtomicU64::new(0) }
        }

        pub(crate) fn load(&self, order: Ordering) -> u64 {
            self.loads.fetch_add(1, Ordering::Relaxed);
            self.number.load(order)
        }

        pub(crate) fn store(&self, number: u64, order: Ordering) {
            self.number.swap(number, order);
        }

        pub(crate) fn swap(&self, number: u64, order: Ordering) -> u64 {
            self.number.swap(number, order)
        }

        pub(crate) fn fetch_add(&self, number: u64, order: Ordering) -> u64 {
            self.number.fetch_add(number, order)
        }

        pub(crate) fn fetch_min(&self, number: u64, order: Ordering) -> u64 {
            self.number.fetch_min(number, order)
        }

        pub(crate) fn fetch_max(&self, number: u64, order: Ordering) -> u64 {
            self.number.fetch_max(number, order)
        }
    }

    /// As the standard library's, in sight of loom.
    #[derive(Debug)]
    pub(crate) struct OnceLock<T> {
        is_set: AtomicU64,
        setting: Mutex<()>,
        value: std::sync::OnceLock<T>,
    }

    impl<T> OnceLock<T> {
        pub(crate) fn new() -> Self {
            let (is_set, setting) = (AtomicU64::new(0), Mutex::new(()));
            Self { is_set, setting, value: std::sync::OnceLock::new() }
        }

        pub(crate) fn get(&self) -> Option<&T> {
            if self.is_set.load(Ordering::Acquire) == 1 { self.value.get() } else { None }
        }

        pub(crate) fn get_or_init(&self, value: impl FnOnce() -> T) -> &T {
            if self.get().is_none() {
                let _setting = self.setting.lock().unwrap();
                self.value.get_or_init(value);
                self.is_set.store(1, Ordering::Release);
            }
            self.value.get().unwrap()
        }
    }
}

/// Two buckets, from 1 and from 2, each of a doubling of its own, with offsets as large as the real
/// ones.
mod bucket {
    pub(crate) const OCTAVES: usize = 2;
    pub(crate) const PER_OCTAVE: usize = 1;
    pub(crate) const MOST_OFFSET: u64 = (1 << 28) - 1;

    #[derive(Clone, Copy)]
    pub(crate) enum Place {
        Refused,
        Zero,
        Bucket { octave: usize, sub: usize, offset: u64 },
    }

    impl Place {
        /// The offset is the largest for all, so that each that is missing shows.
        pub(crate) fn of(value: f64) -> Self {
            match value {
                0.0 => Self::Zero,
                1.0..3.0 => {
                    Self::Bucket { octave: usize::from(value >= 2.0), sub: 0, offset: MOST_OFFSET }
                }
                _ => Self::Refused,
            }
        }
    }

    pub(crate) const fn index(octave: usize, sub: usize) -> usize {
        octave * PER_OCTAVE + sub
    }

    pub(crate) fn index_of(value: f64) -> Option<usize> {
        match Place::of(value) {
            Place::Bucket { octave, sub, .. } => Some(index(octave, sub)),
            Place::Refused | Place::Zero => None,
        }
    }

    pub(crate) fn sum(index: usize, count: u64, offsets: u128) -> f64 {
        count as f64 * (index + 1) as f64 + offsets as f64 / MOST_OFFSET as f64
    }

    pub(crate) fn most_offsets(count: u64) -> u128 {
        u128::from(count) * u128::from(MOST_OFFSET)
    }
}

/// As the crate's own, with one number, and a cell that [`living`] sets in the place of its guard.
mod slot {
    use std::cell::Cell;

    use crate::numbers::NONE;

    loom::thread_local! {
        pub(crate) static CURRENT: Cell<usize> = Cell::new(NONE);
    }

    pub(crate) const fn count() -> usize {
        1
    }

    pub(crate) fn current() -> usize {
        CURRENT.with(Cell::get)
    }
}

use std::collections::HashMap;
use std::sync::Arc;

use bucket::Place;
use copy::Shard;
use histogram::Histogram;
use loom::thread::{self, JoinHandle};
use numbers::Numbers;
use reading::Reading;
use shard::Sharded;
use sync::{AtomicU64, Ordering};

fn model(check: impl Fn() + Send + Sync + 'static) {
    model_of(2, check);
}

/// With as many preemptions as it takes a second or two to go through.
fn model_of(preemptions: usize, check: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(check);
}

/// The life of a thread that records: a number, its work, the number back.
fn living(numbers: &Arc<Numbers>, work: impl FnOnce() + 'static) -> JoinHandle<()> {
    let numbers = Arc::clone(numbers);
    thread::spawn(move || {
        let number = numbers.take();
        slot::CURRENT.with(|current| current.set(number));
        work();
        slot::CURRENT.with(|current| current.set(numbers::NONE));
        numbers.give_back(number);
    })
}

fn numbers() -> Arc<Numbers> {
    Arc::new(Numbers::below(slot::count()))
}

fn record(shards: &Sharded<Shard>, value: f64, times: u64) {
    let (shard, writer) = shards.own();
    shard.record(Place::of(value), value, times, writer);
}

fn offsets(window: &Histogram) -> u128 {
    window.filled.iter().map(|bucket| bucket.offsets).sum()
}

#[test]
fn what_threads_count_one_after_the_other_or_at_once_is_in_one_window_each() {
    model(|| {
        let (counter, numbers) = (Arc::new(Sharded::<AtomicU64>::default()), numbers());
        let threads = [1, 10].map(|n| {
            let counter = Arc::clone(&counter);
            // There is one number: the second one has it after the first, or shares a copy.
            living(&numbers, move || (0..2).for_each(|_| counter.add(n)))
        });
        let first = counter.sum();
        let second = counter.sum();
        assert!(first <= second, "{first} {second}");
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(counter.sum(), 22);
    });
}

#[test]
fn threads_that_share_a_copy_lose_nothing() {
    model(|| {
        let (counter, numbers) = (Arc::new(Sharded::<AtomicU64>::default()), numbers());
        // Whoever has it keeps it.
        let taken = numbers.take();
        let threads = [1, 10].map(|n| {
            let counter = Arc::clone(&counter);
            living(&numbers, move || (0..2).for_each(|_| counter.add(n)))
        });
        let seen = counter.sum();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(seen <= 22 && counter.sum() == 22);
        numbers.give_back(taken);
    });
}

#[test]
fn who_sees_a_count_sees_what_its_thread_did_before() {
    model(|| {
        let (counter, numbers) = (Arc::new(Sharded::<AtomicU64>::default()), numbers());
        let before = Arc::new(AtomicU64::new(0));
        let (counted, did) = (Arc::clone(&counter), Arc::clone(&before));
        let thread = living(&numbers, move || {
            // The first makes the copy, and would bring along whatever was before it.
            counted.add(1);
            did.store(1, Ordering::Relaxed);
            counted.add(1);
        });
        if counter.sum() == 2 {
            assert_eq!(before.load(Ordering::Relaxed), 1);
        }
        thread.join().unwrap();
    });
}

#[test]
fn a_request_that_has_ended_has_begun() {
    for took in [0.0, 1.5] {
        model(move || {
            let numbers = numbers();
            let begun = Arc::new(Sharded::<AtomicU64>::default());
            let ended = Arc::new(Sharded::<Shard>::default());
            let (start, end) = (Arc::clone(&begun), Arc::clone(&ended));
            let thread = living(&numbers, move || {
                for _ in 0..2 {
                    start.add(1);
                    record(&end, took, 1);
                }
            });
            let ended = Reading::default().take(&ended).count();
            assert!(ended <= begun.sum());
            thread.join().unwrap();
        });
    }
}

#[test]
fn a_count_brings_the_offsets_of_its_records_along() {
    for times in [1, 1 << 10] {
        model(move || {
            let (shards, numbers) = (Arc::new(Sharded::<Shard>::default()), numbers());
            let recorded = Arc::clone(&shards);
            let thread = living(&numbers, move || {
                (0..2).for_each(|_| record(&recorded, 1.5, times));
            });
            let mut reading = Reading::default();
            let during = reading.take(&shards);
            thread.join().unwrap();
            let after = reading.take(&shards);
            assert_eq!(during.count() + after.count(), 2 * times);
            for window in [during, after] {
                // An offset seen before its count is left for the next look.
                assert_eq!(offsets(&window), bucket::most_offsets(window.count()));
            }
        });
    }
}

#[test]
fn the_extremes_of_all_windows_are_those_of_all_records() {
    for records in [[1.5, 1.25, 2.5], [2.5, 0.0, 2.75]] {
        model(move || {
            let (shards, numbers) = (Arc::new(Sharded::<Shard>::default()), numbers());
            let recorded = Arc::clone(&shards);
            let thread = living(&numbers, move || {
                records.iter().for_each(|value| record(&recorded, *value, 1));
            });
            let mut reading = Reading::default();
            let during = reading.take(&shards);
            thread.join().unwrap();
            let windows = [during, reading.take(&shards)];
            assert_eq!(windows.iter().map(Histogram::count).sum::<u64>(), 3);
            let mins = windows.iter().filter_map(|window| window.min);
            assert_eq!(mins.reduce(f64::min), records.iter().copied().reduce(f64::min));
            let maxes = windows.iter().filter_map(|window| window.max);
            assert_eq!(maxes.reduce(f64::max), records.iter().copied().reduce(f64::max));
        });
    }
}

/// Otherwise a bucket's mean could be below the smallest record or above the largest one.
#[test]
fn a_record_as_extreme_as_the_one_before_has_its_extreme_in_whatever_window() {
    for records in [[1.5, 1.5, 2.5], [2.5, 2.5, 1.5]] {
        model(move || {
            let (shards, numbers) = (Arc::new(Sharded::<Shard>::default()), numbers());
            let recorded = Arc::clone(&shards);
            let thread = living(&numbers, move || {
                records.iter().for_each(|value| record(&recorded, *value, 1));
            });
            let mut reading = Reading::default();
            let during = reading.take(&shards);
            thread.join().unwrap();
            for window in [during, reading.take(&shards)] {
                let has = |bucket| window.filled.iter().any(|filled| filled.index == bucket);
                assert!(!has(0) || window.min == Some(1.5), "{window:?}");
                assert!(!has(1) || window.max == Some(2.5), "{window:?}");
            }
        });
    }
}

/// Of two threads, which have their copies one after the other or share one.
#[test]
fn a_copy_that_is_taken_over_keeps_its_records_and_their_extremes() {
    model_of(1, || {
        let (shards, numbers) = (Arc::new(Sharded::<Shard>::default()), numbers());
        let threads = [1.25, 1.75].map(|value| {
            let recorded = Arc::clone(&shards);
            living(&numbers, move || record(&recorded, value, 1))
        });
        let mut reading = Reading::default();
        let during = reading.take(&shards);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let windows = [during, reading.take(&shards)];
        assert_eq!(windows.iter().map(Histogram::count).sum::<u64>(), 2);
        assert_eq!(windows.iter().map(offsets).sum::<u128>(), bucket::most_offsets(2));
        assert_eq!(windows.iter().filter_map(|one| one.min).reduce(f64::min), Some(1.25));
        assert_eq!(windows.iter().filter_map(|one| one.max).reduce(f64::max), Some(1.75));
    });
}

#[test]
fn threads_that_share_a_copy_widen_its_extremes_together() {
    model(|| {
        let (shards, numbers) = (Arc::new(Sharded::<Shard>::default()), numbers());
        // Whoever has it keeps it.
        let taken = numbers.take();
        let threads = [1.25, 1.75].map(|value| {
            let recorded = Arc::clone(&shards);
            living(&numbers, move || record(&recorded, value, 1))
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let window = Reading::default().take(&shards);
        assert_eq!((window.count(), offsets(&window)), (2, bucket::most_offsets(2)));
        assert_eq!((window.min, window.max), (Some(1.25), Some(1.75)));
        numbers.give_back(taken);
    });
}

#[test]
fn what_ended_before_a_look_has_its_extremes_in_it_whoever_records_meanwhile() {
    model(|| {
        let (shards, numbers) = (Arc::new(Sharded::<Shard>::default()), numbers());
        let ended = Arc::clone(&shards);
        living(&numbers, move || record(&ended, 1.5, 1)).join().unwrap();
        let recorded = Arc::clone(&shards);
        let thread = living(&numbers, move || record(&recorded, 2.5, 1));
        let mut reading = Reading::default();
        let during = reading.take(&shards);
        assert_eq!(during.min, Some(1.5));
        assert_eq!(during.max, Some(if during.count() == 2 { 2.5 } else { 1.5 }));
        thread.join().unwrap();
        let after = reading.take(&shards);
        assert_eq!(during.count() + after.count(), 2);
        assert_eq!(after.max, (after.count() == 1).then_some(2.5));
    });
}

#[test]
fn what_is_recorded_while_its_series_is_being_forgotten_is_taken_or_stays() {
    type Cell = Sharded<AtomicU64>;
    type Members = sync::Mutex<HashMap<u8, sync::Arc<Cell>>>;
    model(|| {
        let watched = sync::Arc::new(Cell::default());
        let members = HashMap::from([(0, sync::Arc::clone(&watched))]);
        let (members, numbers): (Arc<Members>, _) =
            (Arc::new(sync::Mutex::new(members)), numbers());
        let registered = Arc::clone(&members);
        let thread = living(&numbers, move || {
            for _ in 0..2 {
                let mut members = registered.lock().unwrap();
                let cell = sync::Arc::clone(members.entry(0).or_default());
                drop(members);
                cell.add(1);
            }
        });
        let seen = watched.sum();
        let sole =
            sole::take_sole(&mut members.lock().unwrap(), &0, watched, drop, |cell, ()| cell);
        // What came since the look is in what nobody can reach any more.
        let taken = match sole {
            Ok((last, ())) => seen + (last.sum() - seen),
            Err(_) => 0,
        };
        thread.join().unwrap();
        let members = members.lock().unwrap();
        let stays: u64 = members.values().map(|cell| cell.sum()).sum();
        assert_eq!(taken + stays, 2);
    });
}
