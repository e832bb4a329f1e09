use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::Member;

/// How far clocks of two machines may differ. A record that ended longer ago than this is dead at
/// first sight; a fresher one is watched for its whole lifetime instead.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Tells living processes from dead ones by repeated looks at their records.
///
/// A process counts as dead once its record has not changed for as long as it holds, *by the
/// looker's own clock*: comparing clocks of two machines would make a process with a slow clock
/// dead while it works.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    last_beat: HashMap<String, (u64, Instant)>,
    missed: bool,
}

impl Liveness {
    /// A look failed. While the store is away nobody can announce itself, so nobody's silence up
    /// to now counts: each process gets its whole lifetime anew.
    pub(crate) fn missed(&mut self) {
        self.last_beat.clear();
        self.missed = true;
    }

    /// Whether the process of this record is dead, as far as this look and those before tell.
    pub(crate) fn is_dead(&mut self, member: &Member, now: Instant, wall: SystemTime) -> bool {
        let (beat, since) =
            self.last_beat.entry(member.instance.clone()).or_insert((member.beat, now));
        if *beat != member.beat {
            (*beat, *since) = (member.beat, now);
        }
        let ended_long_ago = wall >= member.expires() + CLOCK_SKEW;
        now.duration_since(*since) >= member.ttl() || (ended_long_ago && !self.missed)
    }
}
