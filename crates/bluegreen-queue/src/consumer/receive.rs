use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use bluegreen_core::Backoff;
use futures_util::future::{AbortHandle, Aborted, abortable};
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use tower_service::Service;

use super::ConsumerError;
use super::report::Count;
use super::running::{Running, Waiting};
use crate::allowance::{Allowance, allowance};
use crate::queues::is_fifo;
use crate::sqs::{BATCH, CallError, Messages};
use crate::{ConsumerConfig, Context, Flow, HandlerError, Outcome};

/// The pause after an empty receive that did not wait.
const SHORT_POLL_PAUSE: Duration = Duration::from_millis(200);
/// So many deletes may be unconfirmed, as a multiple of the concurrency, before nothing more is
/// received: what cannot be deleted would only be handled twice.
const DELETES_BEHIND: u64 = 10;

/// What the receiving side remembers.
#[derive(Debug)]
pub(super) struct Receiver {
    polls: Vec<Poll>,
    pub(super) answers: FuturesUnordered<Answer>,
    next_poll: u64,
    /// How many receives may be open at once: one more after each that came back full, one after
    /// any that did not.
    parallel: u32,
    /// Whether the last receive found all it asked for: more may be there.
    is_busy: bool,
    flow: Flow,
    allowance: Allowance,
    /// The start of a time slice.
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
#[derive(Debug)]
struct Poll {
    number: u64,
    /// Whether the call may be on its way: before, it can be given up without a trace.
    is_sent: Arc<AtomicBool>,
    abort: AbortHandle,
    most: u32,
    waits: bool,
    /// When to give it up, once there is no wish for it any more.
    ends: Option<Instant>,
}

/// The answer of a receive, by its number; none, where it was given up.
pub(super) type Polled = (u64, Result<Result<Messages, CallError>, Aborted>);

type Answer = Pin<Box<dyn Future<Output = Polled> + Send>>;

impl Receiver {
    /// The slices begin with the wall clock, so that those of a fleet coincide.
    pub(super) fn new(config: &ConsumerConfig) -> Self {
        let (now, wall) = (Instant::now(), config.clock.now());
        let since = wall.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let position = since.as_nanos() % config.slice.as_nanos().max(1);
        let position = Duration::from_nanos(u64::try_from(position).unwrap_or(0));
        // Where the machine has not run for as long, the slice before the last began as well.
        let origin = now.checked_sub(position).unwrap_or(now + config.slice - position);
        Self {
            polls: Vec::new(),
            answers: FuturesUnordered::new(),
            next_poll: 0,
            parallel: 1,
            is_busy: false,
            flow: Flow::Closed,
            allowance: allowance(Flow::Closed, 0, Duration::ZERO, config.slice),
            origin,
            room_since: None,
            earliest: None,
            not_before: now,
            failures: 0,
            has_succeeded: false,
            changes: None,
        }
    }

    /// Whether no receive is open.
    pub(super) fn is_idle(&self) -> bool {
        self.polls.is_empty()
    }

    /// Gives all open receives up at once.
    pub(super) fn give_up(&mut self) {
        self.polls.clear();
        self.answers = FuturesUnordered::new();
    }

    /// The next moment to look again.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let ends = self.polls.iter().filter_map(|poll| poll.ends).min();
        let earliest = self.earliest.filter(|earliest| *earliest > now);
        ends.into_iter().chain(earliest).chain(self.changes).min()
    }

    /// Ends the open receives that nobody wants any more.
    fn end(&mut self, is_wanted: bool, now: Instant, grace: Duration) {
        self.polls.retain_mut(|poll| {
            if is_wanted {
                poll.ends = None;
                return true;
            }
            let is_sent = poll.is_sent.load(Ordering::Relaxed);
            let stays = is_sent && *poll.ends.get_or_insert(now + grace) > now;
            if !stays {
                poll.abort.abort();
            }
            stays
        });
    }

    /// What the open receives may bring.
    fn reserved(&self) -> u32 {
        self.polls.iter().map(|poll| poll.most).sum()
    }
}

impl<S> Running<S>
where
    S: Service<Context, Response = Outcome, Error = HandlerError> + Clone + Send + 'static,
    S::Future: Send,
{
    /// Opens receives while there is wish and room for them, and ends those that nobody wants.
    pub(super) fn poll(&mut self, now: Instant) {
        let allowance = self.allow(now);
        self.start_ready(allowance.permits);
        self.receiver.end(allowance.permits > 0, now, self.config.poll_grace);
        if self.receiver.flow == Flow::Closed {
            // What is being handled goes on, what waits behind it begins elsewhere.
            for waiting in self.groups.give_up_all() {
                self.release(waiting.slot, now);
            }
            // Nothing that is kept is begun here for now, nor is its group anywhere else while it
            // is kept. An open receive would bring it back.
            if self.receiver.is_idle() {
                self.give_back_all(now);
            }
        }
        self.receiver.earliest = None;
        while self.is_due(allowance, now) {
            self.open(allowance);
        }
    }

    /// Whether another receive is to be opened now.
    fn is_due(&mut self, allowance: Allowance, now: Instant) -> bool {
        let room = self.room(allowance);
        let receiver = &mut self.receiver;
        let behind = self.unconfirmed > DELETES_BEHIND * u64::from(self.config.concurrency);
        // An idle queue is left to those who may wait.
        let idle = !allowance.may_wait && !receiver.is_busy;
        if room == 0 || behind || idle {
            receiver.room_since = None;
            return false;
        }
        if count(receiver.polls.len()) >= receiver.parallel {
            return false;
        }
        let since = *receiver.room_since.get_or_insert(now);
        let full = room >= count(BATCH).min(allowance.permits);
        if !full && !receiver.polls.is_empty() {
            return false;
        }
        let settled = if full { now } else { since + self.config.linger };
        let earliest = settled.max(receiver.not_before);
        receiver.earliest = Some(earliest).filter(|earliest| *earliest > now);
        earliest <= now
    }

    /// How many messages more may come.
    fn room(&self, allowance: Allowance) -> u32 {
        let taken = self.in_hand().saturating_add(self.receiver.reserved());
        allowance.permits.saturating_sub(taken)
    }

    /// How many messages take permits: all that are here but those kept for another queue's sake,
    /// and those that wait for an earlier one of their group. Of these SQS hands out nine a group
    /// at most, and a slow message must not keep all other groups from the permits.
    pub(super) fn in_hand(&self) -> u32 {
        let (all, behind) = (self.leases.len(), self.groups.len());
        match &self.config.hand_over {
            Some(hand_over) if !self.holds.is_empty() => {
                let kept = self.holds.len(&self.groups);
                let behind = behind - (kept - self.holds.firsts());
                count(all - behind).saturating_sub(count(kept).min(hand_over.max_held))
            }
            _ => count(all - behind),
        }
    }

    /// What this consumer may have in hand now.
    fn allow(&mut self, now: Instant) -> Allowance {
        let subscription = &self.worker.subscription;
        let flow = if self.is_ending() || *self.paused.borrow() {
            Flow::Closed
        } else {
            subscription.flow(&self.following)
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

    fn open(&mut self, allowance: Allowance) {
        let most = self.room(allowance).min(count(BATCH));
        // A receive that outlives its time slice would take what it may no longer keep.
        let left = match allowance {
            Allowance { may_wait: false, .. } => 0,
            Allowance { shrinks, .. } => shrinks.map_or(u64::MAX, |left| left.as_secs()),
        };
        let wait = Duration::from_secs(self.config.wait.as_secs().min(left));
        let visibility = u32::try_from(self.config.visibility.as_secs()).unwrap_or(u32::MAX);
        let (worker, is_sent) = (Arc::clone(&self.worker), Arc::<AtomicBool>::default());
        let sent = Arc::clone(&is_sent);
        let (call, abort) = abortable(async move {
            sent.store(true, Ordering::Relaxed);
            worker.sqs.receive(&worker.subscription.url, most, wait, visibility).await
        });
        let receiver = &mut self.receiver;
        let number = receiver.next_poll;
        receiver.next_poll += 1;
        receiver.room_since = None;
        receiver.answers.push(Box::pin(async move { (number, call.await) }));
        let waits = !wait.is_zero();
        receiver.polls.push(Poll { number, is_sent, abort, most, waits, ends: None });
    }

    pub(super) fn polled(&mut self, (number, result): Polled) -> Result<(), ConsumerError> {
        let now = Instant::now();
        let place = self.receiver.polls.iter().position(|poll| poll.number == number);
        let (Some(place), Ok(result)) = (place, result) else {
            return Ok(());
        };
        let poll = self.receiver.polls.swap_remove(place);
        match result {
            Ok(messages) => {
                self.worker.counters.one(Count::Receive);
                let receiver = &mut self.receiver;
                receiver.failures = 0;
                receiver.has_succeeded = true;
                receiver.is_busy = count(messages.len()) >= poll.most;
                receiver.parallel = match receiver.is_busy {
                    true => (receiver.parallel + 1).min(self.config.max_receives),
                    false => 1,
                };
                if messages.len() == 0 && !poll.waits {
                    receiver.not_before = now + SHORT_POLL_PAUSE;
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
        self.receiver.parallel = 1;
        self.receiver.not_before = now + pause;
        Ok(())
    }

    /// Starts what there is room for and releases the rest: the gate may have moved meanwhile.
    fn take(&mut self, messages: Messages, now: Instant) {
        self.worker.counters.add(Count::Received, u64::try_from(messages.len()).unwrap_or(0));
        let allowed = self.allow(now).permits;
        for mut message in messages.read() {
            let slot = self.next_slot;
            self.next_slot += 1;
            let lease = self.leases.begin(slot, std::mem::take(&mut message.handle), now);
            if self.in_hand() > allowed {
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
            self.begin(ready);
        }
    }

    pub(super) fn start(&mut self, Waiting { slot, message, lease }: Waiting) {
        let (worker, service) = (Arc::clone(&self.worker), self.service.clone());
        let entropy = self.random.u64(..);
        let group = message.group.clone();
        let handling = async move { worker.process(service, &message, &lease, entropy).await };
        self.handlers.spawn(slot, group, handling);
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
