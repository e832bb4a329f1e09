use std::collections::{HashSet, VecDeque};
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
    waiting: VecDeque<Waiting<T>>,
    // The groups that have a message under way.
    busy: HashSet<Arc<str>>,
}

#[derive(Debug)]
struct Waiting<T> {
    by: Instant,
    size: usize,
    group: Option<Arc<str>>,
    message: T,
}

impl<T> Outbox<T> {
    pub(super) fn new(age: Duration) -> Self {
        Self { age, waiting: VecDeque::new(), busy: HashSet::new() }
    }

    pub(super) fn push(&mut self, message: T, size: usize, group: Option<Arc<str>>, now: Instant) {
        self.waiting.push_back(Waiting { by: now + self.age, size, group, message });
    }

    /// Puts a message back before all others, for another try at that time; its group waits for it.
    pub(super) fn again(&mut self, message: T, size: usize, group: Option<Arc<str>>, at: Instant) {
        if let Some(group) = &group {
            self.busy.remove(group);
        }
        self.waiting.push_front(Waiting { by: at, size, group, message });
    }

    /// The message of a group that was under way is settled.
    pub(super) fn settled(&mut self, group: Option<&Arc<str>>) {
        if let Some(group) = group {
            self.busy.remove(group);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// All that wait, to be given up.
    pub(super) fn empty(&mut self) -> impl Iterator<Item = T> {
        self.waiting.drain(..).map(|waiting| waiting.message)
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
        let mut taken: Vec<_> = taken.collect();
        taken.reverse();
        self.busy.extend(taken.iter().filter_map(|one| one.group.clone()));
        Some(taken.into_iter().map(|one| one.message).collect())
    }

    /// The places of the messages that a call would have, and whether no other would fit.
    fn choose(&self, now: Instant) -> (Vec<usize>, bool) {
        let (mut chosen, mut bytes) = (Vec::new(), 0);
        let mut held: HashSet<&Arc<str>> = self.busy.iter().collect();
        for (place, one) in self.waiting.iter().enumerate() {
            let is_free = one.group.as_ref().is_none_or(|group| held.insert(group));
            // Only a message that is tried again waits for longer than the age.
            if !is_free || one.by > now + self.age {
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
        let mut held: HashSet<&Arc<str>> = self.busy.iter().collect();
        let mut next: Option<Instant> = None;
        for one in &self.waiting {
            if one.group.as_ref().is_none_or(|group| held.insert(group)) {
                next = Some(next.map_or(one.by, |next| next.min(one.by)));
            }
        }
        next
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
        outbox.again("a1", 1, Some(Arc::clone(&a)), later);
        outbox.settled(Some(&b));
        assert_eq!(outbox.take(now, true), Some(vec!["b2"]));
        assert_eq!(outbox.take(now, true), None, "a2 waits for a1");
        assert_eq!(outbox.next(), Some(later), "and nobody looks before that");
        assert_eq!(outbox.take(later, false), Some(vec!["a1"]));
        outbox.settled(Some(&a));
        assert_eq!(outbox.take(later, false), Some(vec!["a2"]));
    }
}
