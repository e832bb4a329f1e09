use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::amount::{Amount, Taken};
use crate::own_metrics::OVERFLOW_COUNTER;
use crate::series::Cell;
use crate::shard::Sharded;

/// A count of things that happen.
///
/// Recording is one load and one store of a copy that belongs to the thread: no lock, no queue, no
/// other thread to wait for; 128 bytes are allocated when a thread first counts into the series.
/// Clones count into the same series. A window's count is sent as one value, and nothing is sent for a window in
/// which nothing was counted.
#[derive(Clone, Debug)]
#[must_use = "a counter is zero until something is counted"]
pub struct Counter {
    cell: Arc<CounterCell>,
}

impl Counter {
    pub(crate) fn new(cell: Arc<CounterCell>) -> Self {
        Self { cell }
    }

    /// Counts one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Counts `n` at once. What is above 2⁵³, beyond which CloudWatch's numbers have gaps, is refused
    /// and counted as one in [`Stats::refused`](crate::Stats::refused).
    pub fn add(&self, n: u64) {
        self.cell.add(n);
    }
}

/// What is counted: a number that only grows. A collector takes the differences.
#[derive(Debug, Default)]
pub(crate) struct CounterCell {
    pub(crate) added: Sharded<AtomicU64>,
    /// How much a caller with a count of its own has named beyond what was added.
    reached: AtomicU64,
    /// What of it was counted before the series was forgotten.
    since: u64,
    /// Where a count is told that does not fit; ours always do.
    refused: Option<Arc<Self>>,
}

/// The most that is counted at once: beyond it CloudWatch's numbers are not exact.
const LARGEST: u64 = 1 << 53;

impl CounterCell {
    pub(crate) fn add(&self, n: u64) {
        if self.takes(n) {
            self.added.add(n);
        }
    }

    /// Follows a count kept elsewhere; a total that is reached already changes nothing.
    pub(crate) fn reach(&self, total: u64) {
        if self.takes(total) {
            let beyond = total.saturating_sub(self.added.sum());
            self.reached.fetch_max(beyond, Ordering::Relaxed);
        }
    }

    /// Counts as much of it as is counted at once.
    pub(crate) fn count(&self, n: u64) {
        self.added.add(n.min(LARGEST));
    }

    fn takes(&self, n: u64) -> bool {
        let takes = n <= LARGEST;
        if !takes && let Some(refused) = &self.refused {
            refused.added.add(1);
        }
        takes
    }

    /// All that was counted since the series was made; wraps around.
    pub(crate) fn total(&self) -> u64 {
        self.added.sum().wrapping_add(self.reached.load(Ordering::Relaxed) - self.since)
    }
}

impl Cell for CounterCell {
    const KIND: &'static str = "a counter";
    const OVERFLOW: &'static str = OVERFLOW_COUNTER;
    type Reading = u64;

    fn make(refused: &Arc<Self>) -> Self {
        Self { refused: Some(Arc::clone(refused)), ..Self::default() }
    }

    fn resume(refused: &Arc<Self>, left: u64) -> Self {
        Self { reached: AtomicU64::new(left), since: left, ..Self::make(refused) }
    }

    fn left(&self) -> Option<u64> {
        let reached = self.reached.load(Ordering::Relaxed);
        (reached > 0).then(|| reached.saturating_add(self.added.sum()))
    }

    fn take(&self, taken: &mut u64) -> Taken {
        let total = self.total();
        match total.wrapping_sub(std::mem::replace(taken, total)) {
            0 => Taken::Nothing,
            new => Taken::New(Amount::Sum(new)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot;

    #[test]
    fn what_cloudwatchs_numbers_can_hold_is_counted_exactly_and_more_is_refused() {
        let refused = Arc::new(CounterCell::default());
        let (cell, mut taken) = (CounterCell::make(&refused), 0);
        cell.add(LARGEST);
        let Taken::New(amount) = cell.take(&mut taken) else { panic!("nothing is taken") };
        assert_eq!(amount.values(), [(9_007_199_254_740_992.0, 1)]);
        for n in [LARGEST + 1, u64::MAX] {
            cell.add(n);
            cell.reach(n);
        }
        assert_eq!(cell.take(&mut taken), Taken::Nothing);
        assert_eq!(refused.total(), 4);
        // A total may be as large, too.
        let (cell, mut taken) = (CounterCell::make(&refused), 0);
        cell.reach(LARGEST);
        cell.reach(LARGEST - 1);
        assert_eq!(cell.take(&mut taken), Taken::New(Amount::Sum(LARGEST)));
    }

    /// As the facade's own counters have it: a total is at least what was named, and what was added
    /// before is a part of it.
    #[test]
    fn a_total_that_is_followed_beside_additions_is_reached_and_not_added() {
        let refused = Arc::new(CounterCell::default());
        let cell = CounterCell::make(&refused);
        for (add, reach, total) in
            [(5, 0, 5), (0, 3, 5), (0, 7, 7), (1, 7, 8), (0, 8, 8), (2, 20, 20)]
        {
            cell.add(add);
            cell.reach(reach);
            assert_eq!(cell.total(), total, "{add} {reach}");
        }
        // It goes on from there when it was forgotten.
        let again = CounterCell::resume(&refused, cell.left().unwrap());
        again.reach(20);
        assert_eq!(again.total(), 0);
        again.add(1);
        again.reach(22);
        assert_eq!(again.total(), 2);
    }

    #[test]
    fn what_more_threads_than_slots_add_is_all_in_the_sum() {
        const EACH: u64 = 200_000;
        let sharded = Sharded::<AtomicU64>::default();
        let threads = slot::count() + 8;
        let all_here = std::sync::Barrier::new(threads);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    // With all of them living, some have no slot of their own.
                    slot::current();
                    all_here.wait();
                    (0..EACH).for_each(|_| sharded.add(1));
                });
            }
        });
        assert_eq!(sharded.sum(), threads as u64 * EACH);
    }

    #[test]
    fn threads_one_after_the_other_add_to_one_copy_without_losing_any() {
        let sharded = Sharded::<AtomicU64>::default();
        for _ in 0..200 {
            std::thread::scope(|scope| {
                scope.spawn(|| (0..100).for_each(|_| sharded.add(1)));
            });
        }
        assert_eq!(sharded.sum(), 20_000);
    }

    #[test]
    fn a_copy_is_made_when_its_thread_first_asks() {
        let sharded = Sharded::<AtomicU64>::default();
        assert_eq!(sharded.iter().count(), 0);
        sharded.add(1);
        sharded.add(1);
        assert_eq!(sharded.iter().count(), 1);
    }
}
