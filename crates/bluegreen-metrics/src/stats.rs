//! What became of what was recorded.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::own_metrics::OwnMetrics;

/// How the metrics themselves fare, since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Calls that CloudWatch accepted.
    pub sends: u64,
    /// Datums in them.
    pub sent: u64,
    /// Calls that failed, by cause. Also published as `MetricsFailedSends`.
    pub failed_sends: FailedSends,
    /// Datums given up, by cause. Also published as `MetricsDropped` and, by
    /// `Cause`, as `MetricsDroppedByCause`.
    pub dropped: Dropped,
    /// Datums sent again after an unknown outcome: at most so many count twice. Also published as
    /// `MetricsResent`.
    pub resent: u64,
    /// Datums waiting to be sent.
    pub pending: u64,
    /// Records refused because their value was not a number, negative, or out of range. Also
    /// published as `MetricsRefused`.
    pub refused: u64,
    /// How often a series beyond `max_series` was asked for and the overflow series given. Also
    /// published as `MetricsFolded`.
    pub folded: u64,
}

/// Failed calls by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedSends {
    /// Too many calls in the account: not stored, sent again with the next flush.
    pub throttled: u64,
    /// No permission, expired credentials: not stored, sent again with the next flush.
    pub refused: u64,
    /// A datum that CloudWatch does not take: the call is taken apart to find it.
    pub invalid: u64,
    /// No credentials, no connection: nothing was sent; it is with the next flush.
    pub unreachable: u64,
    /// A time-out, a 5xx answer, a connection lost in mid-call: stored or not, nobody knows.
    pub unknown: u64,
}

/// Dropped datums by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// The oldest, when what waits outgrew `max_pending_bytes`.
    pub overflow: u64,
    /// Older than the two weeks, or further ahead than the two hours, that CloudWatch takes.
    pub stale: u64,
    /// Not taken by CloudWatch on their own either.
    pub invalid: u64,
    /// In a call of unknown outcome, with [`OnUnknown::Drop`](crate::OnUnknown::Drop).
    pub unknown: u64,
    /// Not sent by the deadline of the stop.
    pub shutdown: u64,
}

impl FailedSends {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.throttled + self.refused + self.invalid + self.unreachable + self.unknown
    }
}

impl Dropped {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.overflow + self.stale + self.invalid + self.unknown + self.shutdown
    }
}

/// Why a call failed; the variants are those of [`FailedSends`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Throttled,
    Refused,
    Invalid,
    Unreachable,
    Unknown,
}

/// Why a datum was dropped; the variants are those of [`Dropped`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DropCause {
    Overflow,
    Stale,
    Invalid,
    Unknown,
    Shutdown,
}

impl DropCause {
    pub(crate) const ALL: [Self; 5] =
        [Self::Overflow, Self::Stale, Self::Invalid, Self::Unknown, Self::Shutdown];

    /// As the label `Cause` has it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Overflow => "overflow",
            Self::Stale => "stale",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown",
            Self::Shutdown => "shutdown",
        }
    }

    /// The one of five counts, in the order of [`ALL`](Self::ALL), that is this cause's.
    const fn of<T>(self, counts: &[T; 5]) -> &T {
        let [overflow, stale, invalid, unknown, shutdown] = counts;
        match self {
            Self::Overflow => overflow,
            Self::Stale => stale,
            Self::Invalid => invalid,
            Self::Unknown => unknown,
            Self::Shutdown => shutdown,
        }
    }
}

/// The running counts, and the metrics that publish them.
#[derive(Debug)]
pub(crate) struct Counts {
    sends: AtomicU64,
    sent: AtomicU64,
    resent: AtomicU64,
    failed: [AtomicU64; 5],
    dropped: [AtomicU64; 5],
    own: OwnMetrics,
}

impl Counts {
    pub(crate) fn new(own: OwnMetrics) -> Self {
        Self {
            sends: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            resent: AtomicU64::new(0),
            failed: Default::default(),
            dropped: Default::default(),
            own,
        }
    }

    pub(crate) fn sent(&self, datums: usize) {
        self.sends.fetch_add(1, Ordering::Relaxed);
        self.sent.fetch_add(datums as u64, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, failure: Failure) {
        let [throttled, refused, invalid, unreachable, unknown] = &self.failed;
        let count = match failure {
            Failure::Throttled => throttled,
            Failure::Refused => refused,
            Failure::Invalid => invalid,
            Failure::Unreachable => unreachable,
            Failure::Unknown => unknown,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.own.failed_sends.added.add(1);
    }

    pub(crate) fn dropped(&self, cause: DropCause, datums: usize) {
        if datums == 0 {
            return;
        }
        let datums = datums as u64;
        cause.of(&self.dropped).fetch_add(datums, Ordering::Relaxed);
        cause.of(&self.own.dropped_by_cause).added.add(datums);
        self.own.dropped.added.add(datums);
    }

    pub(crate) fn resent(&self, datums: usize) {
        self.resent.fetch_add(datums as u64, Ordering::Relaxed);
        self.own.resent.added.add(datums as u64);
    }

    /// The counts, without what others count.
    pub(crate) fn stats(&self) -> Stats {
        let [throttled, refused, invalid, unreachable, unknown] = self.failed.each_ref().map(read);
        let failed_sends = FailedSends { throttled, refused, invalid, unreachable, unknown };
        let [overflow, stale, invalid, unknown, shutdown] = self.dropped.each_ref().map(read);
        let dropped = Dropped { overflow, stale, invalid, unknown, shutdown };
        Stats {
            sends: read(&self.sends),
            sent: read(&self.sent),
            resent: read(&self.resent),
            failed_sends,
            dropped,
            ..Stats::default()
        }
    }
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}
