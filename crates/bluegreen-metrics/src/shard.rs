//! Copies of one number for different threads, so that threads do not wait for one cache line.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// More copies cost memory and save nothing: beyond it two threads share a copy, still correctly.
const MOST_SHARDS: usize = 16;

static NEXT_SLOT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// This thread's number, given out in the order in which threads first record.
    static SLOT: usize = NEXT_SLOT.fetch_add(1, Ordering::Relaxed);
}

/// Two lines, as processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<T>(T);

/// A value in several copies; a thread always uses the same one.
#[derive(Debug)]
pub(crate) struct Sharded<T> {
    first: Padded<T>,
    others: Box<[Padded<T>]>,
}

impl<T: Default> Default for Sharded<T> {
    fn default() -> Self {
        let others = (1..shards()).map(|_| Padded::default()).collect();
        Self { first: Padded::default(), others }
    }
}

impl<T> Sharded<T> {
    /// This thread's copy.
    pub(crate) fn own(&self) -> &T {
        // `others` is one short of a power of two, and so is the mask: the last slot is `first`.
        let slot = SLOT.with(|slot| *slot) & self.others.len();
        &self.others.get(slot).unwrap_or(&self.first).0
    }

    /// All copies.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first).chain(&self.others).map(|padded| &padded.0)
    }
}

impl Sharded<AtomicU64> {
    /// Adds to this thread's copy. What the thread wrote before is seen by who reads the sum.
    pub(crate) fn add(&self, n: u64) {
        self.own().fetch_add(n, Ordering::Release);
    }

    /// The sum of all copies; wraps around as they do.
    pub(crate) fn sum(&self) -> u64 {
        self.iter().fold(0, |sum: u64, copy| sum.wrapping_add(copy.load(Ordering::Acquire)))
    }
}

/// Twice the processors, as slots are given out blindly and some threads never record again.
fn shards() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    processors.saturating_mul(2).next_power_of_two().min(MOST_SHARDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_copies_is_a_power_of_two() {
        let sharded = Sharded::<AtomicU64>::default();
        assert!((sharded.others.len() + 1).is_power_of_two());
        assert_eq!(sharded.iter().count(), sharded.others.len() + 1);
    }

    #[test]
    fn what_many_threads_add_is_all_in_the_sum() {
        let sharded = Sharded::<AtomicU64>::default();
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| (0..1_000).for_each(|_| sharded.add(1)));
            }
        });
        assert_eq!(sharded.sum(), 40_000);
    }
}
