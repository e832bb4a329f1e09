mod quiet;

use std::error::Error;
use std::time::Duration;

use aws_sdk_sqs::Client;
use bluegreen_core::{Clock, Revision, ServiceKey, Settled, Store, StoreError, settled};
use tokio::time::{Instant, sleep};

use crate::ConfigError;
use crate::config::{check_call_timeout, with};
use crate::sqs::Sqs;
use quiet::Quiet;

/// How it is decided that a queue is drained.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DrainConfig {
    /// How long the counts of the queue must all be zero, without a break. AWS says that they may
    /// take a minute to be right, so below 60 s the answer may come while messages are left: only
    /// for stand-ins, or where that does no harm. Default: 75 s.
    pub settle: Duration,
    /// The time between two looks at the counts, and at the members; above zero, at most a fifth
    /// of `settle`. Default: 5 s.
    pub interval: Duration,
    /// How long one call to SQS may take, the SDK's own tries included. Default: 5 s.
    pub call_timeout: Duration,
    /// Where wall time comes from. Default: the system.
    pub clock: Clock,
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(75),
            interval: Duration::from_secs(5),
            call_timeout: Duration::from_secs(5),
            clock: Clock::system(),
        }
    }
}

impl DrainConfig {
    with! {
        with_settle, settle: Duration;
        with_interval, interval: Duration;
        with_call_timeout, call_timeout: Duration;
        with_clock, clock: Clock;
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.interval.is_zero() || self.interval > self.settle / 5 {
            let bound = "above zero, and at most a fifth of settle";
            return Err(ConfigError::new("interval", &self.interval, bound));
        }
        check_call_timeout(self.call_timeout)
    }
}

/// A queue that nobody sends to any more and that is empty, as evidence for the next step of a
/// deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// The processes that follow the revision, and those that ended before they did.
    pub settled: Settled,
    /// How long all counts were zero.
    pub quiet: Duration,
}

/// The counts of a queue, approximate as SQS says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Depth {
    /// Messages that can be received.
    pub visible: u64,
    /// Messages that somebody has in hand, or that wait after a failure.
    pub in_flight: u64,
    /// Messages that are not shown yet for the first time.
    pub delayed: u64,
}

impl Depth {
    /// Whether nothing is there at all.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.visible == 0 && self.in_flight == 0 && self.delayed == 0
    }
}

/// Waits until a queue is drained: the queue of a color after its share went to zero.
///
/// First every living process has followed `revision`, the one from which on nobody sends there;
/// whoever has not would still send. From then on all counts of the queue must be zero for the
/// [`settle`](DrainConfig::settle) time without a break: a look that fails or finds anything begins
/// it anew. What is parked or passed on is elsewhere, and is not waited for.
///
/// Cancel safe; put a time limit around it: a process that lives and never follows is waited for
/// without end. A send that began before its process followed the revision may be on its way for
/// twice the producer's `call_timeout` and its `linger`, which must fit into the settle time.
///
/// The answer is about `revision`: once the deployment has moved on, as by a rollback, somebody may
/// send there again, and the wait ends with [`DrainError::Moved`]. Where the new revision sends
/// nothing there either, ask anew with it.
///
/// ```no_run
/// # use std::time::Duration;
/// # use bluegreen_core::{Color, Deployment, ServiceKey, Store};
/// # use bluegreen_queue::{DrainConfig, drained};
/// # async fn example(
/// #     sqs: aws_sdk_sqs::Client, blues_queue: &str, store: impl Store, service: ServiceKey,
/// #     switched: Deployment,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// // All traffic goes to green, by the deployment `switched`: when may blue be stopped?
/// let config = DrainConfig::default();
/// let drained = drained(sqs, blues_queue, &store, &service, switched.revision(), config);
/// let drained = tokio::time::timeout(Duration::from_secs(3600), drained).await??;
/// println!("quiet for {:?}; all follow: {:?}", drained.quiet, drained.settled.followed);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When a field of `config` does not fit; when the deployment moves on; when the store answers with
/// an error that does not pass by itself; when the queue does not exist. Other failures of SQS are
/// waited out.
pub async fn drained<S: Store>(
    client: Client,
    url: &str,
    store: &S,
    service: &ServiceKey,
    revision: Revision,
    config: DrainConfig,
) -> Result<Drained, DrainError> {
    config.check()?;
    let interval = config.interval;
    tokio::select! {
        biased;
        moved = until_moved(store, service, revision, interval) => Err(moved),
        answer = until_drained(client, url, store, service, revision, config) => answer,
    }
}

/// Waits until the deployment is at a later revision, or nobody can say.
async fn until_moved<S: Store>(
    store: &S,
    service: &ServiceKey,
    revision: Revision,
    interval: Duration,
) -> DrainError {
    loop {
        match check_revision(store, service, revision).await {
            Err(DrainError::Store(error)) if error.is_retryable() => {
                tracing::warn!(%error, %revision, "the deployment cannot be read, waiting");
            }
            Err(error) => return error,
            Ok(()) => {}
        }
        sleep(interval).await;
    }
}

async fn check_revision<S: Store>(
    store: &S,
    service: &ServiceKey,
    revision: Revision,
) -> Result<(), DrainError> {
    let found = store.load(service).await?.map(|deployment| deployment.revision());
    match found.filter(|found| *found > revision) {
        Some(found) => Err(DrainError::Moved { revision, found }),
        None => Ok(()),
    }
}

async fn until_drained<S: Store>(
    client: Client,
    url: &str,
    store: &S,
    service: &ServiceKey,
    revision: Revision,
    config: DrainConfig,
) -> Result<Drained, DrainError> {
    let sqs = Sqs::new(client, config.call_timeout);
    let settled = settled(store, service, revision, config.interval, config.clock).await?;
    let mut quiet = Quiet::new(config.settle);
    loop {
        // A count is as old as the moment it was asked for, not as its answer.
        let asked = Instant::now();
        match sqs.depth(url).await {
            Ok(depth) => {
                if let Some(quiet) = quiet.observe(depth, asked) {
                    match check_revision(store, service, revision).await {
                        // Whether somebody sends there again is not known now.
                        Err(DrainError::Store(error)) if error.is_retryable() => {}
                        checked => return checked.map(|()| Drained { settled, quiet }),
                    }
                }
                tracing::debug!(url, ?depth, "waiting for a queue to drain");
            }
            Err(error) if error.is_queue_missing() => {
                let (url, source) = (url.to_owned(), error.into_source());
                return Err(DrainError::QueueMissing { url, source });
            }
            Err(error) => {
                tracing::warn!(url, cause = %error.into_source(), "a queue cannot be looked at");
                quiet.broken();
            }
        }
        sleep(config.interval).await;
    }
}

/// It cannot be said whether a queue is drained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrainError {
    /// A field of the configuration does not fit.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The deployment has moved on: whether somebody sends to the queue again is for whoever asks
    /// to say.
    #[error("the deployment has moved from revision {revision} to {found}")]
    Moved {
        /// The revision that was asked about.
        revision: Revision,
        /// The one that the deployment is at.
        found: Revision,
    },
    /// The members or the deployment cannot be read.
    #[error("the members or the deployment cannot be read")]
    Store(#[from] StoreError),
    /// There is no such queue.
    #[error("the queue {url} does not exist")]
    QueueMissing {
        /// The URL of the queue.
        url: String,
        /// What SQS said.
        source: Box<dyn Error + Send + Sync>,
    },
}
