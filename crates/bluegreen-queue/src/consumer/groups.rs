use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Messages of a FIFO queue that wait for an earlier one of their group.
///
/// SQS hands out several messages of one group in one receive, and then none of that group until
/// all of them are settled. Here they are handled one after another, groups beside each other.
#[derive(Debug)]
pub(super) struct Groups<T> {
    // A group is present while one of its messages is being handled.
    waiting: HashMap<Arc<str>, VecDeque<T>>,
    // How many wait in all groups together.
    len: usize,
}

impl<T> Default for Groups<T> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), len: 0 }
    }
}

impl<T> Groups<T> {
    /// Answers the message back when it may start; keeps it otherwise.
    pub(super) fn admit(&mut self, group: &Arc<str>, message: T) -> Option<T> {
        match self.waiting.get_mut(group) {
            Some(waiting) => {
                waiting.push_back(message);
                self.len += 1;
                None
            }
            None => {
                self.waiting.insert(Arc::clone(group), VecDeque::new());
                Some(message)
            }
        }
    }

    /// How many wait in all groups together.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// How many wait in that group.
    pub(super) fn behind(&self, group: &str) -> usize {
        self.waiting.get(group).map_or(0, VecDeque::len)
    }

    /// A message of the group is settled for good; answers the next one.
    pub(super) fn advance(&mut self, group: &str) -> Option<T> {
        let next = self.waiting.get_mut(group)?.pop_front();
        match next {
            Some(_) => self.len -= 1,
            None => drop(self.waiting.remove(group)),
        }
        next
    }

    /// A message of the group will come again: all that wait behind it must go back too.
    pub(super) fn give_up(&mut self, group: &str) -> VecDeque<T> {
        let waiting = self.waiting.remove(group).unwrap_or_default();
        self.len -= waiting.len();
        waiting
    }

    /// All that wait go back; those that are being handled are the last of their groups.
    pub(super) fn give_up_all(&mut self) -> Vec<T> {
        // As asked at each turn while the gate is closed, with all groups that are being handled.
        if std::mem::take(&mut self.len) == 0 {
            return Vec::new();
        }
        self.waiting.values_mut().flat_map(std::mem::take).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_goes_one_by_one_and_gives_up_as_a_whole() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut groups = Groups::default();
        assert_eq!(groups.admit(&a, 1), Some(1));
        assert_eq!((groups.admit(&a, 2), groups.admit(&a, 3)), (None, None));
        assert_eq!((groups.admit(&b, 4), groups.len()), (Some(4), 2));
        assert_eq!((groups.advance("a"), groups.len()), (Some(2), 1));
        assert_eq!((groups.give_up("a"), groups.len()), (VecDeque::from([3]), 0));
        assert_eq!(groups.admit(&a, 5), Some(5));
        assert_eq!(groups.advance("b"), None);
        assert_eq!(groups.admit(&b, 6), Some(6));
        assert_eq!((groups.admit(&b, 7), groups.give_up_all()), (None, vec![7]));
        assert_eq!((groups.admit(&b, 8), groups.len()), (None, 1), "6 is still being handled");
    }

    #[test]
    fn to_give_up_what_does_not_wait_costs_nothing_however_many_are_being_handled() {
        let mut groups = Groups::default();
        let names: Vec<Arc<str>> = (0..100_000).map(|n| n.to_string().into()).collect();
        for name in &names {
            assert_eq!(groups.admit(name, 1), Some(1));
        }
        // If each looked at all that are left, this would take minutes.
        for name in &names {
            assert!(groups.give_up_all().is_empty());
            assert_eq!(groups.advance(name), None);
        }
    }
}
