mod config;
mod follower;
mod packed;
mod presence;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

pub use config::{FollowConfig, FollowError};
pub use follower::{FollowReport, Follower, Nothing, Remember};

use crate::{Color, Deployment, Phase, Role, Share};
use packed::PackedPhase;

/// The deployment as this process knows it: a cheap handle for everything that must act on it.
///
/// Its [`Follower`] keeps it up to date. What is known never goes back to an earlier revision and
/// outlives an outage of the store: a control plane that is down must not stop the color that
/// serves.
///
/// A store that is set up anew counts its revisions from 1 again. The handle then stays at what it
/// knows, until the store has passed that. After a minute [`frozen`](Self::frozen) says so, an
/// error is logged once, and the process announces that it has seen nothing, so that
/// [`settled`](crate::settled) waits for it: remove what it remembers on its machine, and restart
/// it. Within that minute its announcements still name the earlier store's revision.
#[derive(Clone, Debug)]
pub struct Following {
    known: watch::Receiver<Known>,
    phase: Arc<PackedPhase>,
}

/// What is known, and since when.
#[derive(Clone, Debug)]
struct Known {
    deployment: Option<Arc<Deployment>>,
    source: Source,
    confirmed: Option<Instant>,
    frozen: Option<Arc<str>>,
}

/// Where the known deployment comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// Nowhere: none is known. HTTP may serve; consumers must not run.
    Unknown,
    /// The configuration: it says what to assume until the store answers.
    Assumed,
    /// An earlier run of this process on this machine.
    Remembered,
    /// The store.
    Store,
}

impl Following {
    /// A handle that always answers the same: for tests, and for services without a store. Its one
    /// deployment is a change to each clone that has not seen it.
    #[must_use]
    pub fn fixed(deployment: Deployment) -> Self {
        let phase = Arc::new(PackedPhase::default());
        phase.set(deployment.phase());
        let known = Known {
            deployment: Some(Arc::new(deployment)),
            source: Source::Assumed,
            confirmed: None,
            frozen: None,
        };
        let mut known = watch::channel(known).1;
        // As with any other handle, what is known first is news.
        known.mark_changed();
        Self { known, phase }
    }

    /// The deployment, when one is known.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Deployment>> {
        self.known.borrow().deployment.clone()
    }

    /// Waits for a deployment that this handle has not seen yet and answers it. Once the follower
    /// has ended none comes, and this waits forever rather than to spin. Cancel safe.
    pub async fn changed(&mut self) -> Arc<Deployment> {
        while self.known.changed().await.is_ok() {
            if let Some(deployment) = self.known.borrow_and_update().deployment.clone() {
                return deployment;
            }
        }
        std::future::pending().await
    }

    /// Waits until a deployment is known. Cancel safe.
    pub async fn known(&self) -> Arc<Deployment> {
        let mut known = self.known.clone();
        if let Ok(known) = known.wait_for(|known| known.deployment.is_some()).await
            && let Some(deployment) = &known.deployment
        {
            return Arc::clone(deployment);
        }
        std::future::pending().await
    }

    /// The phase, when one is known. One atomic load: made to be asked for every request.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.phase.get()
    }

    /// What `color` gets of the work: nothing while no deployment is known. One atomic load.
    #[must_use]
    pub fn weight(&self, color: Color) -> Share {
        self.phase().map_or(Share::ZERO, |phase| phase.weight(color))
    }

    /// What `color` is to the deployment, when one is known. One atomic load.
    #[must_use]
    pub fn role(&self, color: Color) -> Option<Role> {
        self.phase().map(|phase| phase.role(color))
    }

    /// Where the known deployment comes from.
    #[must_use]
    pub fn source(&self) -> Source {
        self.known.borrow().source
    }

    /// How long ago the store last confirmed what is known; nothing when it never has.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.known.borrow().confirmed.map(|confirmed| confirmed.elapsed())
    }

    /// Why the handle stays at what it knows although the store answers with something else: a
    /// record that this version of the library cannot read, or an earlier revision for more than a
    /// minute, as of a store that was set up anew.
    #[must_use]
    pub fn frozen(&self) -> Option<Arc<str>> {
        self.known.borrow().frozen.clone()
    }
}
