//! One queue: its messages behind a lock, and the waking of those who wait for them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_types::base64;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::attributes::QueueConfig;
use super::backlog::{Backlog, Counts, Receipt};
use super::errors::{Kind, Result, SqsError};
use super::fifo::Deduplication;
use crate::World;

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) fifo: bool,
    /// Tells the handles of this queue from those of others, also of a namesake deleted before.
    id: u64,
    created_millis: u64,
    state: Mutex<State>,
    /// Wakes long polls. One is woken per change that makes messages available and passes the word
    /// on if it leaves some; all are woken when the next timer has moved nearer or the queue goes.
    pub(super) woken: Notify,
}

/// What the lock of a queue guards.
#[derive(Debug)]
pub(super) struct State {
    pub(super) config: QueueConfig,
    pub(super) modified_millis: u64,
    pub(super) backlog: Backlog,
    pub(super) deduplication: Deduplication,
    pub(super) sent: u64,
    pub(super) purged: Option<Instant>,
    pub(super) deleted: bool,
    stale: Option<StaleCounts>,
}

/// Counts as they were at the last of the moments `since`, `since + every`, `since + 2 × every`, …
#[derive(Clone, Copy, Debug)]
struct StaleCounts {
    since: Instant,
    every: Duration,
    shown_at: Instant,
    shown: Counts,
}

impl Queue {
    pub(super) fn new(name: &str, config: QueueConfig, now_millis: u64) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let fifo = is_fifo_name(name);
        let state = State {
            config,
            modified_millis: now_millis,
            backlog: Backlog::new(fifo),
            deduplication: Deduplication::default(),
            sent: 0,
            purged: None,
            deleted: false,
            stale: None,
        };
        Self {
            name: name.to_owned(),
            fifo,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            created_millis: now_millis,
            state: Mutex::new(state),
            woken: Notify::new(),
        }
    }

    pub(super) fn arn(&self) -> String {
        arn(&self.name)
    }

    /// Works on the queue as it stands at `now`, then wakes who can use the outcome.
    pub(super) fn at<R>(&self, now: Instant, work: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.advance(now);
        let timer_before = state.backlog.next_timer();
        let result = work(&mut state);
        let timer_is_nearer = match (timer_before, state.backlog.next_timer()) {
            (Some(before), Some(after)) => after < before,
            (None, after) => after.is_some(),
            (Some(_), None) => false,
        };
        let (has_available, deleted) = (state.backlog.has_available(), state.deleted);
        drop(state);
        if timer_is_nearer || deleted {
            self.woken.notify_waiters();
        }
        if has_available {
            self.woken.notify_one();
        }
        result
    }

    /// All attributes as they are shown.
    pub(super) fn attributes(&self, now: Instant) -> BTreeMap<&'static str, String> {
        self.at(now, |state| {
            let counts = state.stale.map_or_else(|| state.backlog.counts(), |stale| stale.shown);
            let mut shown = state.config.shown(self.fifo);
            shown.insert("ApproximateNumberOfMessages", counts.visible.to_string());
            shown.insert("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string());
            shown.insert("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string());
            shown.insert("CreatedTimestamp", (self.created_millis / 1_000).to_string());
            shown.insert("LastModifiedTimestamp", (state.modified_millis / 1_000).to_string());
            shown.insert("QueueArn", self.arn());
            shown
        })
    }

    /// Shows counts that lag by up to `every` from now on; up-to-date ones where that is zero.
    pub(super) fn set_stale_counts(&self, now: Instant, every: Duration) {
        self.at(now, |state| {
            let shown = state.backlog.counts();
            let stale = StaleCounts { since: now, every, shown_at: now, shown };
            state.stale = (!every.is_zero()).then_some(stale);
        });
    }

    /// The opaque text that stands for one receive of one message of this queue.
    pub(super) fn handle(&self, receipt: Receipt) -> String {
        let Receipt { position, receipt } = receipt;
        base64::encode(format!("{}/{position}/{receipt}", self.id))
    }

    pub(super) fn receipt(&self, handle: Option<&str>) -> Result<Receipt> {
        let handle = handle.ok_or_else(|| SqsError::missing("ReceiptHandle"))?;
        self.read_handle(handle).ok_or_else(|| {
            let message =
                format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
            SqsError::new(Kind::ReceiptHandleIsInvalid, message)
        })
    }

    fn read_handle(&self, handle: &str) -> Option<Receipt> {
        let text = String::from_utf8(base64::decode(handle).ok()?).ok()?;
        let mut parts = text.split('/').map(|part| part.parse::<u64>().ok());
        let (id, position, receipt) = (parts.next()??, parts.next()??, parts.next()??);
        (id == self.id && parts.next().is_none()).then_some(Receipt { position, receipt })
    }
}

impl State {
    fn advance(&mut self, now: Instant) {
        let retention = self.config.retention;
        if let Some(stale) = &mut self.stale {
            let periods = now.saturating_duration_since(stale.since).as_nanos()
                / stale.every.as_nanos().max(1);
            let periods = u32::try_from(periods).unwrap_or(u32::MAX);
            let moment = stale.since + stale.every.saturating_mul(periods);
            if moment > stale.shown_at {
                self.backlog.advance(moment, retention);
                (stale.shown_at, stale.shown) = (moment, self.backlog.counts());
            }
        }
        self.backlog.advance(now, retention);
    }
}

pub(super) fn arn(name: &str) -> String {
    format!("arn:aws:sqs:{}:{}:{name}", World::REGION, World::ACCOUNT_ID)
}

pub(super) fn is_fifo_name(name: &str) -> bool {
    name.ends_with(".fifo")
}

/// 1 to 80 letters, digits, hyphens and underscores, with `.fifo` at the end of a FIFO queue's.
pub(super) fn check_name(name: &str) -> Result<()> {
    let stem = name.strip_suffix(".fifo").unwrap_or(name);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !stem.is_empty() && name.len() <= 80 && stem.bytes().all(allowed) {
        return Ok(());
    }
    let message = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in \
                   length";
    Err(SqsError::new(Kind::InvalidParameterValue, message))
}
