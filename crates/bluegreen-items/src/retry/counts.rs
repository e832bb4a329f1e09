use std::sync::atomic::{AtomicU64, Ordering};

use super::RetryClass;
use crate::counters;

/// What was repeated, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryCounts {
    /// Repetitions of calls that were turned away because of their rate.
    pub throttling: u64,
    /// Those of calls whose item a transaction or another region had.
    pub conflict: u64,
    /// Those of calls that the service failed at.
    pub server_error: u64,
    /// Those of calls that got no answer.
    pub transient: u64,
    /// Changes that were made anew because another write came first.
    pub lost_race: u64,
    /// Calls that were given up although another try might have succeeded.
    pub gave_up: u64,
}

/// Counts repetitions. Each is counted for the `metrics` facade as well.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    throttling: AtomicU64,
    conflict: AtomicU64,
    server_error: AtomicU64,
    transient: AtomicU64,
    lost_race: AtomicU64,
    gave_up: AtomicU64,
}

impl Counters {
    pub(crate) fn retried(&self, class: RetryClass) {
        let (counter, reason) = match class {
            RetryClass::Throttling => (&self.throttling, "throttling"),
            RetryClass::Conflict => (&self.conflict, "conflict"),
            RetryClass::ServerError => (&self.server_error, "server_error"),
            RetryClass::Transient => (&self.transient, "transient"),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        counters::retried(reason);
    }

    pub(crate) fn lost_race(&self) {
        self.lost_race.fetch_add(1, Ordering::Relaxed);
        counters::retried("lost_race");
    }

    pub(crate) fn gave_up(&self) {
        self.gave_up.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> RetryCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RetryCounts {
            throttling: read(&self.throttling),
            conflict: read(&self.conflict),
            server_error: read(&self.server_error),
            transient: read(&self.transient),
            lost_race: read(&self.lost_race),
            gave_up: read(&self.gave_up),
        }
    }
}
