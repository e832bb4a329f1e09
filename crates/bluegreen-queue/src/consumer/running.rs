use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use bluegreen_core::{Following, Stop};
use futures_util::Stream;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::Instant;
use tower_service::Service;

use super::batch::Batch;
use super::groups::Groups;
use super::handlers::{Ended, Handlers};
use super::heartbeat::Extended;
use super::hold::{Asked, Holds};
use super::leases::Leases;
use super::process::{Finished, Settlement, Worker};
use super::receive::{Polled, Receiver};
use super::report::Count;
use super::settle::{Entry, Settled};
use super::slot::{Slot, SlotMap};
use super::wakes::Wakes;
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
    pub(super) random: fastrand::Rng,
    pub(super) receiver: Receiver,
    pub(super) handlers: Handlers,
    pub(super) leases: Leases,
    pub(super) groups: Groups<Waiting>,
    pub(super) holds: Holds,
    pub(super) deletes: Batch<Entry>,
    pub(super) hides: Batch<Entry>,
    /// The slots of extensions under way, with the hide that waits for the answer: overtaken, it
    /// would be undone.
    pub(super) extending: SlotMap<Option<Entry>>,
    pub(super) calls: FuturesUnordered<Call>,
    /// Deletes that are not confirmed yet.
    pub(super) unconfirmed: u64,
    pub(super) next_slot: Slot,
    stop: Stop,
    wakes: Wakes,
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
    Ended(Ended),
    Asked(Asked),
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
        let roster = worker.subscription.roster.clone();
        Self {
            receiver: Receiver::new(&config),
            leases: Leases::new(config.visibility),
            wakes: Wakes::new(stop.clone(), following.clone(), paused.clone(), roster),
            deletes: Batch::new(config.flush_age),
            hides: Batch::new(config.flush_age),
            extending: SlotMap::default(),
            worker,
            service,
            config,
            following,
            paused,
            random,
            handlers: Handlers::new(),
            groups: Groups::default(),
            holds: Holds::default(),
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
            // First, as what is begun must not have lost its lease unseen.
            self.heartbeat(now);
            self.poll(now);
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
                Wake::Ended(ended) => {
                    let now = Instant::now();
                    // After a stall leases may have ended unseen: nothing is begun that others have.
                    self.heartbeat(now);
                    self.ended_all(ended, now);
                }
                Wake::Asked(asked) => self.asked(asked),
                Wake::Look => {}
            }
        }
        self.worker.counters.add(Count::Undeleted, self.unconfirmed);
        let report = self.worker.counters.report();
        tracing::info!(?report, "a consumer stopped");
        Ok(report)
    }

    async fn wait(&mut self, next: Option<Instant>) -> Wake {
        poll_fn(|task| self.poll_wake(next, task)).await
    }

    fn poll_wake(&mut self, next: Option<Instant>, task: &mut Task<'_>) -> Poll<Wake> {
        // The request to stop first: nothing is received from its instant on.
        if let Poll::Ready(deadline) = self.wakes.poll_stop(task) {
            return Poll::Ready(Wake::Stop(deadline));
        }
        if let Poll::Ready(ended) = self.handlers.poll_ended(task) {
            return Poll::Ready(Wake::Ended(ended));
        }
        if let Poll::Ready(Some(answered)) = Pin::new(&mut self.calls).poll_next(task) {
            return Poll::Ready(Wake::Answered(answered));
        }
        if let Poll::Ready(Some(asked)) = self.holds.asking.poll_join_next_with_id(task) {
            return Poll::Ready(Wake::Asked(asked));
        }
        if let Poll::Ready(Some(polled)) = Pin::new(&mut self.receiver.answers).poll_next(task) {
            return Poll::Ready(Wake::Polled(polled));
        }
        let looks = [self.wakes.poll_change(task), self.wakes.poll_time(next, task)];
        if looks.iter().any(Poll::is_ready) { Poll::Ready(Wake::Look) } else { Poll::Pending }
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

    fn is_cut(&self) -> bool {
        self.ending.is_some_and(|ending| ending.is_cut)
    }

    pub(super) const fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    fn begin_ending(&mut self, deadline: Instant) {
        let now = Instant::now();
        let reserve = (deadline.saturating_duration_since(now) / 4).min(LONGEST_RESERVE);
        self.ending = Some(Ending { deadline, cut: deadline - reserve, is_cut: false });
        tracing::info!(in_hand = self.leases.len(), "a consumer is stopping");
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
            self.cut(now);
        }
        self.ending = Some(ending);
        // An open receive would bring them back.
        if self.receiver.is_idle() {
            self.give_back_all(now);
            self.flush(now);
        }
        let idle = self.leases.len() == 0
            && self.receiver.is_idle()
            && self.deletes.len() + self.hides.len() == 0
            && self.calls.is_empty();
        idle || now >= ending.deadline
    }

    /// Drops the handlers that still run. Each message is shown to others once its handler has
    /// really ended: one that does not yield may still be done with it.
    fn cut(&mut self, now: Instant) {
        self.receiver.give_up();
        self.handlers.abort_all();
        // No time is left to wait for the answers to extensions.
        for (_, waiting) in std::mem::take(&mut self.extending) {
            waiting.into_iter().for_each(|entry| self.hides.push(entry, now));
        }
        self.flush(now);
    }

    /// Takes in all that have ended: a turn of the loop costs as much as a short handler.
    fn ended_all(&mut self, first: Ended, now: Instant) {
        let (mut next, mut handled) = (Some(first), 0);
        while let Some(Ended { slot, group, finished }) = next {
            let count = match finished {
                Some(finished) => self.finished(slot, group.as_deref(), finished, now),
                None if self.is_cut() => {
                    self.release(slot, now);
                    None
                }
                None => {
                    self.panicked(slot, group.as_deref(), now);
                    None
                }
            };
            match count {
                Some(Count::Handled) => handled += 1,
                Some(count) => self.worker.counters.one(count),
                None => {}
            }
            next = self.handlers.try_ended();
        }
        // Together: to add to a metric costs as much as all else here.
        self.worker.counters.add(Count::Handled, handled);
    }

    /// Something panicked beside the handler, as an error that cannot be written: shown at once it
    /// would do so again and again.
    pub(super) fn panicked(&mut self, slot: Slot, group: Option<&str>, now: Instant) {
        tracing::error!(slot, "the handling of a message panicked");
        let settlement = Settlement::Hide(self.config.visibility);
        let failed = Finished { id: "".into(), count: Count::Failed, settlement };
        if let Some(count) = self.finished(slot, group, failed, now) {
            self.worker.counters.one(count);
        }
    }
}
