//! Sends what is pending, and decides what becomes of a call that failed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bluegreen_core::{Backoff, Clock, Stop};
use tokio::time::Instant;

use crate::OnUnknown;
use crate::batch::MOST_DATUMS;
use crate::pending::Pending;
use crate::point::Point;
use crate::put::Failed;
use crate::sink::Sink;
use crate::stats::{Counts, DropCause, Failure};

#[derive(Debug)]
pub(crate) struct Flusher {
    pub(crate) sink: Sink,
    pub(crate) pending: Arc<Mutex<Pending>>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) on_unknown: OnUnknown,
    pub(crate) send_timeout: Duration,
    pub(crate) clock: Clock,
    /// Whether the last call failed, so that an outage is told once and not in every flush.
    pub(crate) failing: AtomicBool,
}

/// How a flush ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing is pending.
    All,
    /// A call failed; what is left waits for the next flush.
    Halted,
}

/// What follows a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Send on, at most so many datums in a call.
    Call(usize),
    Halt,
}

impl Flusher {
    pub(crate) fn add(&self, points: Vec<Point>) {
        let points = self.sink.arranged(points);
        let dropped = self.pending().add(points);
        self.counts.dropped(DropCause::Overflow, dropped);
    }

    /// Sends until nothing is pending or a call fails. A dropped future leaves its last call's
    /// datums in the count of pending ones.
    pub(crate) async fn flush(&self, stop: &Stop) -> Flushed {
        let stale = self.pending().drop_stale(self.clock.now());
        self.counts.dropped(DropCause::Stale, stale);
        let mut limit = MOST_DATUMS;
        loop {
            let batch = self.take(limit);
            if batch.is_empty() {
                return Flushed::All;
            }
            let result = self.sink.deliver(&batch, self.patience(stop)).await;
            let next = match result {
                Ok(()) => self.accepted(&batch, limit),
                Err(failed) => self.failed(batch, &failed),
            };
            match next {
                Next::Call(datums) => limit = datums,
                Next::Halt => return Flushed::Halted,
            }
        }
    }

    /// Flushes until nothing is pending, with growing pauses between failures.
    pub(crate) async fn drain(&self, seed: u64, stop: &Stop) {
        let backoff = Backoff::default();
        let mut attempt = 0;
        while self.flush(stop).await == Flushed::Halted {
            tokio::time::sleep(backoff.delay(attempt, seed.rotate_left(attempt * 7))).await;
            attempt += 1;
        }
    }

    /// Counts what is left as dropped.
    pub(crate) fn abandon(&self) {
        let mut pending = self.pending();
        let left = pending.len();
        *pending = Pending::new(0);
        self.counts.dropped(DropCause::Shutdown, left);
    }

    /// How long one call may take. Once the stop is requested, a call under way included, that is a
    /// share of the time left: should it hang, all that waits still fits in behind it.
    async fn patience(&self, stop: &Stop) {
        let share = async {
            let deadline = stop.requested().await;
            let left = deadline.saturating_duration_since(Instant::now());
            // The call itself, those that wait, and one more.
            tokio::time::sleep(left / self.calls_waiting().saturating_add(2)).await;
        };
        tokio::select! {
            () = tokio::time::sleep(self.send_timeout) => {}
            () = share => {}
        }
    }

    /// In how many calls what waits goes out.
    fn calls_waiting(&self) -> u32 {
        let pending = self.pending();
        let (mut calls, mut placed) = (0, 0);
        loop {
            match self.sink.fitting(pending.iter().skip(placed), MOST_DATUMS) {
                0 => return calls,
                points => placed += points,
            }
            calls += 1;
        }
    }

    fn take(&self, limit: usize) -> Vec<Point> {
        let mut pending = self.pending();
        let count = self.sink.fitting(pending.iter(), limit);
        pending.take(count)
    }

    fn accepted(&self, batch: &[Point], limit: usize) -> Next {
        self.pending().settled(batch.len());
        self.counts.sent(batch.len());
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("metrics are sent again");
        }
        Next::Call((limit * 2).min(MOST_DATUMS))
    }

    fn failed(&self, batch: Vec<Point>, failed: &Failed) -> Next {
        self.counts.failed(failed.failure);
        self.tell(failed);
        match failed.failure {
            Failure::Throttled | Failure::Refused | Failure::Unreachable => {
                self.give_back(batch);
                Next::Halt
            }
            Failure::Unknown => {
                match self.on_unknown {
                    OnUnknown::Resend => {
                        self.counts.resent(batch.len());
                        self.give_back(batch);
                    }
                    OnUnknown::Drop => self.give_up(&batch, DropCause::Unknown),
                }
                Next::Halt
            }
            // One bad datum has the whole call refused: halve it until the bad one stands alone.
            Failure::Invalid if batch.len() > 1 => {
                let half = batch.len() / 2;
                self.give_back(batch);
                Next::Call(half)
            }
            Failure::Invalid => {
                self.give_up(&batch, DropCause::Invalid);
                Next::Call(1)
            }
        }
    }

    fn give_back(&self, batch: Vec<Point>) {
        let dropped = self.pending().give_back(batch);
        self.counts.dropped(DropCause::Overflow, dropped);
    }

    fn give_up(&self, batch: &[Point], cause: DropCause) {
        self.pending().settled(batch.len());
        self.counts.dropped(cause, batch.len());
    }

    fn tell(&self, failed: &Failed) {
        let Failed { failure, reason } = failed;
        if self.failing.swap(true, Ordering::Relaxed) {
            tracing::debug!(?failure, reason, "metrics could not be sent");
        } else {
            tracing::warn!(?failure, reason, "metrics could not be sent");
        }
    }

    // Nothing panics with the lock held; if it did, the queue would still be whole.
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
