use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::Backoff;
use tokio::time::Instant;
use tower_service::Service;

use super::decision::hidden_seconds;
use super::process::{Finished, Settlement};
use super::report::Count;
use super::running::{Answered, Running};
use super::slot::Slot;
use crate::sqs::{CallError, Refusals};
use crate::{Context, HandlerError, Outcome};

/// A message to be deleted, or to be hidden for some seconds.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    handle: String,
    seconds: u32,
    /// The end of the lease: afterwards there is nothing left to settle.
    until: Instant,
    tries: u32,
}

/// The answer to a call that settles messages.
#[derive(Debug)]
pub(super) struct Settled {
    entries: Vec<Entry>,
    result: Result<Refusals, CallError>,
}

/// What became of one entry of a call.
enum Fate {
    Settled,
    Again,
    Over,
}

impl Settled {
    fn fates(self, what: &str) -> impl Iterator<Item = (Entry, Fate)> {
        let refusals = match self.result {
            Ok(refusals) => Some(refusals),
            Err(error) => {
                let retryable = error.is_retryable();
                tracing::warn!(what, retryable, error = %error.into_source(), "messages are not settled");
                None
            }
        };
        self.entries.into_iter().enumerate().map(move |(place, entry)| {
            let refusal = refusals.as_ref().map(|all| all.iter().find(|(at, _)| *at == place));
            let fate = match refusal {
                Some(None) => Fate::Settled,
                Some(Some((_, refusal))) if refusal.is_final => Fate::Over,
                Some(Some(_)) | None => Fate::Again,
            };
            (entry, fate)
        })
    }
}

impl<S> Running<S>
where
    S: Service<Context, Response = Outcome, Error = HandlerError> + Clone + Send + 'static,
    S::Future: Send,
{
    /// A handler has left its message; answers what that counts as.
    pub(super) fn finished(
        &mut self,
        slot: Slot,
        group: Option<&str>,
        finished: Finished,
        now: Instant,
    ) -> Option<Count> {
        let Finished { id, count, settlement } = finished;
        let ended = self.leases.end(slot)?;
        let (handle, until) = (ended.handle, ended.expires);
        match settlement {
            Settlement::Delete => {
                self.unconfirmed += 1;
                self.deletes.push(Entry { handle, seconds: 0, until, tries: 0 }, now);
            }
            // Whoever has the message now decides when it is shown.
            Settlement::Hide(_) if ended.was_lost => {
                tracing::debug!(message = %id, "the lease was lost: left as it is");
            }
            Settlement::Hide(time) => {
                let left = ended.limit.saturating_duration_since(now);
                let seconds = hidden_seconds(time, left);
                self.hide(slot, Entry { handle, seconds, until, tries: 0 }, now);
            }
        }
        if let Some(group) = group {
            let comes_again = ended.was_lost || settlement != Settlement::Delete;
            self.go_on(group, comes_again, now);
        }
        Some(count)
    }

    /// The next message of a FIFO group; none when this one, or the next itself, will come again
    /// before those behind it.
    fn go_on(&mut self, group: &str, comes_again: bool, now: Instant) {
        let next = if comes_again { None } else { self.groups.advance(group) };
        match next {
            Some(next) if !next.lease.is_lost() => return self.begin(next),
            Some(lost) => self.release(lost.slot, now),
            None => {}
        }
        for waiting in self.groups.give_up(group) {
            self.release(waiting.slot, now);
        }
    }

    /// Shows a message to others at once; nobody has begun to handle it, or nobody does any more.
    pub(super) fn release(&mut self, slot: Slot, now: Instant) {
        let Some(ended) = self.leases.end(slot).filter(|ended| !ended.was_lost) else {
            return;
        };
        let entry = Entry { handle: ended.handle, seconds: 0, until: ended.expires, tries: 0 };
        self.hide(slot, entry, now);
    }

    fn hide(&mut self, slot: Slot, entry: Entry, now: Instant) {
        match self.extending.get_mut(&slot) {
            Some(waiting) => *waiting = Some(entry),
            None => self.hides.push(entry, now),
        }
    }

    /// How long a call about leases may take: one that hangs must leave time for another try before
    /// they end.
    pub(super) fn lease_call_timeout(&self) -> Duration {
        self.config.call_timeout.min(self.config.visibility / 5)
    }

    /// Makes the calls whose time has come.
    pub(super) fn flush(&mut self, now: Instant) {
        let (at_once, limit) = (self.is_ending(), self.lease_call_timeout());
        while let Some(entries) = self.deletes.take(now, at_once) {
            let worker = Arc::clone(&self.worker);
            self.calls.push(Box::pin(async move {
                let handles = entries.iter().map(|entry| entry.handle.as_str());
                let result = worker.sqs.delete(&worker.subscription.url, handles, limit).await;
                Answered::Deleted(Settled { entries, result })
            }));
        }
        while let Some(entries) = self.hides.take(now, at_once) {
            let worker = Arc::clone(&self.worker);
            self.calls.push(Box::pin(async move {
                let hidings = entries.iter().map(|entry| (entry.handle.as_str(), entry.seconds));
                let result = worker.sqs.hide(&worker.subscription.url, hidings, limit).await;
                Answered::Hidden(Settled { entries, result })
            }));
        }
    }

    pub(super) fn deleted(&mut self, settled: Settled) {
        let now = Instant::now();
        for (entry, fate) in settled.fates("delete") {
            let is_late = now >= entry.until;
            let again = matches!(fate, Fate::Again).then(|| self.again(entry)).flatten();
            match (fate, again) {
                (Fate::Settled, _) => {
                    self.unconfirmed -= 1;
                    // A standard queue says yes to any handle: somebody may have received it again.
                    if is_late {
                        self.worker.counters.one(Count::Undeleted);
                    }
                }
                (_, Some((entry, at))) => self.deletes.retry(entry, at),
                (_, None) => {
                    tracing::warn!("a message could not be deleted and will come again");
                    self.unconfirmed -= 1;
                    self.worker.counters.one(Count::Undeleted);
                }
            }
        }
    }

    pub(super) fn hidden(&mut self, settled: Settled) {
        for (entry, fate) in settled.fates("hide") {
            // Only what is released is shown at once; a failure is never hidden for zero seconds.
            if entry.seconds == 0 && matches!(fate, Fate::Settled) {
                self.worker.counters.one(Count::Released);
            }
            // What is not hidden as wished appears when its lease ends: late, but not lost.
            let again = matches!(fate, Fate::Again).then(|| self.again(entry)).flatten();
            if let Some((entry, at)) = again {
                self.hides.retry(entry, at);
            }
        }
    }

    /// The entry and the time of its next try, as long as its lease lasts.
    fn again(&mut self, mut entry: Entry) -> Option<(Entry, Instant)> {
        let now = Instant::now();
        let floor = Duration::from_millis(50);
        let pause = Backoff::default().delay(entry.tries, self.random.u64(..)).max(floor);
        // Half of what is left at most, so that no long pause is the last.
        let pause = pause.min(entry.until.saturating_duration_since(now) / 2);
        entry.tries = entry.tries.saturating_add(1);
        (pause >= floor).then_some((entry, now + pause))
    }
}
