use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::capacity::Capacity;
use crate::{ItemError, Key};

/// How many failures a report keeps; all are counted and logged.
const MOST_FAILURES: usize = 100;

/// How far a [`Backfill`](super::Backfill) is. Clones show the same.
#[derive(Clone, Debug)]
pub struct BackfillHandle {
    pub(super) counts: Arc<Counts>,
}

/// How far a backfill is, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Items that were looked at, those of the runs before it that it resumes included.
    pub scanned: u64,
    /// Those that were stored in the newer schema version, or would be by a dry run.
    pub migrated: u64,
    /// Those of this run that needed nothing: of the newer version already, not selected, deleted
    /// meanwhile.
    pub unchanged: u64,
    /// Those that could not be migrated, those of the runs before it that it resumes included.
    pub failed: u64,
    /// Writes of others that came between; such items are looked at again.
    pub conflicts: u64,
    /// How many items the table has, as DynamoDB counts every six hours or so; nothing where it
    /// says none.
    pub total: Option<u64>,
    /// The time that this run has taken.
    pub elapsed: Duration,
    /// The time it will still take at the same pace; nothing where that cannot be told yet.
    pub remaining: Option<Duration>,
    /// Read units that this run has consumed.
    pub read_units: f64,
    /// Write units that this run has consumed.
    pub write_units: f64,
}

/// An item that could not be migrated. It was left as it is.
#[derive(Debug)]
#[non_exhaustive]
pub struct BackfillFailure {
    /// The item; nothing where it has no key by the table's names.
    pub key: Option<Key>,
    /// What is wrong with it.
    pub error: ItemError,
}

/// An item that a run before this one could not migrate, as the checkpoint remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EarlierFailure {
    /// The item; nothing where it has no key by the table's names.
    pub key: Option<Key>,
    /// What was wrong with it, cut to 200 characters.
    pub reason: String,
}

/// What a backfill counts.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) scanned: AtomicU64,
    pub(super) migrated: AtomicU64,
    pub(super) unchanged: AtomicU64,
    pub(super) conflicts: AtomicU64,
    failed: AtomicU64,
    /// What failed in the runs before.
    failed_before: AtomicU64,
    failures: Mutex<Vec<BackfillFailure>>,
    /// What the runs before have scanned.
    resumed: AtomicU64,
    begun: OnceLock<Instant>,
    total: OnceLock<u64>,
    pub(super) reads: Arc<Capacity>,
    pub(super) writes: Arc<Capacity>,
}

impl Counts {
    pub(super) fn new(read_rate: Option<f64>, write_rate: Option<f64>) -> Self {
        Self {
            scanned: AtomicU64::new(0),
            migrated: AtomicU64::new(0),
            unchanged: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            failed_before: AtomicU64::new(0),
            failures: Mutex::default(),
            resumed: AtomicU64::new(0),
            begun: OnceLock::new(),
            total: OnceLock::new(),
            reads: Arc::new(Capacity::new(read_rate)),
            writes: Arc::new(Capacity::new(write_rate)),
        }
    }

    pub(super) fn begin(&self, (scanned, migrated, failed): (u64, u64, u64), total: Option<u64>) {
        self.scanned.store(scanned, Ordering::Relaxed);
        self.migrated.store(migrated, Ordering::Relaxed);
        self.failed_before.store(failed, Ordering::Relaxed);
        self.resumed.store(scanned, Ordering::Relaxed);
        self.begun.get_or_init(Instant::now);
        if let Some(total) = total.filter(|total| *total > 0) {
            self.total.get_or_init(|| total);
        }
    }

    /// All is gone through again, and what fails will fail again.
    pub(super) fn begin_again(&self) {
        let counts =
            [&self.scanned, &self.migrated, &self.unchanged, &self.failed, &self.failed_before];
        counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
        self.resumed.store(0, Ordering::Relaxed);
        drop(self.take_failures());
    }

    /// Takes note of a failure, and answers how many there are in this run.
    pub(super) fn fail(&self, key: Option<Key>, error: ItemError) -> u64 {
        tracing::warn!(key = key.as_ref().map(tracing::field::display), %error, "not migrated");
        let before = self.failed.fetch_add(1, Ordering::Relaxed);
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() < MOST_FAILURES {
            failures.push(BackfillFailure { key, error });
        }
        before.saturating_add(1)
    }

    pub(super) fn take_failures(&self) -> Vec<BackfillFailure> {
        std::mem::take(&mut *self.failures.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl BackfillHandle {
    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        let (scanned, resumed) = (read(&counts.scanned), read(&counts.resumed));
        let total = counts.total.get().copied();
        let elapsed = counts.begun.get().map_or(Duration::ZERO, Instant::elapsed);
        Progress {
            scanned,
            migrated: read(&counts.migrated),
            unchanged: read(&counts.unchanged),
            failed: read(&counts.failed).saturating_add(read(&counts.failed_before)),
            conflicts: read(&counts.conflicts),
            total,
            elapsed,
            remaining: total.and_then(|total| {
                estimate(total.saturating_sub(scanned), scanned.saturating_sub(resumed), elapsed)
            }),
            read_units: counts.reads.spent(),
            write_units: counts.writes.spent(),
        }
    }
}

/// The time for what is `left`, when so much was `done` in `elapsed`.
fn estimate(left: u64, done: u64, elapsed: Duration) -> Option<Duration> {
    let nanos = elapsed.as_nanos().checked_mul(u128::from(left))?.checked_div(u128::from(done))?;
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_left_is_estimated_by_the_pace_of_this_run() {
        let handle = BackfillHandle { counts: Arc::new(Counts::new(None, None)) };
        assert_eq!(handle.progress().remaining, None);
        handle.counts.begin((400, 10, 0), Some(1_000));
        assert_eq!(handle.progress().remaining, None, "nothing is done yet");
        tokio::time::advance(Duration::from_secs(60)).await;
        handle.counts.scanned.fetch_add(200, Ordering::Relaxed);
        let progress = handle.progress();
        assert_eq!((progress.scanned, progress.total), (600, Some(1_000)));
        assert_eq!(progress.remaining, Some(Duration::from_secs(120)));
        handle.counts.scanned.fetch_add(900, Ordering::Relaxed);
        let late = handle.progress().remaining;
        assert_eq!(late, Some(Duration::ZERO), "the table has grown since it was counted");
        assert_eq!(estimate(u64::MAX, 1, Duration::MAX), None);
    }
}
