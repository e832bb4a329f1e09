use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::sqs::BATCH;

/// Collects entries until a call is full or the oldest has waited long enough.
#[derive(Debug)]
pub(super) struct Batch<T> {
    age: Duration,
    // Entries with the moment by which they must go.
    fresh: VecDeque<(Instant, T)>,
    // Entries that failed before, by the moment of their next try; the number keeps them apart.
    later: BTreeMap<(Instant, u64), T>,
    number: u64,
}

impl<T> Batch<T> {
    pub(super) const fn new(age: Duration) -> Self {
        Self { age, fresh: VecDeque::new(), later: BTreeMap::new(), number: 0 }
    }

    pub(super) fn push(&mut self, entry: T, now: Instant) {
        self.fresh.push_back((now + self.age, entry));
    }

    /// Puts an entry back for another try at that time.
    pub(super) fn retry(&mut self, entry: T, at: Instant) {
        self.number += 1;
        self.later.insert((at, self.number), entry);
    }

    pub(super) fn len(&self) -> usize {
        self.fresh.len() + self.later.len()
    }

    /// The entries of the next call, when it is time for one. With `flush` all are due but those
    /// that wait for another try.
    pub(super) fn take(&mut self, now: Instant, flush: bool) -> Option<Vec<T>> {
        while let Some(first) = self.later.first_entry().filter(|first| first.key().0 <= now) {
            self.fresh.push_front((now, first.remove()));
        }
        let due = flush
            || self.fresh.len() >= BATCH
            || self.fresh.front().is_some_and(|(by, _)| *by <= now);
        if !due || self.fresh.is_empty() {
            return None;
        }
        let many = self.fresh.len().min(BATCH);
        Some(self.fresh.drain(..many).map(|(_, entry)| entry).collect())
    }

    /// The next moment at which a call may be due without another entry.
    pub(super) fn next(&self) -> Option<Instant> {
        let fresh = self.fresh.front().map(|(by, _)| *by);
        let later = self.later.first_key_value().map(|((at, _), _)| *at);
        fresh.into_iter().chain(later).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_goes_when_it_is_full_or_its_oldest_entry_is_old_enough() {
        let now = Instant::now();
        let ms = |ms| now + Duration::from_millis(ms);
        let mut batch = Batch::new(Duration::from_millis(50));
        assert_eq!(batch.next(), None);
        batch.push(0, now);
        batch.push(1, ms(30));
        assert_eq!((batch.take(ms(49), false), batch.next()), (None, Some(ms(50))));
        assert_eq!(batch.take(ms(50), false), Some(vec![0, 1]));
        (0..11).for_each(|n| batch.push(n, now));
        assert_eq!(batch.take(now, false).unwrap().len(), 10);
        assert_eq!(batch.take(now, false), None);
        assert_eq!(batch.take(now, true), Some(vec![10]));
    }

    #[test]
    fn what_failed_waits_for_its_time_and_then_goes_first() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut batch = Batch::new(Duration::from_millis(50));
        batch.retry("again", later);
        assert_eq!((batch.take(now, true), batch.next(), batch.len()), (None, Some(later), 1));
        batch.push("new", later);
        assert_eq!(batch.take(later, false), Some(vec!["again", "new"]));
    }
}
