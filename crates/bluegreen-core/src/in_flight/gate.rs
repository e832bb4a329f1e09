//! The counter and its closed bit in one word, so that both are seen at the same instant.
//!
//! Invariants, checked with loom over every interleaving (`tests/in_flight_loom.rs` compiles this
//! very file against loom's atomics):
//! 1. Whoever reads *closed and zero* knows that no work is under way, and that none begins before
//!    the next `open`.
//! 2. An `enter` that answers `false` leaves no count behind.
//! 3. The `leave` that brings the count to zero says so, so that exactly it wakes the waiters.

use crate::atomic::{AtomicU64, Ordering};

const CLOSED: u64 = 1 << 63;

#[derive(Debug)]
pub(crate) struct Gate {
    word: AtomicU64,
}

impl Default for Gate {
    fn default() -> Self {
        Self { word: AtomicU64::new(0) }
    }
}

impl Gate {
    /// Counts one up; undone and `false` when closed.
    pub(crate) fn enter(&self) -> bool {
        let before = self.word.fetch_add(1, Ordering::AcqRel);
        if before & CLOSED == 0 {
            return true;
        }
        self.word.fetch_sub(1, Ordering::AcqRel);
        false
    }

    /// Counts one down; `true` when that was the last.
    pub(crate) fn leave(&self) -> bool {
        let before = self.word.fetch_sub(1, Ordering::AcqRel);
        before & !CLOSED == 1
    }

    pub(crate) fn close(&self) {
        self.word.fetch_or(CLOSED, Ordering::AcqRel);
    }

    pub(crate) fn open(&self) {
        self.word.fetch_and(!CLOSED, Ordering::AcqRel);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.word.load(Ordering::Acquire) & CLOSED != 0
    }

    pub(crate) fn count(&self) -> u64 {
        self.word.load(Ordering::Acquire) & !CLOSED
    }
}
