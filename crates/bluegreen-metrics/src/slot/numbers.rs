//! Numbers of which each is held by one at a time. The lock orders what the last holder of a number
//! did before what the next one does: loom checks it (`tests/shards_loom.rs` compiles this very file).

use std::collections::BTreeSet;
use std::sync::PoisonError;

use crate::sync::Mutex;

/// No number: all are taken, or the thread is ending.
pub(crate) const NONE: usize = usize::MAX;

#[derive(Debug)]
pub(crate) struct Numbers {
    free: Mutex<BTreeSet<usize>>,
}

impl Numbers {
    pub(crate) fn below(count: usize) -> Self {
        Self { free: Mutex::new((0..count).collect()) }
    }

    /// The lowest that is free, so that few copies are ever made; [`NONE`] when all are taken.
    pub(crate) fn take(&self) -> usize {
        // A set of numbers is whole whatever panicked beside it.
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop_first().unwrap_or(NONE)
    }

    /// To be called by who holds the number, once it does nothing more under it.
    pub(crate) fn give_back(&self, number: usize) {
        if number != NONE {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
        }
    }
}
