use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::backoff::jitter;
use crate::liveness::Liveness;
use crate::{Clock, FollowError, Member, ServiceKey, Stop, Store, StoreError};

/// The members of a service as this process knows them: a cheap handle for what must know who
/// lives and what they read. What is known outlives an outage of the store.
///
/// Its [`Lookout`] keeps it up to date. A process that has just started is seen at the next look,
/// not before.
#[derive(Clone, Debug)]
pub struct Roster {
    known: watch::Receiver<Known>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    members: Option<Arc<Members>>,
    confirmed: Option<Instant>,
}

/// The members of a service at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Members {
    /// Those that live.
    pub living: Vec<Member>,
    /// Those that lived before, one for each color, release and set of contracts they read: what
    /// a color reads is still known when its last process has ended.
    pub departed: Vec<Member>,
}

impl Members {
    /// Members that all live.
    #[must_use]
    pub const fn living(living: Vec<Member>) -> Self {
        Self { living, departed: Vec::new() }
    }

    /// Whether the same processes read the same and have seen the same.
    fn is_like(&self, other: &Self) -> bool {
        let alike = |one: &Member, other: &Member| {
            (&one.instance, one.seen) == (&other.instance, other.seen) && reads_alike(one, other)
        };
        let all_alike = |ones: &[Member], others: &[Member]| {
            ones.len() == others.len() && ones.iter().zip(others).all(|(a, b)| alike(a, b))
        };
        all_alike(&self.living, &other.living) && all_alike(&self.departed, &other.departed)
    }
}

/// How the members of a service are looked at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RosterConfig {
    /// The longest time between two looks; each is drawn anew between half of it and the whole.
    /// Default: 2 s.
    pub interval: Duration,
    /// How long one look may take. Default: 3 s.
    pub timeout: Duration,
    /// Where wall time comes from. Default: the system.
    pub clock: Clock,
}

impl Default for RosterConfig {
    fn default() -> Self {
        let (interval, timeout) = (Duration::from_secs(2), Duration::from_secs(3));
        Self { interval, timeout, clock: Clock::system() }
    }
}

impl RosterConfig {
    /// The same with another [`interval`](Self::interval).
    #[must_use]
    pub const fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// The same with another [`timeout`](Self::timeout).
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same with another [`clock`](Self::clock).
    #[must_use]
    pub const fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}

/// The driver behind a [`Roster`]: looks at the store.
#[derive(Debug)]
#[must_use = "nobody is looked at until it runs"]
pub struct Lookout<S> {
    store: S,
    service: ServiceKey,
    config: RosterConfig,
    known: watch::Sender<Known>,
    liveness: Liveness,
    report: LookoutReport,
}

/// What a [`Lookout`] did while it ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookoutReport {
    /// Looks at the store.
    pub looks: u64,
    /// Those of them that failed.
    pub failed: u64,
}

impl Roster {
    /// A handle, and the driver that keeps it up to date.
    ///
    /// # Errors
    /// When a field of `config` does not fit.
    pub fn new<S: Store>(
        store: S,
        service: ServiceKey,
        config: RosterConfig,
    ) -> Result<(Self, Lookout<S>), FollowError> {
        for (field, value) in [("interval", config.interval), ("timeout", config.timeout)] {
            if value.is_zero() {
                return Err(FollowError::new(field, value, "above zero"));
            }
        }
        let (known, receiver) = watch::channel(Known::default());
        let (liveness, report) = (Liveness::default(), LookoutReport::default());
        let lookout = Lookout { store, service, config, known, liveness, report };
        Ok((Self { known: receiver }, lookout))
    }

    /// A handle that always answers the same: for tests.
    #[must_use]
    pub fn fixed(members: Members) -> Self {
        let known = Known { members: Some(Arc::new(members)), confirmed: None };
        Self { known: watch::channel(known).1 }
    }

    /// The members; nothing before the first look that succeeded.
    #[must_use]
    pub fn members(&self) -> Option<Arc<Members>> {
        self.known.borrow().members.clone()
    }

    /// How long ago the store last said who there is; nothing when it never has.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.known.borrow().confirmed.map(|confirmed| confirmed.elapsed())
    }

    /// Waits until the members differ from those this handle has seen. Once the lookout has ended
    /// they never do, and this waits forever rather than to spin. Cancel safe.
    pub async fn changed(&mut self) {
        if self.known.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl<S: Store> Lookout<S> {
    /// Looks until asked to stop; a look that is under way is given up then.
    ///
    /// # Errors
    /// None today; an outage of the store is waited out, and shows in [`Roster::age`].
    pub async fn run(mut self, stop: Stop) -> Result<LookoutReport, StoreError> {
        loop {
            tokio::select! {
                () = self.look() => {}
                _ = stop.requested() => return Ok(self.report),
            }
            let half = self.config.interval / 2;
            tokio::select! {
                () = sleep(half + jitter(half, fastrand::u64(..))) => {}
                _ = stop.requested() => return Ok(self.report),
            }
        }
    }

    async fn look(&mut self) {
        self.report.looks += 1;
        let failure = match timeout(self.config.timeout, self.store.members(&self.service)).await {
            Ok(Ok(found)) => return self.found(found, Instant::now(), self.config.clock.now()),
            Ok(Err(error)) => error.to_string(),
            Err(elapsed) => elapsed.to_string(),
        };
        self.report.failed += 1;
        self.liveness.missed();
        tracing::warn!(failure, "the members cannot be read; staying with the last known");
    }

    fn found(&mut self, found: Vec<Member>, now: Instant, wall: SystemTime) {
        let known = self.known.borrow().members.clone();
        let (dead, living): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|member| self.liveness.is_dead(member, now, wall));
        let before = known.as_deref().cloned().unwrap_or_default();
        let mut members = Members { living, departed: before.departed };
        let ended = before.living.into_iter().filter(|member| {
            members.living.iter().all(|living| living.instance != member.instance)
        });
        for member in dead.into_iter().chain(ended) {
            if !members.departed.iter().any(|known| reads_alike(known, &member)) {
                members.departed.push(member);
            }
        }
        self.known.send_if_modified(|known| {
            known.confirmed = Some(now);
            // A mere heartbeat wakes nobody.
            let differs = known.members.as_ref().is_none_or(|known| !known.is_like(&members));
            known.members = Some(Arc::new(members));
            differs
        });
    }
}

fn reads_alike(one: &Member, other: &Member) -> bool {
    (one.color, &one.release, &one.reads) == (other.color, &other.release, &other.reads)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::{Color, ContractVersion, MemoryStore, Reads, Release, ServiceIdentity};

    const TTL: Duration = Duration::from_secs(15);

    fn member(instance: &str, clock: Clock) -> (ServiceKey, Member) {
        let key = ServiceKey::new("orders").unwrap();
        let release = Release::new("1").unwrap();
        let identity = ServiceIdentity::new(key.clone(), Color::Blue, release, instance);
        let reads = Reads::default().with("Order", ContractVersion::new(1, 0));
        (key, Member::new(&identity, reads, TTL).announced(None, clock.now()))
    }

    fn instances(members: &[Member]) -> Vec<&str> {
        members.iter().map(|member| member.instance.as_str()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn who_ends_departs_once_and_is_remembered() {
        let clock = Clock::starting_at(UNIX_EPOCH + Duration::from_secs(1_000_000));
        let store = Arc::new(MemoryStore::new());
        let (key, one) = member("one", clock);
        let (_, two) = member("two", clock);
        store.announce(&key, &one).await.unwrap();
        store.announce(&key, &two).await.unwrap();
        let config = RosterConfig::default().with_clock(clock);
        let (mut roster, lookout) = Roster::new(Arc::clone(&store), key.clone(), config).unwrap();
        assert_eq!(roster.members(), None, "nobody has looked yet");
        let (stopper, stop) = Stop::new();
        let running = tokio::spawn(lookout.run(stop));

        roster.changed().await;
        assert_eq!(instances(&roster.members().unwrap().living), ["one", "two"]);
        store.withdraw(&key, "one").await.unwrap();
        roster.changed().await;
        assert_eq!(instances(&roster.members().unwrap().living), ["two"]);
        assert_eq!(instances(&roster.members().unwrap().departed), ["one"]);
        store.announce(&key, &two.announced(None, clock.now())).await.unwrap();
        // A heartbeat is no change. Killed: the record stays, and is dead once it has not changed for its lifetime.
        roster.changed().await;
        let members = roster.members().unwrap();
        assert!(members.living.is_empty());
        assert_eq!(instances(&members.departed), ["one"], "the second reads nothing else");
        assert!(roster.age().unwrap() <= Duration::from_secs(2));
        stopper.stop(Duration::ZERO);
        assert!(running.await.unwrap().unwrap().looks > 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_config_that_never_looks_is_refused_by_name() {
        let key = ServiceKey::new("orders").unwrap();
        let config = RosterConfig::default().with_interval(Duration::ZERO);
        let error = Roster::new(MemoryStore::new(), key, config).unwrap_err();
        assert_eq!(error.to_string(), "interval of 0ns does not fit: it must be above zero");
    }
}
