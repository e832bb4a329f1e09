use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::{Color, Deployment, Phase, Revision, Share};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::route;

/// So many groups are remembered; beyond, all are forgotten: each then costs a marker too many.
const MOST: usize = 100_000;
/// So many phases of one shift are remembered; beyond, nothing is certain.
const MOST_PHASES: usize = 64;

/// Where the groups of one producer are, and which of them have to be handed over. Pure: time is
/// an argument.
///
/// 1. A group is handed over when an earlier message of it may be in the other queue: when this
///    process has routed it there in this shift, or may have, or another may have that it cannot
///    know of.
/// 2. A group that has moved stands at its side with its marker until a revision routes it
///    elsewhere, though nothing was sent by that one here: others may have. One that has not moved
///    costs no memory.
#[derive(Debug)]
pub(crate) struct Sides {
    own: Color,
    backlog: Duration,
    followed: Option<Followed>,
    /// Whether messages were sent by what the store had not confirmed.
    has_guessed: bool,
    /// The phases that messages of this shift were routed by.
    phases: Vec<Phase>,
    /// Whether they may have been routed by others as well.
    is_unsure: bool,
    groups: HashMap<Arc<str>, (Color, Arc<Marker>)>,
}

/// What a producer knows of the deployment when it sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    pub(crate) deployment: &'a Deployment,
    /// Whether the store has said so to this process, rather than its memory or its configuration.
    pub(crate) is_confirmed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Followed {
    revision: Revision,
    phase: Phase,
    is_confirmed: bool,
    /// Since when it is this phase.
    since: Instant,
}

/// What ends a group's stay in a queue.
#[derive(Debug)]
pub(crate) struct Marker {
    pub(crate) id: String,
    /// Set once SQS has taken it.
    pub(crate) sent: OnceCell<()>,
}

impl Sides {
    pub(crate) fn new(own: Color, backlog: Duration) -> Self {
        Self {
            own,
            backlog,
            followed: None,
            has_guessed: false,
            phases: Vec::new(),
            is_unsure: false,
            groups: HashMap::new(),
        }
    }

    /// The color that a message of this group goes to, and the marker that has to be in the other
    /// color's queue before. `id` names a marker.
    pub(crate) fn side(
        &mut self,
        known: Option<Known<'_>>,
        group: &str,
        now: Instant,
        id: impl FnOnce() -> String,
    ) -> (Color, Option<Arc<Marker>>) {
        self.has_guessed |= known.is_none_or(|known| !known.is_confirmed);
        let Some(known) = known else { return (self.own, None) };
        self.follow(known, now);
        let color = route(Some(known.deployment.phase()), self.own, group.as_bytes());
        if let Some((_, marker)) = self.groups.get(group) {
            return (color, Some(Arc::clone(marker)));
        }
        if !self.may_be_elsewhere(group, color) {
            return (color, None);
        }
        if self.groups.len() >= MOST {
            self.groups.clear();
        }
        let marker = Arc::new(Marker { id: id(), sent: OnceCell::new() });
        self.groups.insert(group.into(), (color, Arc::clone(&marker)));
        (color, Some(marker))
    }

    fn may_be_elsewhere(&self, group: &str, color: Color) -> bool {
        let routed = |phase: &Phase| route(Some(*phase), self.own, group.as_bytes());
        self.is_unsure || self.phases.iter().any(|phase| routed(phase) != color)
    }

    fn follow(&mut self, known: Known<'_>, now: Instant) {
        let (revision, phase) = (known.deployment.revision(), known.deployment.phase());
        // A phase that is the same after revisions unseen may have begun anew just now.
        let is_still = |one: &Followed| {
            one.phase == phase && [one.revision, one.revision.next()].contains(&revision)
        };
        let since = self.followed.filter(is_still).map_or(now, |followed| followed.since);
        let is_confirmed = known.is_confirmed;
        let is_news = self.followed.is_none_or(|followed| {
            (followed.revision, followed.phase, followed.is_confirmed)
                != (revision, phase, is_confirmed)
        });
        if is_news {
            self.doubt(known);
            self.adopt(phase);
            self.followed = Some(Followed { revision, phase, is_confirmed, since });
        }
        if phase.candidate().is_none() && now >= since + self.backlog {
            self.forget(phase);
        }
    }

    /// Decides what a deployment that is news leaves of what was known before.
    fn doubt(&mut self, Known { deployment, is_confirmed }: Known<'_>) {
        let (revision, phase) = (deployment.revision(), deployment.phase());
        let is_shift = phase.candidate().is_some();
        // At share zero that means: nobody has sent to the candidate's queue, and nobody reads it,
        // so that a marker there would hold its group for as long.
        let is_untouched = deployment.reached() == Some(Share::ZERO);
        self.is_unsure = match self.followed.filter(|one| one.is_confirmed == is_confirmed) {
            // Without the store nobody may know who lives, and so adopt the queue of an idle color.
            None if !is_confirmed => is_shift,
            None => self.has_guessed || !is_untouched,
            Some(followed) if followed.revision.next() != revision => true,
            Some(followed) => {
                if is_untouched || (is_shift && followed.phase.candidate().is_none()) {
                    self.forget(phase);
                }
                return;
            }
        };
        // Those that stood somewhere may have moved twice.
        self.groups.clear();
        if is_untouched && is_shift {
            self.forget(phase);
        }
    }

    fn adopt(&mut self, phase: Phase) {
        let own = self.own;
        self.groups.retain(|group, (color, _)| route(Some(phase), own, group.as_bytes()) == *color);
        if !self.phases.contains(&phase) {
            self.phases.push(phase);
        }
        if self.phases.len() > MOST_PHASES {
            self.is_unsure = true;
            self.phases = vec![phase];
        }
    }

    /// All that was sent elsewhere before is handled by now.
    fn forget(&mut self, phase: Phase) {
        if self.is_unsure || self.phases != [phase] || !self.groups.is_empty() {
            self.is_unsure = false;
            self.phases = vec![phase];
            self.groups.clear();
        }
    }
}

#[cfg(test)]
mod tests;
