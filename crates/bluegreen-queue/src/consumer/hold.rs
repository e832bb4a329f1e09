use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep};
use tower_service::Service;

use super::groups::Groups;
use super::report::Count;
use super::running::{Running, Waiting};
use super::slot::Slot;
use crate::hand_over::HandOver;
use crate::{Context, HandlerError, Outcome, Parked};

/// So many markers are remembered; beyond, all are asked for again.
const MOST: usize = 100_000;

/// Messages of groups that are still in the other color's queue: each the first of its group here.
#[derive(Default)]
pub(super) struct Holds {
    held: HashMap<Slot, Waiting>,
    /// Their markers were handled; they wait for a permit.
    ready: VecDeque<Waiting>,
    /// Ask for the markers, each for a message.
    pub(super) asking: JoinSet<Option<Arc<str>>>,
    asked_for: HashMap<Id, Slot>,
    /// Markers that were handled: that stays true.
    handled: HashSet<Arc<str>>,
}

/// What a question for a marker has led to: the marker, once it was handled; nothing when the lease
/// was lost before.
pub(super) type Asked = Result<(Id, Option<Arc<str>>), JoinError>;

impl Holds {
    /// How many messages wait for another queue or a permit, those behind them included.
    pub(super) fn len(&self, groups: &Groups<Waiting>) -> usize {
        let all = self.held.values().chain(&self.ready);
        all.map(|one| 1 + one.message.group.as_ref().map_or(0, |group| groups.behind(group))).sum()
    }

    /// How many of them are the first of their group here.
    pub(super) fn firsts(&self) -> usize {
        self.held.len() + self.ready.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.ready.is_empty()
    }

    /// All of them go back, and no more is asked.
    pub(super) fn give_up(&mut self) -> Vec<Waiting> {
        self.asking = JoinSet::new();
        self.asked_for.clear();
        self.held.drain().map(|(_, one)| one).chain(self.ready.drain(..)).collect()
    }
}

impl<S> Running<S>
where
    S: Service<Context, Response = Outcome, Error = HandlerError> + Clone + Send + 'static,
    S::Future: Send,
{
    /// Starts the first message of a group, or of a queue without groups; keeps one whose group is
    /// still in the other color's queue.
    pub(super) fn begin(&mut self, waiting: Waiting) {
        match self.marker(&waiting) {
            Some((hand_over, marker)) => self.hold(waiting, hand_over, marker),
            None => self.start(waiting),
        }
    }

    /// The marker that a message has to wait for, as far as is known.
    fn marker(&self, waiting: &Waiting) -> Option<(HandOver, Arc<str>)> {
        let hand_over = self.config.hand_over.as_ref()?;
        // Its marker was handled before that, and may be forgotten by now.
        if waiting.message.attributes.was_sent_elsewhere() {
            return None;
        }
        let envelope = self.worker.hands_over(&waiting.message)?;
        let marker = envelope.after().filter(|after| !self.holds.handled.contains(*after))?;
        // The same where no attribute was free to say so.
        if Parked::is_around(&waiting.message.body) {
            return None;
        }
        Some((hand_over.clone(), marker.into()))
    }

    fn hold(&mut self, waiting: Waiting, hand_over: HandOver, marker: Arc<str>) {
        let (slot, lease) = (waiting.slot, waiting.lease.clone());
        tracing::debug!(message = %waiting.message.id, %marker, "a group waits for its marker");
        self.worker.counters.one(Count::Held);
        self.holds.held.insert(slot, waiting);
        let seed = self.random.u64(..);
        let asking = self.holds.asking.spawn(async move {
            tokio::select! {
                () = until_handled(&hand_over, &marker, seed) => Some(marker),
                () = lease.lost() => None,
            }
        });
        self.holds.asked_for.insert(asking.id(), slot);
    }

    pub(super) fn asked(&mut self, asked: Asked) {
        let id = asked.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let slot = self.holds.asked_for.remove(&id);
        let Some(waiting) = slot.and_then(|slot| self.holds.held.remove(&slot)) else { return };
        match asked {
            Ok((_, handled)) => {
                if self.holds.handled.len() >= MOST {
                    self.holds.handled.clear();
                }
                self.holds.handled.extend(handled);
                self.holds.ready.push_back(waiting);
            }
            Err(_) => self.panicked(waiting.slot, waiting.message.group.as_deref(), Instant::now()),
        }
    }

    /// Starts those whose markers were handled, as far as there are permits. What else is kept
    /// does not count here, however much it is: it would wait for itself.
    pub(super) fn start_ready(&mut self, permits: u32) {
        while self.at_work() < permits
            && let Some(waiting) = self.holds.ready.pop_front()
        {
            match waiting.lease.is_lost() {
                false => self.start(waiting),
                true => self.give_back(&waiting, Instant::now()),
            }
        }
    }

    /// How many messages are at work: all but those kept and those behind another of their group.
    fn at_work(&self) -> u32 {
        let (kept, behind) = (self.holds.firsts(), self.groups.len());
        u32::try_from(self.leases.len().saturating_sub(kept + behind)).unwrap_or(u32::MAX)
    }

    /// Shows a message that was kept to others, and all that wait behind it.
    fn give_back(&mut self, waiting: &Waiting, now: Instant) {
        self.release(waiting.slot, now);
        if let Some(group) = &waiting.message.group {
            for behind in self.groups.give_up(group) {
                self.release(behind.slot, now);
            }
        }
    }

    /// Keeps nothing any more.
    pub(super) fn give_back_all(&mut self, now: Instant) {
        for waiting in self.holds.give_up() {
            self.give_back(&waiting, now);
        }
    }
}

/// Waits until a marker was written down.
async fn until_handled(hand_over: &HandOver, marker: &str, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut pause, longest) = (Duration::from_millis(200), Duration::from_secs(5));
    loop {
        match hand_over.read(marker.to_owned()).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => tracing::warn!(marker, %error, "nobody says whether it was handled"),
        }
        let half = pause / 2;
        sleep(half + half.mul_f64(random.f64())).await;
        pause = (pause * 2).min(longest);
    }
}
