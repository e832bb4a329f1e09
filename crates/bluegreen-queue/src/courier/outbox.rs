use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::sqs::BATCH;

/// The most bytes of one call, all of its messages together (AWS's limit).
const LARGEST_CALL: usize = 1024 * 1024;

/// Messages for one queue that wait to share a call. Pure: time is an argument.
///
/// 1. A call goes when it is full by number or size, or when its oldest message has waited long
///    enough.
/// 2. Of a FIFO group one message is under way at a time: the entries of a call can fail one by
///    one, and what follows must not overtake what has to be tried again.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    age: Duration,
    // Those that may go, of each group one.
    waiting: VecDeque<Waiting<T>>,
    // What follows it, for each group of which a message waits there or is under way.
    behind: HashMap<Arc<str>, VecDeque<Waiting<T>>>,
}

#[derive(Debug)]
struct Waiting<T> {
    by: Instant,
    size: usize,
    message: T,
}

impl<T> Outbox<T> {
    pub(super) fn new(age: Duration) -> Self {
        Self { age, waiting: VecDeque::new(), behind: HashMap::new() }
    }

    pub(super) fn push(&mut self, message: T, size: usize, group: Option<Arc<str>>, now: Instant) {
        let one = Waiting { by: now + self.age, size, message };
        match group.map(|group| self.behind.entry(group)) {
            Some(Entry::Occupied(mut behind)) => behind.get_mut().push_back(one),
            Some(Entry::Vacant(none)) => {
                none.insert(VecDeque::new());
                self.waiting.push_back(one);
            }
            None => self.waiting.push_back(one),
        }
    }

    /// Puts a message back before all others, for another try at that time; its group waits for it.
    pub(super) fn again(&mut self, message: T, size: usize, at: Instant) {
        self.waiting.push_front(Waiting { by: at, size, message });
    }

    /// The message of a group that was under way is settled: the next one may go.
    pub(super) fn settled(&mut self, group: Option<&Arc<str>>) {
        let Some(group) = group else { return };
        match self.behind.get_mut(group).and_then(VecDeque::pop_front) {
            Some(next) => self.waiting.push_back(next),
            None => drop(self.behind.remove(group)),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.behind.values().map(VecDeque::len).sum::<usize>()
    }

    /// All that wait, to be given up.
    pub(super) fn empty(&mut self) -> impl Iterator<Item = T> {
        let behind = self.behind.drain().flat_map(|(_, behind)| behind);
        self.waiting.drain(..).chain(behind).map(|waiting| waiting.message)
    }

    /// The messages of the next call, when it is time for one. With `flush` all are due but those
    /// that wait for another try.
    pub(super) fn take(&mut self, now: Instant, flush: bool) -> Option<Vec<T>> {
        let (chosen, is_full) = self.choose(now);
        let ripe = |place: &usize| self.waiting.get(*place).is_some_and(|one| one.by <= now);
        if chosen.is_empty() || !(flush || is_full || chosen.iter().any(ripe)) {
            return None;
        }
        let taken = chosen.iter().rev().filter_map(|place| self.waiting.remove(*place));
        let mut taken: Vec<_> = taken.map(|one| one.message).collect();
        taken.reverse();
        Some(taken)
    }

    /// The places of the messages that a call would have, and whether no other would fit.
    fn choose(&self, now: Instant) -> (Vec<usize>, bool) {
        let (mut chosen, mut bytes) = (Vec::new(), 0);
        for (place, one) in self.waiting.iter().enumerate() {
            // Only a message that is tried again waits for longer than the age.
            if one.by > now + self.age {
                continue;
            }
            if bytes + one.size > LARGEST_CALL && !chosen.is_empty() {
                return (chosen, true);
            }
            bytes += one.size;
            chosen.push(place);
            if chosen.len() == BATCH {
                return (chosen, true);
            }
        }
        (chosen, false)
    }

    /// The next moment at which a call may be due without another message.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.iter().map(|one| one.by).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_millis(10);

    #[test]
    fn a_call_goes_when_it_is_full_by_number_or_size_or_old_enough() {
        let now = Instant::now();
        let mut outbox = Outbox::new(AGE);
        (0..11).for_each(|n| outbox.push(n, 1, None, now));
        assert_eq!(outbox.take(now, false), Some((0..10).collect()));
        assert_eq!((outbox.take(now, false), outbox.next()), (None, Some(now + AGE)));
        assert_eq!(outbox.take(now + AGE, false), Some(vec![10]));
        let third = LARGEST_CALL / 3;
        (0..4).for_each(|n| outbox.push(n, third, None, now));
        assert_eq!(outbox.take(now, false), Some(vec![0, 1, 2]));
        assert_eq!((outbox.take(now, false), outbox.take(now, true)), (None, Some(vec![3])));
        assert_eq!((outbox.len(), outbox.next(), outbox.take(now, true)), (0, None, None));
    }

    #[test]
    fn of_a_group_one_message_is_under_way_and_none_overtakes_one_that_is_tried_again() {
        let (now, a, b) = (Instant::now(), Arc::<str>::from("a"), Arc::<str>::from("b"));
        let mut outbox = Outbox::new(AGE);
        for (message, group) in [("a1", &a), ("a2", &a), ("b1", &b), ("b2", &b)] {
            outbox.push(message, 1, Some(Arc::clone(group)), now);
        }
        assert_eq!(outbox.take(now, true), Some(vec!["a1", "b1"]));
        assert_eq!((outbox.take(now, true), outbox.next()), (None, None));
        let later = now + AGE * 10;
        outbox.again("a1", 1, later);
        outbox.settled(Some(&b));
        assert_eq!(outbox.take(now, true), Some(vec!["b2"]));
        assert_eq!(outbox.take(now, true), None, "a2 waits for a1");
        assert_eq!(outbox.next(), Some(later), "and nobody looks before that");
        assert_eq!(outbox.take(later, false), Some(vec!["a1"]));
        outbox.settled(Some(&a));
        assert_eq!(outbox.take(later, false), Some(vec!["a2"]));
    }

    #[test]
    fn a_group_of_any_length_costs_no_message_more_than_another() {
        let (now, group) = (Instant::now(), Arc::<str>::from("a"));
        let mut outbox = Outbox::new(AGE);
        // If each looked at all behind it, this would take hours.
        for message in 0..300_000 {
            outbox.push(message, 1, Some(Arc::clone(&group)), now);
            assert_eq!(outbox.take(now, false), None);
        }
        for message in 0..300_000 {
            assert_eq!(outbox.take(now + AGE, false), Some(vec![message]));
            outbox.settled(Some(&group));
        }
        assert_eq!((outbox.len(), outbox.behind.len()), (0, 0));
    }
}
