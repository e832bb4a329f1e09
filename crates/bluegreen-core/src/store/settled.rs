use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};

use super::{Store, StoreError};
use crate::liveness::Liveness;
use crate::{Clock, Member, Revision, ServiceKey};

/// What every process has made of a revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settled {
    /// The instances that follow it, or did when they were last heard of.
    pub followed: Vec<String>,
    /// The instances that ended before they did: killed, or cut off for their whole lifetime.
    pub expired: Vec<String>,
}

/// How far a revision has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a revision has settled or has not")]
pub enum Progress {
    /// Every living process follows it.
    Settled(Settled),
    /// These living instances do not follow it yet.
    Waiting {
        /// The instances, by name.
        behind: Vec<String>,
    },
}

/// Decides by repeated looks at the members whether a revision has settled.
///
/// A process counts as dead once its record has not changed for as long as it holds, *by the
/// looker's own clock*: comparing clocks of two machines would make a process with a slow clock
/// dead while it works. Only a record that ended more than a minute ago by its process's clock is
/// dead at first sight, unless a look was [`missed`](Self::missed): so keep the clocks of a fleet
/// within a minute of each other.
#[derive(Debug)]
pub struct Settling {
    revision: Revision,
    liveness: Liveness,
}

impl Settling {
    /// Watches for `revision`.
    #[must_use]
    pub fn new(revision: Revision) -> Self {
        Self { revision, liveness: Liveness::default() }
    }

    /// A look failed. While the store is away nobody can announce itself, so nobody's silence up
    /// to now counts: each process gets its whole lifetime anew.
    pub fn missed(&mut self) {
        self.liveness.missed();
    }

    /// Takes one look in.
    pub fn observe(&mut self, members: &[Member], now: Instant, wall: SystemTime) -> Progress {
        let mut settled = Settled::default();
        let mut behind = Vec::new();
        for member in members {
            let list = if member.follows(self.revision) {
                &mut settled.followed
            } else if self.liveness.is_dead(member, now, wall) {
                &mut settled.expired
            } else {
                &mut behind
            };
            list.push(member.instance.clone());
        }
        if behind.is_empty() { Progress::Settled(settled) } else { Progress::Waiting { behind } }
    }
}

/// Waits until every living process follows `revision` or has expired, looking every `interval`.
///
/// A process that ended without withdrawing is waited for as long as its record holds. Errors of
/// the store that may pass are waited out, and the time they take counts as nobody's silence; a
/// process that alone is cut off from the store for its whole lifetime counts as expired. Cancel
/// safe; put a time limit around it.
///
/// # Errors
/// When the store answers with an error that does not pass by itself.
pub async fn settled<S: Store>(
    store: &S,
    service: &ServiceKey,
    revision: Revision,
    interval: Duration,
    clock: Clock,
) -> Result<Settled, StoreError> {
    let mut settling = Settling::new(revision);
    loop {
        match store.members(service).await {
            Ok(members) => match settling.observe(&members, Instant::now(), clock.now()) {
                Progress::Settled(settled) => return Ok(settled),
                Progress::Waiting { behind } => {
                    tracing::debug!(%revision, ?behind, "waiting for members to follow");
                }
            },
            Err(error) if error.is_retryable() => {
                tracing::warn!(%error, %revision, "the members cannot be read, waiting");
                settling.missed();
            }
            Err(error) => return Err(error),
        }
        sleep(interval).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Color, MemoryStore, Reads, Release, ServiceIdentity};

    const TTL: Duration = Duration::from_secs(10);

    fn member(instance: &str) -> (ServiceKey, Member) {
        let key = ServiceKey::new("orders").unwrap();
        let release = Release::new("1").unwrap();
        let identity = ServiceIdentity::new(key.clone(), Color::Blue, release, instance);
        (key, Member::new(&identity, Reads::default(), TTL))
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_is_a_revision_behind_is_waited_for_and_a_dead_one_expires() {
        let (store, clock) = (MemoryStore::new(), Clock::starting_at(SystemTime::UNIX_EPOCH + TTL));
        let (key, slow) = member("slow");
        let (_, dead) = member("dead");
        let seven = Revision::new(7);
        store.announce(&key, &dead.announced(Some(Revision::new(6)), clock.now())).await.unwrap();
        let mut slow = slow.announced(Some(Revision::new(6)), clock.now());
        store.announce(&key, &slow).await.unwrap();

        let wait = settled(&store, &key, seven, Duration::from_millis(100), clock);
        let keep_alive = async {
            // Alive and behind for three lifetimes, then it follows.
            for _ in 0..10 {
                sleep(TTL / 3).await;
                slow = slow.clone().announced(Some(Revision::new(6)), clock.now());
                store.announce(&key, &slow).await.unwrap();
            }
            store.announce(&key, &slow.clone().announced(Some(seven), clock.now())).await.unwrap();
            Instant::now()
        };
        let (settled, followed_at) =
            tokio::join!(async { (wait.await.unwrap(), Instant::now()) }, keep_alive);
        assert!(settled.1 >= followed_at, "it must not settle while a living process is behind");
        assert_eq!(settled.0.followed, ["slow"]);
        assert_eq!(settled.0.expired, ["dead"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_with_a_slow_clock_is_not_dead() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let (_, member) = member("slow-clock");
        let mut settling = Settling::new(Revision::new(2));
        let behind_by_half_a_minute = wall - Duration::from_secs(30);
        let member = member.announced(Some(Revision::FIRST), behind_by_half_a_minute);
        let progress = settling.observe(&[member], Instant::now(), wall);
        assert_eq!(progress, Progress::Waiting { behind: vec!["slow-clock".to_owned()] });
    }

    #[tokio::test(start_paused = true)]
    async fn no_clock_however_odd_makes_it_panic() {
        let (_, mut member) = member("odd");
        (member.ttl_ms, member.announced_ms) = (u64::MAX, u64::MAX);
        let mut settling = Settling::new(Revision::FIRST);
        let ages = Duration::from_secs(i64::MAX.unsigned_abs());
        for wall in
            [SystemTime::UNIX_EPOCH.checked_sub(ages), SystemTime::UNIX_EPOCH.checked_add(ages)]
        {
            let Some(wall) = wall else { continue };
            drop(settling.observe(std::slice::from_ref(&member), Instant::now(), wall));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_of_long_ago_is_dead_at_first_sight() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let (_, member) = member("ancient");
        let mut settling = Settling::new(Revision::new(2));
        let member = member.announced(Some(Revision::FIRST), wall - Duration::from_secs(600));
        let progress = settling.observe(&[member], Instant::now(), wall);
        assert!(matches!(progress, Progress::Settled(settled) if settled.expired == ["ancient"]));
    }
}
