//! What a FIFO queue adds: message groups, and the deduplication of sends.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// The messages that wait, by group.
///
/// Invariants:
/// 1. A message is in its group's line, or in flight (then counted there), or gone.
/// 2. A group is free when nothing of it is in flight and the head of its line may be received.
/// 3. `free` lists exactly the free groups, by the position of their heads.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: HashMap<Arc<str>, Group>,
    free: BTreeMap<u64, Arc<str>>,
}

#[derive(Debug, Default)]
struct Group {
    /// Position of each waiting message, and whether its delay is over.
    line: BTreeMap<u64, bool>,
    in_flight: usize,
    /// The position under which `free` lists the group.
    listed: Option<u64>,
}

impl Groups {
    pub(super) fn any_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// A message joins the line of its group, or comes back to its place in it.
    pub(super) fn join(&mut self, position: u64, group: &str, ready: bool) {
        self.change(group, |group| {
            group.line.insert(position, ready);
        });
    }

    /// A message in flight is visible again, at its old place.
    pub(super) fn come_back(&mut self, position: u64, group: &str) {
        self.change(group, |group| {
            group.in_flight = group.in_flight.saturating_sub(1);
            group.line.insert(position, true);
        });
    }

    /// A waiting message is gone for good.
    pub(super) fn leave_line(&mut self, position: u64, group: &str) {
        self.change(group, |group| {
            group.line.remove(&position);
        });
    }

    /// A message in flight is gone for good.
    pub(super) fn leave_flight(&mut self, group: &str) {
        self.change(group, |group| group.in_flight = group.in_flight.saturating_sub(1));
    }

    /// Takes the next message into flight: of the group that this receive has begun with, in its
    /// order, else of the free group that waits longest.
    pub(super) fn take(&mut self, begun: &mut Option<Arc<str>>) -> Option<u64> {
        if let Some(name) = begun
            && let Some(position) = self.take_of(&Arc::clone(name))
        {
            return Some(position);
        }
        let (_, name) = self.free.first_key_value()?;
        let name = Arc::clone(name);
        let position = self.take_of(&name);
        *begun = Some(name);
        position
    }

    fn take_of(&mut self, name: &Arc<str>) -> Option<u64> {
        let head = self.groups.get(name)?.line.first_key_value();
        let (&position, &ready) = head?;
        if !ready {
            return None;
        }
        self.change(name, |group| {
            group.line.remove(&position);
            group.in_flight += 1;
        });
        Some(position)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Changes a group and lists it anew, for invariant 3.
    fn change(&mut self, name: &str, change: impl FnOnce(&mut Group)) {
        let known = self.groups.get_key_value(name).map(|(name, _)| Arc::clone(name));
        let name = known.unwrap_or_else(|| Arc::from(name));
        let group = self.groups.entry(Arc::clone(&name)).or_default();
        change(group);
        let head = group.line.first_key_value();
        let listed = head.filter(|(_, ready)| **ready && group.in_flight == 0).map(|(at, _)| *at);
        let was = std::mem::replace(&mut group.listed, listed);
        let empty = group.line.is_empty() && group.in_flight == 0;
        if was != listed {
            if let Some(was) = was {
                self.free.remove(&was);
            }
            if let Some(listed) = listed {
                self.free.insert(listed, Arc::clone(&name));
            }
        }
        if empty {
            self.groups.remove(&name);
        }
    }
}

/// How long a deduplication id is remembered, whatever becomes of its message.
pub(super) const DEDUPLICATION_WINDOW: Duration = Duration::from_secs(300);

/// The deduplication ids of the last five minutes.
#[derive(Debug, Default)]
pub(super) struct Deduplication {
    known: HashMap<DeduplicationKey, Accepted>,
    by_age: VecDeque<(Instant, DeduplicationKey)>,
}

/// The scope is the group where the queue deduplicates by group, else nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct DeduplicationKey {
    pub(super) scope: Option<String>,
    pub(super) id: String,
}

/// What the first send of an id was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) message_id: String,
    pub(super) sequence_number: String,
}

impl Deduplication {
    /// The answer to the first send of this id, within the window.
    pub(super) fn earlier(&mut self, key: &DeduplicationKey, now: Instant) -> Option<&Accepted> {
        while let Some((accepted_at, _)) = self.by_age.front()
            && now.saturating_duration_since(*accepted_at) >= DEDUPLICATION_WINDOW
        {
            if let Some((_, key)) = self.by_age.pop_front() {
                self.known.remove(&key);
            }
        }
        self.known.get(key)
    }

    pub(super) fn remember(&mut self, key: DeduplicationKey, accepted: Accepted, now: Instant) {
        self.by_age.push_back((now, key.clone()));
        self.known.insert(key, accepted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(groups: &mut Groups, max: usize) -> Vec<u64> {
        let mut begun = None;
        (0..max).map_while(|_| groups.take(&mut begun)).collect()
    }

    #[test]
    fn a_group_is_locked_while_a_message_of_it_is_in_flight() {
        let mut groups = Groups::default();
        for (position, group) in [(1, "a"), (2, "a"), (3, "b"), (4, "a")] {
            groups.join(position, group, true);
        }
        assert_eq!(take(&mut groups, 2), [1, 2]);
        assert_eq!(take(&mut groups, 10), [3]);
        assert!(take(&mut groups, 10).is_empty());
        groups.leave_flight("a");
        assert!(!groups.any_free(), "2 is still in flight");
        groups.come_back(2, "a");
        assert_eq!(take(&mut groups, 10), [2, 4]);
    }

    #[test]
    fn one_receive_empties_a_group_before_it_goes_to_the_next() {
        let mut groups = Groups::default();
        for (position, group) in [(1, "a"), (2, "b"), (3, "a"), (4, "b")] {
            groups.join(position, group, true);
        }
        assert_eq!(take(&mut groups, 10), [1, 3, 2, 4]);
    }

    #[test]
    fn a_delayed_head_holds_its_group_back() {
        let mut groups = Groups::default();
        groups.join(1, "a", false);
        groups.join(2, "a", true);
        assert!(take(&mut groups, 10).is_empty());
        groups.join(1, "a", true);
        assert_eq!(take(&mut groups, 10), [1, 2]);
    }

    #[test]
    fn a_group_without_messages_is_forgotten() {
        let mut groups = Groups::default();
        groups.join(1, "a", true);
        groups.join(2, "a", true);
        assert_eq!(take(&mut groups, 1), [1]);
        groups.leave_flight("a");
        groups.leave_line(2, "a");
        assert!(groups.groups.is_empty() && groups.free.is_empty());
    }
}
