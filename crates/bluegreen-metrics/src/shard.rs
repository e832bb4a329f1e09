//! Copies of what many threads record, one for each thread, so that none waits for another.
//!
//! 1. A [slot](crate::slot) belongs to one living thread at a time, and so does the copy of that
//!    slot: its owner is its only writer, and adds with a load and a store.
//! 2. The next owner of a slot got it through a lock, so it reads what the former one wrote.
//! 3. Threads without a slot share one copy more, and add to it atomically.
//! 4. Numbers only grow, so a reader needs nothing but their differences: it writes nothing.
//!
//! Checked with loom (`tests/shards_loom.rs` compiles this very file against loom's atomics).

use crate::slot;
use crate::sync::{AtomicU64, OnceLock, Ordering};

/// Two lines, as processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<T>(T);

/// A value in several copies, each made when its thread first asks for it.
#[derive(Debug)]
pub(crate) struct Sharded<T> {
    own: Box<[OnceLock<Box<Padded<T>>>]>,
    shared: OnceLock<Box<Padded<T>>>,
}

/// Who else writes to a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// Nobody but this thread.
    Only,
    /// All threads without a slot.
    OneOfMany,
}

impl<T> Default for Sharded<T> {
    fn default() -> Self {
        let own = (0..slot::count()).map(|_| OnceLock::new()).collect();
        Self { own, shared: OnceLock::new() }
    }
}

impl<T: Default> Sharded<T> {
    /// This thread's copy, and how to write to it.
    pub(crate) fn own(&self) -> (&T, Writer) {
        let (copy, writer) = match self.own.get(slot::current()) {
            Some(copy) => (copy, Writer::Only),
            None => (&self.shared, Writer::OneOfMany),
        };
        (&copy.get_or_init(Box::default).0, writer)
    }
}

impl<T> Sharded<T> {
    /// All copies.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.numbered().map(|(_, copy)| copy)
    }

    /// All copies, each with a number that stays its own.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (usize, &T)> {
        let copies = self.own.iter().chain(std::iter::once(&self.shared)).enumerate();
        copies.filter_map(|(number, copy)| Some((number, &copy.get()?.0)))
    }
}

impl Sharded<AtomicU64> {
    /// Adds to this thread's copy. What the thread wrote before is seen by who reads the sum.
    pub(crate) fn add(&self, n: u64) {
        let (copy, writer) = self.own();
        writer.add(copy, n, Ordering::Release);
    }

    /// The sum of all copies; wraps around as they do.
    pub(crate) fn sum(&self) -> u64 {
        self.iter().fold(0, |sum: u64, copy| sum.wrapping_add(copy.load(Ordering::Acquire)))
    }
}

impl Writer {
    /// Adds, wrapping around.
    pub(crate) fn add(self, number: &AtomicU64, n: u64, order: Ordering) {
        match self {
            Self::Only => {
                number.store(number.load(Ordering::Relaxed).wrapping_add(n), order);
            }
            Self::OneOfMany => {
                number.fetch_add(n, order);
            }
        }
    }

    /// Lowers to `n` if it is above, and keeps what was there. A reader that resets the number
    /// meanwhile may win; where many write, one of them may be kept in another's place.
    pub(crate) fn lower(self, number: &AtomicU64, before: &AtomicU64, n: u64) {
        let present = number.load(Ordering::Relaxed);
        if n < present {
            before.store(present, Ordering::Relaxed);
            match self {
                Self::Only => number.store(n, Ordering::Release),
                Self::OneOfMany => drop(number.fetch_min(n, Ordering::AcqRel)),
            }
        }
    }

    /// Raises to `n` if it is below, and keeps what was there, as [`lower`](Self::lower) does.
    pub(crate) fn raise(self, number: &AtomicU64, before: &AtomicU64, n: u64) {
        let present = number.load(Ordering::Relaxed);
        if n > present {
            before.store(present, Ordering::Relaxed);
            match self {
                Self::Only => number.store(n, Ordering::Release),
                Self::OneOfMany => drop(number.fetch_max(n, Ordering::AcqRel)),
            }
        }
    }
}
