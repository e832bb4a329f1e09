//! What outlives a forgotten series.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use crate::dimensions::Labels;

/// At least so many of the last forgotten series are remembered, and at most twice as many: some
/// 40 bytes each, however long their names are.
const GENERATION: usize = 10_000;

/// What callers go on from who know a series by its name and labels alone: the total that a counter
/// has reached, the level of a gauge. In two generations, the elder of which goes when the younger
/// is full, so that neither time nor memory has to be spent on an order.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    young: HashMap<Mark, u64>,
    old: HashMap<Mark, u64>,
    keys: [RandomState; 2],
}

/// What a series is known again by: 128 bits under keys that nobody knows, so that no two series ever
/// have the same.
type Mark = [u64; 2];

impl Remembered {
    pub(super) fn keep(&mut self, kind: &'static str, name: &str, labels: &Labels, left: u64) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(self.mark(kind, name, labels), left);
    }

    /// Gives it back, once.
    pub(super) fn take(&mut self, kind: &'static str, name: &str, labels: &Labels) -> Option<u64> {
        if self.young.is_empty() && self.old.is_empty() {
            return None;
        }
        let series = self.mark(kind, name, labels);
        let old = self.old.remove(&series);
        self.young.remove(&series).or(old)
    }

    fn mark(&self, kind: &str, name: &str, labels: &Labels) -> Mark {
        self.keys.each_ref().map(|key| key.hash_one((kind, name, labels)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_of_any_length_take_the_same_memory() {
        let bytes_of = |length: usize| {
            let label = |n: usize| (format!("{n:x>length$}"), "x".repeat(length));
            let labels: Vec<_> = (0..25).map(label).collect();
            let labels: Vec<_> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let labels = Labels::checked("n", &labels).unwrap();
            let mut remembered = Remembered::default();
            let keep = |n: usize| remembered.keep("a gauge", &format!("{n:x>length$}"), &labels, 1);
            allocation_counter::measure(|| (0..1_000).for_each(keep)).bytes_current
        };
        assert_eq!(bytes_of(255), bytes_of(4));
    }

    #[test]
    fn the_last_forgotten_are_remembered_once_and_of_all_a_bounded_number() {
        let mut remembered = Remembered::default();
        let none = Labels::default();
        let name = |n: usize| n.to_string();
        let all = 5 * GENERATION;
        (0..all).for_each(|n| remembered.keep("a gauge", &name(n), &none, n as u64));
        assert!(remembered.young.len() + remembered.old.len() <= 2 * GENERATION);
        assert_eq!(remembered.take("a gauge", &name(0), &none), None);
        for n in all - GENERATION..all {
            assert_eq!(remembered.take("a counter", &name(n), &none), None);
            assert_eq!(remembered.take("a gauge", &name(n), &none), Some(n as u64));
            assert_eq!(remembered.take("a gauge", &name(n), &none), None);
        }
        // What is kept anew replaces what an elder generation has.
        remembered.keep("a gauge", "n", &none, 1);
        (0..GENERATION).for_each(|n| remembered.keep("a counter", &name(n), &none, 0));
        remembered.keep("a gauge", "n", &none, 2);
        assert_eq!(remembered.take("a gauge", "n", &none), Some(2));
        assert_eq!(remembered.take("a gauge", "n", &none), None);
    }
}
