use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::{Color, Deployment, Phase, Revision};
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
/// 2. A group that has moved stands at its side with its marker until it moves again or the shift
///    is forgotten; a group that has not costs no memory.
#[derive(Debug)]
pub(crate) struct Sides {
    own: Color,
    backlog: Duration,
    followed: Option<Followed>,
    /// Whether messages were sent while no deployment was known.
    has_guessed: bool,
    /// The phases that messages of this shift were routed by.
    phases: Vec<Phase>,
    /// Whether they may have been routed by others as well.
    is_unsure: bool,
    groups: HashMap<Arc<str>, (Color, Arc<Marker>)>,
}

#[derive(Clone, Copy, Debug)]
struct Followed {
    revision: Revision,
    phase: Phase,
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
        deployment: Option<&Deployment>,
        group: &str,
        now: Instant,
        id: impl FnOnce() -> String,
    ) -> (Color, Option<Arc<Marker>>) {
        let Some(deployment) = deployment else {
            self.has_guessed |= self.followed.is_none();
            return (self.own, None);
        };
        self.follow(deployment.revision(), deployment.phase(), now);
        let color = route(Some(deployment.phase()), self.own, group.as_bytes());
        let moves = match self.groups.get(group) {
            Some((stands, marker)) if *stands == color => return (color, Some(Arc::clone(marker))),
            Some(_) => true,
            None => self.may_be_elsewhere(group, color),
        };
        if !moves {
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

    fn follow(&mut self, revision: Revision, phase: Phase, now: Instant) {
        let share = phase.candidate().map(|candidate| phase.weight(candidate));
        let is_shift = share.is_some();
        // Whatever others did: the queue of a candidate at share zero has nothing yet, and nobody
        // reads it. Who could tell that from a share that is back at zero?
        let may_have_served = share.is_none_or(|share| !share.is_zero());
        match self.followed {
            Some(known) if known.revision == revision && known.phase == phase => {
                if !is_shift && now >= known.since + self.backlog {
                    self.forget(phase);
                }
                return;
            }
            // Whoever starts while one color serves alone takes the other's queue for drained.
            None => self.is_unsure = may_have_served && (is_shift || self.has_guessed),
            Some(known) if known.revision.next() != revision && may_have_served => {
                self.is_unsure = true;
                // Those that stood somewhere may have moved twice.
                self.groups.clear();
            }
            Some(known) if is_shift && known.phase.candidate().is_none() => {
                self.forget(known.phase);
            }
            Some(_) => {}
        }
        let since = match self.followed {
            Some(known) if known.phase == phase => known.since,
            _ => now,
        };
        self.followed = Some(Followed { revision, phase, since });
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
        if self.is_unsure || self.phases.len() > 1 || !self.groups.is_empty() {
            self.is_unsure = false;
            self.phases = vec![phase];
            self.groups.clear();
        }
    }
}

#[cfg(test)]
mod tests;
