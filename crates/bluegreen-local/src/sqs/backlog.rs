//! The messages of one queue and where each of them stands: a state machine without clock or lock.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fifo::Groups;
use super::journal::{Event, Journal};
use super::message::Message;

/// Messages in flight at once, on standard and FIFO queues alike (AWS: 120,000).
pub(super) const IN_FLIGHT_LIMIT: usize = 120_000;

/// The messages of a queue.
///
/// Every message has a position, given in the order of arrival. All steps cost O(log n).
///
/// Invariants:
/// 1. A message is ready (then in `order`), or delayed or in flight (then in `timers` with the end
///    of that), and in `by_age`, until it is gone from all.
/// 2. Nothing in `timers` or beyond its retention is older than the last `advance`.
#[derive(Debug)]
pub(super) struct Backlog {
    entries: HashMap<u64, Entry>,
    order: Order,
    timers: BTreeSet<(Instant, u64)>,
    by_age: BTreeSet<(Instant, u64)>,
    next_position: u64,
    delayed: usize,
    in_flight: usize,
    pub(super) journal: Journal,
}

#[derive(Debug)]
struct Entry {
    message: Arc<Message>,
    enqueued: Instant,
    state: State,
    /// Receives on this queue, for its redrive policy.
    receives: u32,
    /// Receives in its life, and when the first was.
    life: Life,
    /// Distinguishes the receipt handles of one message: the newest counts.
    receipt: u64,
    received: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Delayed(Instant),
    InFlight(Instant),
}

/// What a message takes along to a dead-letter queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) receives: u32,
    pub(super) first_received_millis: Option<u64>,
}

#[derive(Debug)]
enum Order {
    Standard(BTreeSet<u64>),
    Fifo(Groups),
}

/// Points to one receive of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) position: u64,
    pub(super) receipt: u64,
}

#[derive(Debug)]
pub(super) struct Received {
    pub(super) message: Arc<Message>,
    pub(super) receipt: Receipt,
    pub(super) life: Life,
}

#[derive(Debug)]
pub(super) struct Dead {
    pub(super) message: Arc<Message>,
    pub(super) life: Life,
    pub(super) enqueued: Instant,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Take<'a> {
    pub(super) by: &'a str,
    pub(super) max: usize,
    pub(super) visibility: Duration,
    /// After so many receives a message dies instead of being received again.
    pub(super) max_receives: Option<u32>,
    pub(super) now_millis: u64,
}

#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) received: Vec<Received>,
    pub(super) dead: Vec<Dead>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) visible: usize,
    pub(super) in_flight: usize,
    pub(super) delayed: usize,
}

/// What a receipt handle is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its receive is the one in flight.
    InFlight,
    /// Its visibility has ended and nobody received the message since.
    Expired,
    /// Somebody received the message since.
    Superseded,
    /// The message is gone.
    Gone,
}

impl Backlog {
    pub(super) fn new(fifo: bool) -> Self {
        let order =
            if fifo { Order::Fifo(Groups::default()) } else { Order::Standard(BTreeSet::new()) };
        Self {
            entries: HashMap::new(),
            order,
            timers: BTreeSet::new(),
            by_age: BTreeSet::new(),
            next_position: 0,
            delayed: 0,
            in_flight: 0,
            journal: Journal::default(),
        }
    }

    /// Takes a message in, delayed until that moment.
    pub(super) fn push(
        &mut self,
        message: Arc<Message>,
        life: Life,
        enqueued: Instant,
        delayed_until: Option<Instant>,
    ) {
        let position = self.next_position;
        self.next_position += 1;
        self.order.join(position, group(&message), delayed_until.is_none());
        self.by_age.insert((enqueued, position));
        let state = match delayed_until {
            None => State::Ready,
            Some(until) => {
                self.timers.insert((until, position));
                self.delayed += 1;
                State::Delayed(until)
            }
        };
        let (received, receipt) = (enqueued, 0);
        let entry = Entry { message, enqueued, state, receives: 0, life, receipt, received };
        self.entries.insert(position, entry);
    }

    /// Lets time pass: delays and visibilities end, and what is beyond its retention goes.
    pub(super) fn advance(&mut self, now: Instant, retention: Duration) {
        while let Some(&(due, position)) = self.timers.first()
            && due <= now
        {
            self.make_ready(position, Event::Expired);
        }
        while let Some(&(enqueued, position)) = self.by_age.first()
            && now.saturating_duration_since(enqueued) >= retention
        {
            self.remove(position);
        }
    }

    /// Receives up to `max` messages. Those that have died instead are taken out.
    pub(super) fn take(&mut self, now: Instant, take: Take<'_>) -> Taken {
        let mut taken = Taken::default();
        let mut begun = None;
        while taken.received.len() < take.max && self.in_flight < IN_FLIGHT_LIMIT {
            let Some(position) = self.order.take(&mut begun) else {
                break;
            };
            let Some(entry) = self.entries.get_mut(&position) else {
                continue;
            };
            // In flight from here on, which for a dead message ends at once.
            entry.state = State::InFlight(now + take.visibility);
            self.timers.insert((now + take.visibility, position));
            self.in_flight += 1;
            if take.max_receives.is_some_and(|max| entry.receives >= max) {
                let (life, enqueued) = (entry.life, entry.enqueued);
                taken.dead.extend(self.remove(position).map(|message| Dead {
                    message,
                    life,
                    enqueued,
                }));
                continue;
            }
            entry.receives += 1;
            entry.life.receives += 1;
            entry.life.first_received_millis.get_or_insert(take.now_millis);
            entry.receipt += 1;
            entry.received = now;
            let receipt = Receipt { position, receipt: entry.receipt };
            let message = Arc::clone(&entry.message);
            let by = || Event::Received { by: take.by.to_owned() };
            self.journal.write(&message.id, entry.life.receives, by);
            taken.received.push(Received { message, receipt, life: entry.life });
        }
        if take.visibility.is_zero() {
            for received in &taken.received {
                self.make_ready(received.receipt.position, Event::Expired);
            }
        }
        taken
    }

    pub(super) fn standing(&self, receipt: Receipt) -> Standing {
        match self.entries.get(&receipt.position) {
            None => Standing::Gone,
            Some(entry) if entry.receipt != receipt.receipt => Standing::Superseded,
            Some(entry) => match entry.state {
                State::InFlight(_) => Standing::InFlight,
                State::Ready | State::Delayed(_) => Standing::Expired,
            },
        }
    }

    /// How long ago the receive of this message was that is in flight.
    pub(super) fn since_receive(&self, receipt: Receipt, now: Instant) -> Duration {
        let entry = self.entries.get(&receipt.position);
        entry.map_or(Duration::ZERO, |entry| now.saturating_duration_since(entry.received))
    }

    /// Lets a message in flight become visible so long from now.
    pub(super) fn set_visibility(&mut self, receipt: Receipt, now: Instant, visibility: Duration) {
        let position = receipt.position;
        let Some(entry) = self.entries.get_mut(&position) else {
            return;
        };
        let State::InFlight(until) = entry.state else {
            return;
        };
        let later = now + visibility;
        entry.state = State::InFlight(later);
        self.timers.remove(&(until, position));
        self.timers.insert((later, position));
        if visibility.is_zero() {
            self.make_ready(position, Event::Released);
        } else {
            let hidden = || Event::Hidden(visibility);
            self.journal.write(&entry.message.id, entry.life.receives, hidden);
        }
    }

    pub(super) fn delete(&mut self, receipt: Receipt) {
        if let Some(entry) = self.entries.get(&receipt.position) {
            let receives = entry.life.receives;
            self.journal.write(&entry.message.id, receives, || Event::Deleted);
        }
        self.remove(receipt.position);
    }

    /// A delete came after the message was received again.
    pub(super) fn miss(&mut self, receipt: Receipt) {
        if let Some(entry) = self.entries.get(&receipt.position) {
            let since = u32::try_from(entry.receipt - receipt.receipt).unwrap_or(u32::MAX);
            let receive = entry.life.receives.saturating_sub(since);
            self.journal.write(&entry.message.id, receive, || Event::DeletedTooLate);
        }
    }

    /// Forgets every message, in whatever state.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.timers.clear();
        self.by_age.clear();
        self.order.clear();
        (self.delayed, self.in_flight) = (0, 0);
    }

    pub(super) fn counts(&self) -> Counts {
        let (in_flight, delayed) = (self.in_flight, self.delayed);
        Counts { visible: self.entries.len() - in_flight - delayed, in_flight, delayed }
    }

    pub(super) fn is_at_limit(&self) -> bool {
        self.in_flight >= IN_FLIGHT_LIMIT
    }

    /// Whether a receive would find something.
    pub(super) fn has_available(&self) -> bool {
        !self.is_at_limit() && self.order.any()
    }

    /// When the next delay or visibility ends.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// The delay or the visibility of a message has ended, the latter by this event.
    fn make_ready(&mut self, position: u64, event: Event) {
        let Some(entry) = self.entries.get_mut(&position) else {
            return;
        };
        match std::mem::replace(&mut entry.state, State::Ready) {
            State::Ready => {}
            State::Delayed(until) => {
                self.delayed -= 1;
                self.timers.remove(&(until, position));
                self.order.join(position, group(&entry.message), true);
            }
            State::InFlight(until) => {
                self.in_flight -= 1;
                self.timers.remove(&(until, position));
                self.journal.write(&entry.message.id, entry.life.receives, || event);
                self.order.come_back(position, group(&entry.message));
            }
        }
    }

    fn remove(&mut self, position: u64) -> Option<Arc<Message>> {
        let entry = self.entries.remove(&position)?;
        self.by_age.remove(&(entry.enqueued, position));
        let group = group(&entry.message);
        match entry.state {
            State::Ready => self.order.leave_line(position, group),
            State::Delayed(until) => {
                self.delayed -= 1;
                self.timers.remove(&(until, position));
                self.order.leave_line(position, group);
            }
            State::InFlight(until) => {
                self.in_flight -= 1;
                self.timers.remove(&(until, position));
                self.order.leave_flight(group);
            }
        }
        Some(entry.message)
    }
}

fn group(message: &Message) -> &str {
    message.group.as_deref().unwrap_or_default()
}

impl Order {
    fn any(&self) -> bool {
        match self {
            Self::Standard(ready) => !ready.is_empty(),
            Self::Fifo(groups) => groups.any_free(),
        }
    }

    fn join(&mut self, position: u64, group: &str, is_ready: bool) {
        match self {
            Self::Standard(ready) if is_ready => {
                ready.insert(position);
            }
            Self::Standard(_) => {}
            Self::Fifo(groups) => groups.join(position, group, is_ready),
        }
    }

    fn take(&mut self, begun: &mut Option<Arc<str>>) -> Option<u64> {
        match self {
            Self::Standard(ready) => ready.pop_first(),
            Self::Fifo(groups) => groups.take(begun),
        }
    }

    fn come_back(&mut self, position: u64, group: &str) {
        match self {
            Self::Standard(ready) => {
                ready.insert(position);
            }
            Self::Fifo(groups) => groups.come_back(position, group),
        }
    }

    fn leave_line(&mut self, position: u64, group: &str) {
        match self {
            Self::Standard(ready) => {
                ready.remove(&position);
            }
            Self::Fifo(groups) => groups.leave_line(position, group),
        }
    }

    fn leave_flight(&mut self, group: &str) {
        match self {
            Self::Standard(_) => {}
            Self::Fifo(groups) => groups.leave_flight(group),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Standard(ready) => ready.clear(),
            Self::Fifo(groups) => groups.clear(),
        }
    }
}

#[cfg(test)]
mod tests;
