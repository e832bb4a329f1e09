use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bluegreen_core::{Revision, Roster};
use tokio::time::{Instant, sleep_until};

/// Waits until nobody can act on an earlier revision any more.
#[derive(Clone, Debug)]
pub(crate) struct Barrier {
    roster: Roster,
    /// The latest revision that all living processes were seen to follow, and when.
    settled: Arc<Mutex<Option<(Revision, Instant)>>>,
}

impl Barrier {
    pub(super) fn new(roster: Roster) -> Self {
        Self { roster, settled: Arc::default() }
    }

    /// Waits until every living process follows `revision`, and then for `grace`: as long as what
    /// one of them sent before may be on its way. Cancel safe.
    pub(crate) async fn pass(&self, revision: Revision, grace: Duration) {
        let mut roster = self.roster.clone();
        let since = loop {
            if let Some(since) = self.look(&roster, revision) {
                break since;
            }
            roster.changed().await;
        };
        sleep_until(since + grace).await;
    }

    fn look(&self, roster: &Roster, revision: Revision) -> Option<Instant> {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, since)) = *settled
            && known >= revision
        {
            return Some(since);
        }
        let members = roster.members()?;
        if members.living.is_empty() || !members.living.iter().all(|one| one.follows(revision)) {
            return None;
        }
        let now = Instant::now();
        *settled = Some((revision, now));
        Some(now)
    }
}

#[cfg(test)]
mod tests {
    use bluegreen_core::{Color, Member, Members, Reads, Release, ServiceIdentity, ServiceKey};

    use super::*;

    fn member(instance: &str, seen: u64) -> Member {
        let key = ServiceKey::new("shop").unwrap();
        let me = ServiceIdentity::new(key, Color::Blue, Release::new("1").unwrap(), instance);
        Member::new(&me, Reads::default(), Duration::from_secs(15))
            .announced(Some(Revision::new(seen)), std::time::UNIX_EPOCH)
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_when_the_last_process_follows_and_what_was_on_its_way_has_arrived() {
        let grace = Duration::from_secs(5);
        let passes = async |members: Vec<Member>, revision| {
            let barrier = Barrier::new(Roster::fixed(Members::living(members)));
            let passing = barrier.pass(Revision::new(revision), grace);
            let begun = Instant::now();
            let passed = tokio::time::timeout(Duration::from_secs(60), passing).await.is_ok();
            passed.then(|| begun.elapsed())
        };
        let both = vec![member("a", 7), member("b", 6)];
        assert_eq!(passes(both.clone(), 6).await, Some(grace));
        assert_eq!(passes(both, 7).await, None, "one does not follow it yet");
        assert_eq!(passes(vec![], 1).await, None, "not even this process is seen");
    }
}
