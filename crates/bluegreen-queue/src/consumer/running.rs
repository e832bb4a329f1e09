use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::{Following, Roster, Stop};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tower_service::Service;

use super::batch::Batch;
use super::groups::Groups;
use super::heartbeat::Extended;
use super::leases::{Leases, Slot};
use super::process::{Finished, Worker};
use super::receive::{Polled, Receiver};
use super::report::Count;
use super::settle::{Entry, Settled};
use super::{Consumer, ConsumerError, ConsumerReport};
use crate::context::Lease;
use crate::sqs::Received;
use crate::{ConsumerConfig, Context, HandlerError, Outcome};

/// A consumer at work: one loop owns all of this, handlers run as tasks beside it.
///
/// 1. A message in hand has a lease, from its receive until it is settled or released.
/// 2. No call to SQS is awaited by the loop itself: a slow one delays nothing else.
/// 3. Whatever is dropped with this ends with it: handlers, calls, an open receive.
pub(super) struct Running<S> {
    pub(super) worker: Arc<Worker>,
    pub(super) service: S,
    pub(super) config: ConsumerConfig,
    pub(super) following: Following,
    pub(super) paused: watch::Receiver<bool>,
    roster: Option<Roster>,
    pub(super) random: fastrand::Rng,
    pub(super) receiver: Receiver,
    pub(super) handlers: JoinSet<Finished>,
    pub(super) leases: Leases,
    pub(super) groups: Groups<Waiting>,
    pub(super) deletes: Batch<Entry>,
    pub(super) hides: Batch<Entry>,
    /// The slots of extensions under way, with the hide that waits for the answer: overtaken, it
    /// would be undone.
    pub(super) extending: HashMap<Slot, Option<Entry>>,
    pub(super) calls: FuturesUnordered<Call>,
    /// Deletes that are not confirmed yet.
    pub(super) unconfirmed: u64,
    pub(super) next_slot: Slot,
    pub(super) stop: Stop,
    ending: Option<Ending>,
}

/// A message that waits for an earlier one of its group.
pub(super) struct Waiting {
    pub(super) slot: Slot,
    pub(super) message: Received,
    pub(super) lease: Lease,
}

/// A call to SQS under way.
pub(super) type Call = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// What a call has led to.
pub(super) enum Answered {
    Deleted(Settled),
    Hidden(Settled),
    Extended(Extended),
}

/// The end of a run.
#[derive(Clone, Copy, Debug)]
struct Ending {
    deadline: Instant,
    /// When handlers that still run are dropped, so that their messages can be released in time.
    cut: Instant,
    is_cut: bool,
}

/// Why the loop woke.
enum Wake {
    Stop(Instant),
    Polled(Polled),
    Answered(Answered),
    Finished(Result<Finished, JoinError>),
    /// Time has come for something, or the deployment or the pause has changed.
    Look,
}

/// At most this long before the deadline handlers are dropped.
const LONGEST_RESERVE: Duration = Duration::from_secs(2);

impl<S> Running<S>
where
    S: Service<Context, Response = Outcome, Error = HandlerError> + Clone + Send + 'static,
    S::Future: Send,
{
    pub(super) fn new(consumer: Consumer<S>, stop: Stop) -> Self {
        let Consumer { worker, service, config, following, paused } = consumer;
        let random = config.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Self {
            receiver: Receiver::new(&config),
            leases: Leases::new(config.visibility),
            roster: worker.subscription.roster.clone(),
            deletes: Batch::new(config.flush_age),
            hides: Batch::new(config.flush_age),
            extending: HashMap::new(),
            worker,
            service,
            config,
            following,
            paused,
            random,
            handlers: JoinSet::new(),
            groups: Groups::default(),
            calls: FuturesUnordered::new(),
            unconfirmed: 0,
            next_slot: 0,
            stop,
            ending: None,
        }
    }

    pub(super) async fn run(mut self) -> Result<ConsumerReport, ConsumerError> {
        loop {
            let now = Instant::now();
            self.poll(now);
            self.heartbeat(now);
            self.flush(now);
            if self.is_over(now) {
                break;
            }
            let next = self.next(now);
            match self.wait(next).await {
                Wake::Stop(deadline) => self.begin_ending(deadline),
                Wake::Polled(polled) => self.polled(polled)?,
                Wake::Answered(Answered::Deleted(settled)) => self.deleted(settled),
                Wake::Answered(Answered::Hidden(settled)) => self.hidden(settled),
                Wake::Answered(Answered::Extended(extended)) => self.extended(extended),
                Wake::Finished(finished) => self.joined_all(finished),
                Wake::Look => {}
            }
        }
        self.worker.counters.add(Count::Undeleted, self.unconfirmed);
        let report = self.worker.counters.report();
        tracing::info!(?report, "a consumer stopped");
        Ok(report)
    }

    async fn wait(&mut self, next: Option<Instant>) -> Wake {
        let is_ending = self.ending.is_some();
        tokio::select! {
            // The request to stop first: nothing is received from its instant on.
            biased;
            deadline = self.stop.requested(), if !is_ending => Wake::Stop(deadline),
            Some(finished) = self.handlers.join_next() => Wake::Finished(finished),
            Some(answered) = self.calls.next() => Wake::Answered(answered),
            Some(polled) = self.receiver.answers.next() => Wake::Polled(polled),
            _ = self.following.changed() => Wake::Look,
            Ok(()) = self.paused.changed() => Wake::Look,
            () = changed(&mut self.roster) => Wake::Look,
            () = until(next) => Wake::Look,
        }
    }

    /// The next moment at which time itself calls for something.
    fn next(&self, now: Instant) -> Option<Instant> {
        let ending =
            self.ending.map(|ending| if ending.is_cut { ending.deadline } else { ending.cut });
        [
            self.leases.next(),
            self.deletes.next(),
            self.hides.next(),
            self.receiver.next(now),
            ending,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(super) const fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    fn begin_ending(&mut self, deadline: Instant) {
        let now = Instant::now();
        let reserve = (deadline.saturating_duration_since(now) / 4).min(LONGEST_RESERVE);
        self.ending = Some(Ending { deadline, cut: deadline - reserve, is_cut: false });
        tracing::info!(in_hand = self.leases.len(), "a consumer is stopping");
        for waiting in self.groups.give_up_all() {
            self.release(waiting.slot, now);
        }
    }

    /// Whether the run is at its end; moves the ending on.
    fn is_over(&mut self, now: Instant) -> bool {
        let Some(mut ending) = self.ending else {
            return false;
        };
        if let Some(deadline) = self.stop.deadline().filter(|sooner| *sooner < ending.deadline) {
            ending.cut =
                deadline - (ending.deadline - ending.cut).min(deadline - now.min(deadline));
            ending.deadline = deadline;
        }
        if now >= ending.cut && !ending.is_cut {
            ending.is_cut = true;
            self.release_all(now);
        }
        self.ending = Some(ending);
        let idle = self.leases.len() == 0
            && self.receiver.is_idle()
            && self.deletes.len() + self.hides.len() == 0
            && self.calls.is_empty();
        idle || now >= ending.deadline
    }

    /// Drops the handlers that still run and shows their messages to others.
    fn release_all(&mut self, now: Instant) {
        self.receiver.give_up();
        if let Some(finished) = self.handlers.try_join_next() {
            self.joined_all(finished);
        }
        // Dropping the set drops the handlers at their next await.
        self.handlers = JoinSet::new();
        // No time is left to wait for the answers to extensions.
        for (_, waiting) in std::mem::take(&mut self.extending) {
            waiting.into_iter().for_each(|entry| self.hides.push(entry, now));
        }
        for slot in self.leases.slots() {
            self.release(slot, now);
        }
        self.flush(now);
    }

    /// Takes in all that have finished: a turn of the loop costs as much as a short handler.
    fn joined_all(&mut self, first: Result<Finished, JoinError>) {
        let mut next = Some(first);
        while let Some(finished) = next {
            self.joined(finished);
            next = self.handlers.try_join_next();
        }
    }

    fn joined(&mut self, finished: Result<Finished, JoinError>) {
        match finished {
            Ok(finished) => self.finished(finished, Instant::now()),
            // Panics are caught within the task, so only the end of the runtime can do this.
            Err(error) => tracing::error!(%error, "the task of a handler was lost"),
        }
    }
}

async fn changed(roster: &mut Option<Roster>) {
    match roster {
        Some(roster) => roster.changed().await,
        None => std::future::pending().await,
    }
}

async fn until(next: Option<Instant>) {
    match next {
        Some(next) => sleep_until(next).await,
        None => std::future::pending().await,
    }
}
