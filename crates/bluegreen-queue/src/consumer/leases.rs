use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::slot::{Slot, SlotMap};
use crate::config::LONGEST_HIDDEN;
use crate::context::Lease;

/// SQS counts its 12 hours from the moment it handed the message out, a little before we know.
const SLACK: Duration = Duration::from_secs(5);

/// The leases of all messages in hand, and when each needs care. Pure: time is an argument.
///
/// 1. Every lease that is not lost stands once in the schedule: among the fresh until something
///    is asked for it the first time, later among the renewed.
/// 2. A lease is extended when two fifths of its visibility are gone; one call takes along those
///    of which a fifth is gone, as a call with ten costs no more than with one.
/// 3. While an extension is under way the schedule holds the end of the lease, so that a call
///    which hangs cannot hide its loss.
#[derive(Debug)]
pub(super) struct Leases {
    visibility: Duration,
    held: SlotMap<Held>,
    /// In the order of their receives, which is the order of their times. Most leases end here, so
    /// those that have ended stay until they are first in line, or most of the line.
    fresh: VecDeque<(Instant, Slot)>,
    renewed: BTreeSet<(Instant, Slot)>,
}

#[derive(Debug)]
struct Held {
    handle: String,
    lease: Lease,
    /// No extension reaches beyond this.
    limit: Instant,
    expires: Instant,
    /// The place in the schedule.
    next: Instant,
    is_fresh: bool,
}

/// What a lease was when it ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) handle: String,
    pub(super) expires: Instant,
    pub(super) limit: Instant,
    pub(super) was_lost: bool,
}

/// One extension to ask for.
#[derive(Clone, Debug)]
pub(super) struct Extension {
    pub(super) slot: Slot,
    pub(super) handle: String,
    pub(super) seconds: u32,
}

impl Leases {
    pub(super) fn new(visibility: Duration) -> Self {
        let (held, fresh, renewed) = (SlotMap::default(), VecDeque::new(), BTreeSet::new());
        Self { visibility, held, fresh, renewed }
    }

    /// A message was received `now`, no sooner than those before.
    pub(super) fn begin(&mut self, slot: Slot, handle: String, now: Instant) -> Lease {
        let lease = Lease::default();
        let (expires, next) = (now + self.visibility, now + self.renewal());
        let limit = now + LONGEST_HIDDEN - SLACK;
        self.fresh.push_back((next, slot));
        let held = Held { handle, lease: lease.clone(), limit, expires, next, is_fresh: true };
        self.held.insert(slot, held);
        lease
    }

    /// A message is out of our hands; from here on nothing extends it.
    pub(super) fn end(&mut self, slot: Slot) -> Option<Ended> {
        let held = self.held.remove(&slot)?;
        if held.is_fresh {
            self.clear_fresh();
        } else {
            self.renewed.remove(&(held.next, slot));
        }
        let was_lost = held.lease.is_lost();
        Some(Ended { handle: held.handle, expires: held.expires, limit: held.limit, was_lost })
    }

    /// Forgets those that have ended.
    fn clear_fresh(&mut self) {
        let held = &self.held;
        let is_held = |slot: &Slot| held.get(slot).is_some_and(|held| held.is_fresh);
        while self.fresh.front().is_some_and(|(_, slot)| !is_held(slot)) {
            self.fresh.pop_front();
        }
        if self.fresh.len() > 2 * held.len() + 64 {
            self.fresh.retain(|(_, slot)| is_held(slot));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// When [`due`](Self::due) next has something to say.
    pub(super) fn next(&self) -> Option<Instant> {
        let (fresh, renewed) = (self.fresh.front(), self.renewed.first());
        fresh.into_iter().chain(renewed).map(|(next, _)| *next).min()
    }

    /// The extensions to ask for now, and how many leases have just been lost.
    pub(super) fn due(&mut self, now: Instant) -> (Vec<Extension>, u64) {
        let mut extensions = Vec::new();
        let mut lost = 0;
        if self.next().is_none_or(|next| next > now) {
            return (extensions, lost);
        }
        for (_, slot) in self.near(now) {
            match self.extension(slot, now) {
                Some(extension) => extensions.push(extension),
                None => lost += 1,
            }
        }
        (extensions, lost)
    }

    /// Takes those out of the schedule whose time has come, or comes within a fifth of the
    /// visibility, in the order of their times.
    fn near(&mut self, now: Instant) -> Vec<(Instant, Slot)> {
        let join = now + self.visibility / 5;
        let mut near = Vec::new();
        for &(next, slot) in self.renewed.range(..=(join, Slot::MAX)) {
            // Where only the end is near, an extension is under way, or none is possible.
            let is_end = self.held.get(&slot).is_none_or(|held| held.expires == next);
            if next <= now || !is_end {
                near.push((next, slot));
            }
        }
        for place in &near {
            self.renewed.remove(place);
        }
        while let Some(&(next, slot)) = self.fresh.front().filter(|(next, _)| *next <= join) {
            self.fresh.pop_front();
            if self.held.get(&slot).is_some_and(|held| held.is_fresh) {
                near.push((next, slot));
            }
        }
        near.sort_unstable();
        near
    }

    /// Reschedules a lease to its end; answers what to ask for, or nothing when it is over.
    fn extension(&mut self, slot: Slot, now: Instant) -> Option<Extension> {
        let visibility = self.visibility;
        let held = self.held.get_mut(&slot)?;
        held.is_fresh = false;
        if now >= held.expires {
            held.lease.lose();
            return None;
        }
        let time = visibility.min(held.limit.saturating_duration_since(now));
        held.next = held.expires;
        self.renewed.insert((held.next, slot));
        // Zero would show the message to others while it is being handled.
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX).max(1);
        Some(Extension { slot, handle: held.handle.clone(), seconds })
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
        let Some(held) = self.held.get_mut(&slot) else {
            return false;
        };
        let news = !held.lease.is_lost();
        held.lease.lose();
        held.is_fresh = false;
        self.renewed.remove(&(held.next, slot));
        self.clear_fresh();
        news
    }

    fn reschedule(&mut self, slot: Slot, next: impl FnOnce(&mut Held) -> Instant) {
        if let Some(held) = self.held.get_mut(&slot).filter(|held| !held.lease.is_lost()) {
            self.renewed.remove(&(held.next, slot));
            held.next = next(held);
            self.renewed.insert((held.next, slot));
        }
    }

    fn renewal(&self) -> Duration {
        self.visibility * 2 / 5
    }
}

#[cfg(test)]
mod tests;
