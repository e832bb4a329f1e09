use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::LONGEST_HIDDEN;
use crate::context::Lease;

/// The number of a message within one run of a consumer.
pub(super) type Slot = u64;

/// SQS counts its 12 hours from the moment it handed the message out, a little before we know.
const SLACK: Duration = Duration::from_secs(5);

/// The leases of all messages in hand, and when each needs care. Pure: time is an argument.
///
/// 1. Every lease that is not lost stands in the schedule exactly once.
/// 2. A lease is extended when two fifths of its visibility are gone; one call takes along those
///    of which a fifth is gone, as a call with ten costs no more than with one.
/// 3. While an extension is under way the schedule holds the end of the lease, so that a call
///    which hangs cannot hide its loss.
#[derive(Debug)]
pub(super) struct Leases {
    visibility: Duration,
    held: HashMap<Slot, Held>,
    schedule: BTreeSet<(Instant, Slot)>,
}

#[derive(Debug)]
struct Held {
    handle: Arc<str>,
    lease: Lease,
    /// No extension reaches beyond this.
    limit: Instant,
    expires: Instant,
    /// The place in the schedule.
    next: Instant,
}

/// What a lease was when it ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) handle: Arc<str>,
    pub(super) expires: Instant,
    pub(super) limit: Instant,
    pub(super) was_lost: bool,
}

/// One extension to ask for.
#[derive(Clone, Debug)]
pub(super) struct Extension {
    pub(super) slot: Slot,
    pub(super) handle: Arc<str>,
    pub(super) seconds: u32,
}

impl Leases {
    pub(super) fn new(visibility: Duration) -> Self {
        Self { visibility, held: HashMap::new(), schedule: BTreeSet::new() }
    }

    /// A message was received `now`.
    pub(super) fn begin(&mut self, slot: Slot, handle: Arc<str>, now: Instant) -> Lease {
        let lease = Lease::default();
        let (expires, next) = (now + self.visibility, now + self.renewal());
        let limit = now + LONGEST_HIDDEN - SLACK;
        self.schedule.insert((next, slot));
        self.held.insert(slot, Held { handle, lease: lease.clone(), limit, expires, next });
        lease
    }

    /// A message is out of our hands; from here on nothing extends it.
    pub(super) fn end(&mut self, slot: Slot) -> Option<Ended> {
        let held = self.held.remove(&slot)?;
        self.schedule.remove(&(held.next, slot));
        let was_lost = held.lease.is_lost();
        Some(Ended { handle: held.handle, expires: held.expires, limit: held.limit, was_lost })
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn slots(&self) -> Vec<Slot> {
        self.held.keys().copied().collect()
    }

    /// When [`due`](Self::due) next has something to say.
    pub(super) fn next(&self) -> Option<Instant> {
        self.schedule.first().map(|(next, _)| *next)
    }

    /// The extensions to ask for now, and how many leases have just been lost.
    pub(super) fn due(&mut self, now: Instant) -> (Vec<Extension>, u64) {
        let mut extensions = Vec::new();
        let mut lost = 0;
        if self.next().is_none_or(|next| next > now) {
            return (extensions, lost);
        }
        let join = now + self.visibility / 5;
        let near: Vec<_> = self.schedule.range(..=(join, Slot::MAX)).copied().collect();
        for (next, slot) in near {
            let is_end = self.held.get(&slot).is_none_or(|held| held.expires == next);
            if next > now && is_end {
                // Only its end is near; an extension is under way, or none is possible.
                continue;
            }
            self.schedule.remove(&(next, slot));
            match self.extension(slot, now) {
                Some(extension) => extensions.push(extension),
                None => lost += 1,
            }
        }
        (extensions, lost)
    }

    /// Reschedules a lease to its end; answers what to ask for, or nothing when it is over.
    fn extension(&mut self, slot: Slot, now: Instant) -> Option<Extension> {
        let visibility = self.visibility;
        let held = self.held.get_mut(&slot)?;
        if now >= held.expires {
            held.lease.lose();
            return None;
        }
        let time = visibility.min(held.limit.saturating_duration_since(now));
        held.next = held.expires;
        self.schedule.insert((held.next, slot));
        // Zero would show the message to others while it is being handled.
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX).max(1);
        Some(Extension { slot, handle: Arc::clone(&held.handle), seconds })
    }

    /// An extension that was asked for at `sent` was granted.
    pub(super) fn extended(&mut self, extension: &Extension, sent: Instant) {
        let renewal = self.renewal();
        self.reschedule(extension.slot, |held| {
            held.expires = sent + Duration::from_secs(extension.seconds.into());
            let renewed = sent + renewal;
            // Nothing is left to extend once the 12 hours are in sight: let it run out.
            if held.expires + Duration::from_secs(1) >= held.limit { held.expires } else { renewed }
        });
    }

    /// An extension got no answer; another try, as long as the lease lasts.
    pub(super) fn failed(&mut self, slot: Slot, now: Instant) {
        let pause = self.visibility / 10;
        self.reschedule(slot, |held| held.expires.min(now + pause));
    }

    /// SQS says that the lease is over. True when that is news.
    pub(super) fn refused(&mut self, slot: Slot) -> bool {
        let Some(held) = self.held.get(&slot) else {
            return false;
        };
        self.schedule.remove(&(held.next, slot));
        let news = !held.lease.is_lost();
        held.lease.lose();
        news
    }

    fn reschedule(&mut self, slot: Slot, next: impl FnOnce(&mut Held) -> Instant) {
        if let Some(held) = self.held.get_mut(&slot).filter(|held| !held.lease.is_lost()) {
            self.schedule.remove(&(held.next, slot));
            held.next = next(held);
            self.schedule.insert((held.next, slot));
        }
    }

    fn renewal(&self) -> Duration {
        self.visibility * 2 / 5
    }
}

#[cfg(test)]
mod tests;
