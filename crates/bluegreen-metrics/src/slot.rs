//! A number that no other living thread has.

use std::cell::Cell;
use std::sync::LazyLock;

mod numbers;

pub(crate) use numbers::NONE;

use numbers::Numbers;

/// Not asked for yet.
const UNASKED: usize = NONE - 1;

/// Twice the processors, as some threads record once and never again; beyond it threads share.
static SLOTS: LazyLock<usize> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    processors.saturating_mul(2).clamp(8, 64)
});

static NUMBERS: LazyLock<Numbers> = LazyLock::new(|| Numbers::below(*SLOTS));

thread_local! {
    // Apart from what gives the number back, so that looking costs one load.
    static CURRENT: Cell<usize> = const { Cell::new(UNASKED) };
    static HELD: Held = Held(NUMBERS.take());
}

/// How many numbers there are, from zero.
pub(crate) fn count() -> usize {
    *SLOTS
}

/// This thread's number, below [`count`], or [`NONE`].
pub(crate) fn current() -> usize {
    let slot = CURRENT.get();
    if slot == UNASKED { ask() } else { slot }
}

#[cold]
fn ask() -> usize {
    let slot = HELD.try_with(|held| held.0).unwrap_or(NONE);
    CURRENT.set(slot);
    slot
}

/// A number, given back when its thread ends.
struct Held(usize);

impl Drop for Held {
    fn drop(&mut self) {
        // What other thread-locals still record at their end must not touch the next owner's copy.
        CURRENT.set(NONE);
        NUMBERS.give_back(self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, Mutex};

    use super::*;

    #[test]
    fn no_two_living_threads_have_one_number() {
        let threads = count() + 10;
        let all_here = Barrier::new(threads);
        let mut slots: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        let slot = current();
                        all_here.wait();
                        assert_eq!(current(), slot);
                        slot
                    })
                })
                .collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        // Tests beside this one hold some, too.
        slots.retain(|slot| *slot != NONE);
        assert!(slots.iter().all(|slot| *slot < count()), "{slots:?}");
        let given = slots.len();
        slots.sort_unstable();
        slots.dedup();
        assert_eq!(slots.len(), given);
    }

    #[test]
    fn a_thread_that_is_ending_has_none() {
        thread_local!(static LATE: Late = const { Late });
        static SEEN: Mutex<Option<usize>> = Mutex::new(None);
        struct Late;
        impl Drop for Late {
            fn drop(&mut self) {
                *SEEN.lock().unwrap() = Some(current());
            }
        }
        // Thread-locals end in the reverse order of their first use where the order is kept.
        std::thread::spawn(|| {
            LATE.with(|_| ());
            current();
        })
        .join()
        .unwrap();
        let seen = SEEN.lock().unwrap().unwrap();
        assert!(seen == NONE || seen < count(), "{seen}");
    }
}
