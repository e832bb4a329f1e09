use std::cmp::Ordering;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::presence::Presence;
use super::{FollowConfig, FollowError, Following, Known, PackedPhase, Source};
use crate::backoff::jitter;
use crate::{Deployment, Revision, ServiceIdentity, Stop, Store, StoreError};

/// A stale read is over within seconds; AWS says of DynamoDB: usually within one. A store that
/// shows an earlier revision for that long was set up anew.
const LONGEST_STALE: Duration = Duration::from_secs(60);

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
    earlier: Earlier,
    /// What is followed and not remembered yet.
    unkept: Option<Deployment>,
    report: FollowReport,
}

/// Whether the store shows an earlier revision than the known one.
#[derive(Clone, Copy, Debug, Default)]
enum Earlier {
    #[default]
    No,
    /// Since then at every look that told anything; stale reads, it may be.
    Since(Instant),
    /// For too long to be stale reads.
    SetUpAnew,
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
        config.check(&identity.key)?;
        let phase = Arc::new(PackedPhase::default());
        let (sender, receiver) = watch::channel(Known {
            deployment: None,
            source: Source::Unknown,
            confirmed: None,
            frozen: None,
        });
        let following = Self { known: receiver, phase: Arc::clone(&phase) };
        let mut follower = Follower {
            store,
            remember: Nothing,
            identity,
            config,
            known: sender,
            phase,
            earlier: Earlier::default(),
            unkept: None,
            report: FollowReport::default(),
        };
        if let Some(assumed) = follower.config.assume.take() {
            follower.adopt(assumed.assumed(), Source::Assumed);
        }
        Ok((following, follower))
    }
}

impl<S: Store, R: Remember> Follower<S, R> {
    /// The same with a place on this machine to remember at.
    pub fn remembering<M: Remember>(self, remember: M) -> Follower<S, M> {
        let Self { store, identity, config, known, phase, earlier, unkept, report, .. } = self;
        Follower { store, remember, identity, config, known, phase, earlier, unkept, report }
    }

    /// Follows and announces until asked to stop, then withdraws this process's member record
    /// within the deadline. A look that is under way is given up at once, an announcement at the
    /// deadline. Dropped instead, the record stays until it expires.
    ///
    /// # Errors
    /// None today; an outage of the store is waited out, and shows in [`Following::age`].
    pub async fn run(mut self, stop: Stop) -> Result<FollowReport, StoreError> {
        let mut random = self.config.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let mut presence = Presence::new(&self.identity, &self.config);
        tokio::select! {
            () = self.recall() => {}
            _ = stop.requested() => return Ok(self.report),
        }
        // A member before the first look: else what changes between that look and an announcement
        // would settle without this process, which has acted on the revision before.
        self.announce(&mut presence, &stop).await;
        loop {
            tokio::select! {
                () = self.look() => {}
                _ = stop.requested() => break,
            }
            self.announce(&mut presence, &stop).await;
            let half = self.config.interval / 2;
            tokio::select! {
                () = sleep(half + jitter(half, random.u64(..))) => {}
                _ = stop.requested() => break,
            }
        }
        // Of a memory that hangs the withdrawal must not suffer.
        let half = stop.time_left().unwrap_or_default() / 2;
        drop(timeout(half, self.keep()).await);
        self.withdraw(&stop).await;
        Ok(self.report)
    }

    async fn recall(&self) {
        match timeout(self.config.timeout, self.remember.recall()).await {
            Ok(Some(remembered)) if remembered.service() == &self.identity.key => {
                self.adopt(remembered, Source::Remembered);
            }
            Ok(Some(other)) => {
                tracing::error!(service = %other.service(), "what is remembered is of another service");
            }
            Ok(None) => {}
            Err(_) => tracing::warn!("remembering took too long"),
        }
    }

    async fn look(&mut self) {
        self.report.looks += 1;
        match timeout(self.config.timeout, self.store.load(&self.identity.key)).await {
            Ok(Ok(found)) => self.found(found).await,
            Ok(Err(StoreError::Unreadable { place, source })) => {
                self.report.failed += 1;
                self.stay(&format!("the record at {place} is not readable here: {source}"));
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
        let known = self.known.borrow().deployment.clone();
        let Some(known) = known else {
            return self.follow(found).await;
        };
        match found.revision().cmp(&known.revision()) {
            Ordering::Greater => self.follow(found).await,
            Ordering::Equal if found == *known => self.confirm(),
            Ordering::Equal => {
                tracing::warn!(revision = %found.revision(), "another record under the same revision");
                self.follow(found).await;
            }
            Ordering::Less => self.found_earlier(found.revision(), known.revision()),
        }
    }

    async fn follow(&mut self, found: Deployment) {
        self.adopt(found.clone(), Source::Store);
        self.earlier = Earlier::No;
        self.report.changes += 1;
        self.unkept = Some(found);
        self.keep().await;
    }

    /// Remembers what is followed, also where a stop has given up the look that found it: by then
    /// this process has acted on it.
    async fn keep(&mut self) {
        let Some(found) = &self.unkept else { return };
        if timeout(self.config.timeout, self.remember.keep(found)).await.is_err() {
            tracing::warn!(revision = %found.revision(), "keeping what is known took too long");
        }
        self.unkept = None;
    }

    /// A stale read says nothing: neither a change nor that the store is up to date. A store that
    /// was set up anew must not be taken for it forever.
    fn found_earlier(&mut self, found: Revision, known: Revision) {
        match self.earlier {
            Earlier::No => self.earlier = Earlier::Since(Instant::now()),
            Earlier::Since(since) if since.elapsed() >= LONGEST_STALE => {
                self.earlier = Earlier::SetUpAnew;
                let reason = format!(
                    "the store is at revision {found} and this process follows revision {known}: \
                     set up anew? remove what is remembered on this machine and restart"
                );
                self.stay(&reason);
            }
            Earlier::Since(_) | Earlier::SetUpAnew => {}
        }
        tracing::debug!(%found, %known, "an earlier revision");
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

    fn confirm(&mut self) {
        self.earlier = Earlier::No;
        self.quietly(|known| {
            known.source = Source::Store;
            known.confirmed = Some(Instant::now());
            known.frozen = None;
        });
    }

    /// Says once why the last known deployment stays.
    fn stay(&self, reason: &str) {
        if self.known.borrow().frozen.as_deref() != Some(reason) {
            tracing::error!(reason, "staying with the last known deployment");
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

    /// What others may rely on: a revision of the store as it is now. What was only remembered or
    /// assumed, or is of a store that has begun anew, would be taken for one of its revisions.
    fn seen(&self) -> Option<Revision> {
        let known = self.known.borrow();
        let of_this_store =
            known.source == Source::Store && !matches!(self.earlier, Earlier::SetUpAnew);
        known.deployment.as_ref().filter(|_| of_this_store).map(|known| known.revision())
    }

    /// Not given up at the stop's request, only at its deadline: a write that was given up could
    /// still arrive after the withdrawal.
    async fn announce(&self, presence: &mut Presence, stop: &Stop) {
        let (seen, now) = (self.seen(), Instant::now());
        let Some(member) = presence.due(seen, now, self.config.clock.now()) else { return };
        let call = timeout(self.config.timeout, self.store.announce(&self.identity.key, member));
        let answer = tokio::select! {
            answer = call => answer,
            () = stop.expired() => return,
        };
        match answer {
            Ok(Ok(())) => presence.told(seen, now),
            Ok(Err(error)) => tracing::warn!(%error, "this process could not be announced"),
            Err(_) => tracing::warn!("announcing this process took too long"),
        }
    }

    async fn withdraw(&self, stop: &Stop) {
        let instance = &self.identity.instance;
        let call = timeout(self.config.timeout, self.store.withdraw(&self.identity.key, instance));
        let withdrawn = tokio::select! {
            biased;
            answer = call => matches!(answer, Ok(Ok(()))),
            () = stop.expired() => false,
        };
        if !withdrawn {
            tracing::warn!(instance, "left without withdrawing");
        }
    }
}
