use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::FollowConfig;
use crate::{Member, Revision, ServiceIdentity};

/// What others were told of this process, and when they have to be told again.
#[derive(Debug)]
pub(super) struct Presence {
    member: Member,
    told: Option<(Option<Revision>, Instant)>,
    /// The silence after which the next chance to speak may come too late.
    silence: Duration,
}

impl Presence {
    pub(super) fn new(identity: &ServiceIdentity, config: &FollowConfig) -> Self {
        Self {
            member: Member::new(identity, config.reads.clone(), config.member_ttl),
            told: None,
            silence: (config.member_ttl / 3).saturating_sub(config.interval),
        }
    }

    /// The announcement to make now, if one is due: at first, when something else is seen, and
    /// three times in each lifetime.
    pub(super) fn due(
        &mut self,
        seen: Option<Revision>,
        now: Instant,
        wall: SystemTime,
    ) -> Option<&Member> {
        if let Some((told, when)) = self.told
            && told == seen
            && now.duration_since(when) < self.silence
        {
            return None;
        }
        self.member = self.member.clone().announced(seen, wall);
        Some(&self.member)
    }

    /// The announcement of what was seen, made at that moment, has arrived.
    pub(super) const fn told(&mut self, seen: Option<Revision>, when: Instant) {
        self.told = Some((seen, when));
    }
}
