use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::Backoff;
use tokio::time::Instant;
use tower_service::Service;

use super::ConsumerError;
use super::report::Count;
use super::running::{Running, Waiting};
use crate::allowance::{Allowance, allowance};
use crate::queues::is_fifo;
use crate::sqs::{BATCH, CallError, Received};
use crate::{Context, Flow, HandlerError, Outcome};

/// The pause after an empty receive that did not wait.
const SHORT_POLL_PAUSE: Duration = Duration::from_millis(200);
/// So many deletes may be unconfirmed, as a multiple of the concurrency, before nothing more is
/// received: what cannot be deleted would only be handled twice.
const DELETES_BEHIND: u64 = 10;

/// What the receiving side remembers.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) poll: Option<Poll>,
    flow: Flow,
    allowance: Allowance,
    /// The start of the first time slice, different in each process.
    origin: Instant,
    /// Since when there is room that is not used.
    room_since: Option<Instant>,
    /// When the next receive may be, for lack of room or after a failure.
    earliest: Option<Instant>,
    not_before: Instant,
    failures: u32,
    has_succeeded: bool,
    changes: Option<Instant>,
}

/// A receive under way.
pub(super) struct Poll {
    /// Whether the call may be on its way: before, it can be given up without a trace.
    is_sent: bool,
    answer: Pin<Box<dyn Future<Output = Result<Vec<Received>, CallError>> + Send>>,
    waits: bool,
    /// When to give it up, once there is no wish for it any more.
    ends: Option<Instant>,
}

impl Poll {
    /// The answer of the open receive; never, when none is open.
    pub(super) async fn answer(poll: &mut Option<Self>) -> Result<Vec<Received>, CallError> {
        match poll {
            Some(open) => {
                open.is_sent = true;
                open.answer.as_mut().await
            }
            None => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poll").field("ends", &self.ends).finish_non_exhaustive()
    }
}

impl Receiver {
    /// `phase` of the slice, from 0 to 1, in which this process begins.
    pub(super) fn new(phase: f64, slice: Duration) -> Self {
        let now = Instant::now();
        Self {
            poll: None,
            flow: Flow::Closed,
            allowance: Allowance { permits: 0, changes: None, shrinks: None },
            origin: now.checked_sub(slice.mul_f64(phase)).unwrap_or(now),
            room_since: None,
            earliest: None,
            not_before: now,
            failures: 0,
            has_succeeded: false,
            changes: None,
        }
    }

    /// The next moment to look again.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let ends = self.poll.as_ref().and_then(|poll| poll.ends);
        let earliest = self.earliest.filter(|earliest| *earliest > now);
        ends.into_iter().chain(earliest).chain(self.changes).min()
    }
}

impl<S> Running<S>
where
    S: Service<Context, Response = Outcome, Error = HandlerError> + Clone + Send + 'static,
    S::Future: Send,
{
    /// Opens a receive when there is wish and room for one, and ends one that nobody wants.
    pub(super) fn poll(&mut self, now: Instant) {
        let allowance = self.allow(now);
        let receiver = &mut self.receiver;
        if let Some(poll) = &mut receiver.poll {
            let grace = now + self.config.poll_grace;
            if allowance.permits > 0 {
                poll.ends = None;
            } else if !poll.is_sent || *poll.ends.get_or_insert(grace) <= now {
                receiver.poll = None;
            }
            return;
        }
        receiver.earliest = None;
        let room = allowance.permits.saturating_sub(count(self.leases.len()));
        let behind = self.unconfirmed > DELETES_BEHIND * u64::from(self.config.concurrency);
        if room == 0 || behind {
            receiver.room_since = None;
            return;
        }
        let since = *receiver.room_since.get_or_insert(now);
        let full = room >= count(BATCH).min(allowance.permits);
        let settled = if full { now } else { since + self.config.linger };
        let earliest = settled.max(receiver.not_before);
        if earliest > now {
            receiver.earliest = Some(earliest);
        } else {
            self.open(room, allowance);
        }
    }

    /// What this consumer may have in hand now.
    fn allow(&mut self, now: Instant) -> Allowance {
        let subscription = &self.worker.subscription;
        let flow = if self.is_ending() || *self.paused.borrow() {
            Flow::Closed
        } else {
            subscription.flow(self.following.phase())
        };
        let receiver = &mut self.receiver;
        if flow != receiver.flow {
            tracing::info!(url = %subscription.url, ?flow, "the gate of a consumer moved");
            receiver.flow = flow;
        }
        let elapsed = now.saturating_duration_since(receiver.origin);
        receiver.allowance = allowance(flow, self.config.concurrency, elapsed, self.config.slice);
        receiver.changes = receiver.allowance.changes.map(|left| now + left);
        receiver.allowance
    }

    fn open(&mut self, room: u32, allowance: Allowance) {
        let most = room.min(count(BATCH));
        // A receive that outlives its time slice would take what it may no longer keep.
        let left = allowance.shrinks.map_or(u64::MAX, |left| left.as_secs());
        let wait = Duration::from_secs(self.config.wait.as_secs().min(left));
        let visibility = u32::try_from(self.config.visibility.as_secs()).unwrap_or(u32::MAX);
        let worker = Arc::clone(&self.worker);
        let answer = Box::pin(async move {
            worker.sqs.receive(&worker.subscription.url, most, wait, visibility).await
        });
        self.receiver.room_since = None;
        self.receiver.poll =
            Some(Poll { is_sent: false, answer, waits: !wait.is_zero(), ends: None });
    }

    pub(super) fn polled(
        &mut self,
        result: Result<Vec<Received>, CallError>,
    ) -> Result<(), ConsumerError> {
        let now = Instant::now();
        let waited = self.receiver.poll.take().is_some_and(|poll| poll.waits);
        match result {
            Ok(messages) => {
                self.worker.counters.one(Count::Receive);
                self.receiver.failures = 0;
                self.receiver.has_succeeded = true;
                if messages.is_empty() && !waited {
                    self.receiver.not_before = now + SHORT_POLL_PAUSE;
                }
                self.take(messages, now);
                Ok(())
            }
            Err(error) => self.poll_failed(error, now),
        }
    }

    fn poll_failed(&mut self, error: CallError, now: Instant) -> Result<(), ConsumerError> {
        self.worker.counters.one(Count::ReceiveError);
        let missing = error.is_queue_missing() && !self.receiver.has_succeeded;
        let (url, source) = (&self.worker.subscription.url, error.into_source());
        if missing {
            return Err(ConsumerError::QueueMissing { url: url.to_string(), source });
        }
        // Half of the bound is certain, so that no luck of the draw makes it spin.
        let bound = Backoff::default().bound(self.receiver.failures);
        let jitter = Backoff::default().delay(self.receiver.failures, self.random.u64(..));
        let pause = (bound + jitter) / 2;
        tracing::warn!(%url, error = %source, ?pause, "a receive failed");
        self.receiver.failures = self.receiver.failures.saturating_add(1);
        self.receiver.not_before = now + pause;
        Ok(())
    }

    /// Starts what there is room for and releases the rest: the gate may have moved meanwhile.
    fn take(&mut self, messages: Vec<Received>, now: Instant) {
        self.worker.counters.add(Count::Received, u64::try_from(messages.len()).unwrap_or(0));
        let allowed = self.allow(now).permits;
        for message in messages {
            let slot = self.next_slot;
            self.next_slot += 1;
            let lease = self.leases.begin(slot, Arc::clone(&message.handle), now);
            if count(self.leases.len()) > allowed {
                self.release(slot, now);
            } else {
                self.admit(Waiting { slot, message, lease });
            }
        }
    }

    fn admit(&mut self, waiting: Waiting) {
        let group = waiting.message.group.clone();
        let ready = match group.filter(|_| is_fifo(&self.worker.subscription.url)) {
            Some(group) => self.groups.admit(&group, waiting),
            None => Some(waiting),
        };
        if let Some(ready) = ready {
            self.start(ready);
        }
    }

    pub(super) fn start(&mut self, Waiting { slot, message, lease }: Waiting) {
        let (worker, service) = (Arc::clone(&self.worker), self.service.clone());
        let entropy = self.random.u64(..);
        self.handlers.spawn(worker.process(service, slot, message, lease, entropy));
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
