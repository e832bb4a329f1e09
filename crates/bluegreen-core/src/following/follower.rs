use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::{Following, Known, PackedPhase, Source};
use crate::backoff::jitter;
use crate::{Clock, Deployment, Member, Reads, Revision, ServiceIdentity, Stop, Store, StoreError};

/// How a process follows its deployment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FollowConfig {
    /// The longest time between two looks at the store; each is drawn anew between half of it and
    /// the whole, so that a fleet does not look in step. Default: 2 s.
    pub interval: Duration,
    /// How long one call to the store may take. Default: 3 s.
    pub timeout: Duration,
    /// How long the process counts as living after an announcement; it announces itself three
    /// times as often. Default: 15 s.
    pub member_ttl: Duration,
    /// What this process understands, for others to see. Default: nothing.
    pub reads: Reads,
    /// What to assume while neither the store nor an earlier run tells. Any record of the store
    /// is newer. Default: nothing.
    pub assume: Option<Deployment>,
    /// Where wall time comes from. Default: the system.
    pub clock: Clock,
    /// Seeds the jitter; nothing seeds it at random. Default: nothing.
    pub seed: Option<u64>,
}

impl Default for FollowConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(3),
            member_ttl: Duration::from_secs(15),
            reads: Reads::default(),
            assume: None,
            clock: Clock::system(),
            seed: None,
        }
    }
}

impl FollowConfig {
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

    /// The same with another [`member_ttl`](Self::member_ttl).
    #[must_use]
    pub const fn with_member_ttl(mut self, ttl: Duration) -> Self {
        self.member_ttl = ttl;
        self
    }

    /// The same with what this process understands.
    #[must_use]
    pub fn with_reads(mut self, reads: Reads) -> Self {
        self.reads = reads;
        self
    }

    /// The same with a deployment to assume.
    #[must_use]
    pub fn with_assume(mut self, deployment: Deployment) -> Self {
        self.assume = Some(deployment);
        self
    }

    /// The same with another [`clock`](Self::clock).
    #[must_use]
    pub const fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The same with a seed for the jitter.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    fn check(&self) -> Result<(), FollowError> {
        let fields = [
            ("interval", self.interval),
            ("timeout", self.timeout),
            ("member_ttl", self.member_ttl),
        ];
        for (field, value) in fields {
            if value.is_zero() {
                return Err(FollowError { field, value, bound: "above zero" });
            }
        }
        if self.member_ttl < self.interval * 3 {
            let (field, value) = ("member_ttl", self.member_ttl);
            return Err(FollowError { field, value, bound: "at least three intervals" });
        }
        Ok(())
    }
}

/// A field of a [`FollowConfig`] does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} of {value:?} does not fit: it must be {bound}")]
pub struct FollowError {
    field: &'static str,
    value: Duration,
    bound: &'static str,
}

/// A place on this machine where a process finds, after a restart, what it last knew.
pub trait Remember: Send + Sync + 'static {
    /// What was kept last; nothing where nothing was, or where it cannot be read.
    fn recall(&self) -> impl Future<Output = Option<Deployment>> + Send;

    /// Keeps a deployment. A failure is the implementation's to report; the process goes on.
    fn keep(&self, deployment: &Deployment) -> impl Future<Output = ()> + Send;
}

/// Remembers nothing.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to add to nothing")]
pub struct Nothing;

impl Remember for Nothing {
    async fn recall(&self) -> Option<Deployment> {
        None
    }

    async fn keep(&self, _: &Deployment) {}
}

/// The driver behind a [`Following`]: looks at the store and announces this process.
#[derive(Debug)]
#[must_use = "nothing is followed until it runs"]
pub struct Follower<S, R = Nothing> {
    store: S,
    remember: R,
    identity: ServiceIdentity,
    config: FollowConfig,
    known: watch::Sender<Known>,
    phase: Arc<PackedPhase>,
    report: FollowReport,
}

/// What a [`Follower`] did while it ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FollowReport {
    /// Looks at the store.
    pub looks: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Changes that were followed.
    pub changes: u64,
}

impl Following {
    /// A handle, and the driver that keeps it up to date and announces this process.
    ///
    /// # Errors
    /// When a field of `config` does not fit.
    pub fn new<S: Store>(
        store: S,
        identity: ServiceIdentity,
        config: FollowConfig,
    ) -> Result<(Self, Follower<S>), FollowError> {
        config.check()?;
        let phase = Arc::new(PackedPhase::default());
        let (sender, receiver) = watch::channel(Known {
            deployment: None,
            source: Source::Unknown,
            confirmed: None,
            frozen: None,
        });
        let following = Self { known: receiver, phase: Arc::clone(&phase) };
        let report = FollowReport::default();
        let remember = Nothing;
        let mut follower =
            Follower { store, remember, identity, config, known: sender, phase, report };
        if let Some(assumed) = follower.config.assume.take() {
            follower.adopt(assumed.assumed(), Source::Assumed);
        }
        Ok((following, follower))
    }
}

impl<S: Store, R: Remember> Follower<S, R> {
    /// The same with a place on this machine to remember at.
    pub fn remembering<M: Remember>(self, remember: M) -> Follower<S, M> {
        let Self { store, identity, config, known, phase, report, .. } = self;
        Follower { store, remember, identity, config, known, phase, report }
    }

    /// Follows and announces until asked to stop, then withdraws this process's member record
    /// within the deadline. Dropped instead, the record stays until it expires.
    ///
    /// # Errors
    /// None today; an outage of the store is waited out, and shows in [`Following::age`].
    pub async fn run(mut self, stop: Stop) -> Result<FollowReport, StoreError> {
        if let Some(remembered) = self.remember.recall().await {
            self.adopt(remembered, Source::Remembered);
        }
        let mut random = self.config.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let mut member =
            Member::new(&self.identity, self.config.reads.clone(), self.config.member_ttl);
        let mut announced: Option<(Option<Revision>, Instant)> = None;
        loop {
            self.look().await;
            let seen = self.seen();
            let due = announced.is_none_or(|(told, when)| {
                told != seen || when.elapsed() >= self.config.member_ttl / 3
            });
            if due {
                member = member.announced(seen, self.config.clock.now());
                if self.announce(&member).await {
                    announced = Some((seen, Instant::now()));
                }
            }
            let half = self.config.interval / 2;
            tokio::select! {
                () = sleep(half + jitter(half, random.u64(..))) => {}
                deadline = stop.requested() => {
                    let withdraw = self.store.withdraw(&self.identity.key, &member.instance);
                    if !matches!(tokio::time::timeout_at(deadline, withdraw).await, Ok(Ok(()))) {
                        tracing::warn!(instance = member.instance, "left without withdrawing");
                    }
                    return Ok(self.report);
                }
            }
        }
    }

    async fn look(&mut self) {
        self.report.looks += 1;
        match timeout(self.config.timeout, self.store.load(&self.identity.key)).await {
            Ok(Ok(found)) => self.found(found).await,
            Ok(Err(StoreError::Unreadable { place, source })) => {
                self.freeze(&format!("{place}: {source}"));
            }
            Ok(Err(error)) => self.failed(&error),
            Err(elapsed) => self.failed(&elapsed),
        }
    }

    async fn found(&mut self, found: Option<Deployment>) {
        let Some(found) = found else {
            if self.known.borrow().source == Source::Store {
                tracing::warn!(service = %self.identity.key, "the record is gone; staying with the last");
            }
            return;
        };
        let known = self.known.borrow().deployment.as_ref().map(|known| known.revision());
        match known.map_or(std::cmp::Ordering::Greater, |known| found.revision().cmp(&known)) {
            std::cmp::Ordering::Greater => {
                self.adopt(found.clone(), Source::Store);
                self.report.changes += 1;
                self.remember.keep(&found).await;
            }
            std::cmp::Ordering::Equal => self.confirm(),
            // A stale read says nothing: neither a change nor that the store is up to date.
            std::cmp::Ordering::Less => {
                tracing::debug!(found = %found.revision(), ?known, "a stale read");
            }
        }
    }

    /// The packed phase goes first: whoever wakes finds it there, and the announcement that this
    /// revision is followed comes after both.
    fn adopt(&self, deployment: Deployment, source: Source) {
        let confirmed = (source == Source::Store).then(Instant::now);
        tracing::info!(
            service = %deployment.service(), phase = %deployment.phase(),
            revision = %deployment.revision(), ?source, "following"
        );
        self.phase.set(deployment.phase());
        let deployment = Some(Arc::new(deployment));
        self.known.send_replace(Known { deployment, source, confirmed, frozen: None });
    }

    fn confirm(&self) {
        self.quietly(|known| {
            known.source = Source::Store;
            known.confirmed = Some(Instant::now());
            known.frozen = None;
        });
    }

    fn freeze(&mut self, reason: &str) {
        self.report.failed += 1;
        if self.known.borrow().frozen.as_deref() != Some(reason) {
            tracing::error!(reason, "the record is not readable here; staying with the last known");
            self.quietly(|known| known.frozen = Some(Arc::from(reason)));
        }
    }

    fn failed(&mut self, error: &dyn std::error::Error) {
        self.report.failed += 1;
        tracing::warn!(%error, "the store did not answer; staying with the last known");
    }

    /// Changes what is said about the deployment without waking those who wait for another one.
    fn quietly(&self, change: impl FnOnce(&mut Known)) {
        self.known.send_if_modified(|known| {
            change(known);
            false
        });
    }

    fn seen(&self) -> Option<Revision> {
        let known = self.known.borrow();
        known.deployment.as_ref().map(|deployment| deployment.revision()).filter(|r| r.get() > 0)
    }

    async fn announce(&self, member: &Member) -> bool {
        let announce = self.store.announce(&self.identity.key, member);
        match timeout(self.config.timeout, announce).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(%error, "this process could not be announced");
                false
            }
            Err(_) => {
                tracing::warn!("announcing this process took too long");
                false
            }
        }
    }
}
