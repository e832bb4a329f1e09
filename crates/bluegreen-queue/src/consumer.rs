mod batch;
mod decision;
mod groups;
mod handlers;
mod heartbeat;
mod hold;
mod leases;
mod process;
mod receive;
mod report;
mod running;
mod settle;
mod slot;
mod wakes;

use std::error::Error;
use std::sync::Arc;

use aws_sdk_sqs::Client;
use bluegreen_core::{Following, Stop};
use tokio::sync::watch;
use tower_service::Service;

pub use report::ConsumerReport;

use crate::queues::is_fifo;
use crate::sqs::Sqs;
use crate::{
    ConfigError, ConsumerConfig, Context, Dispatch, Flow, HandlerError, Outcome, Subscription,
};
use process::Worker;
use report::Counters;

/// The driver that receives messages, hands them to their handlers and settles them.
///
/// What it guarantees: a message is deleted only after its handler answered
/// [`Outcome::Done`] or after it was sent elsewhere; a failed one is shown again after a delay that
/// grows with each receive and is never zero; a slow one holds only its own permit; nothing at all
/// is received while the [gate](crate::gate()) is closed. At-least-once is SQS's own promise, and stays so.
#[derive(Debug)]
#[must_use = "nothing is received until it runs"]
pub struct Consumer<S = Dispatch> {
    worker: Arc<Worker>,
    service: S,
    config: ConsumerConfig,
    following: Following,
    paused: watch::Receiver<bool>,
}

/// Looks at a running [`Consumer`], pauses and resumes it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ConsumerHandle {
    paused: Arc<watch::Sender<bool>>,
    counters: Arc<Counters>,
    following: Following,
    subscription: Subscription,
}

impl ConsumerHandle {
    /// Receives nothing more until [`resume`](Self::resume), for ever when no handle is left to
    /// call it; what is being handled goes on. What waits behind it in its FIFO group is shown to
    /// others, and so is what a [`HandOver`](crate::HandOver) keeps.
    pub fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// Receives again, as far as the gate allows.
    pub fn resume(&self) {
        self.paused.send_replace(false);
    }

    /// Whether it is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// What the gate says now.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.subscription.flow(&self.following)
    }

    /// What was done so far.
    #[must_use]
    pub fn report(&self) -> ConsumerReport {
        self.counters.report()
    }
}

impl<S> Consumer<S>
where
    S: Service<Context, Response = Outcome, Error = HandlerError> + Clone + Send + 'static,
    S::Future: Send,
{
    /// A consumer of one queue and its handle. `service` is a [`Dispatch`], or one with tower's
    /// layers around it; it is cloned for each message.
    ///
    /// # Errors
    /// When a field of `config` does not fit; when a URL is missing, or one queue is meant to be
    /// two.
    pub fn new(
        client: Client,
        subscription: Subscription,
        following: Following,
        service: S,
        config: ConsumerConfig,
    ) -> Result<(ConsumerHandle, Self), ConfigError> {
        config.check()?;
        subscription.check()?;
        let subscription = match &config.hand_over {
            None => subscription,
            Some(_) if is_fifo(&subscription.url) => subscription.finishing(),
            hand_over => {
                let bound = "left out where queues are not FIFO";
                return Err(ConfigError::new("hand_over", hand_over, bound));
            }
        };
        let (pauser, paused) = watch::channel(false);
        let counters = Arc::new(Counters::new(&subscription));
        let handle = ConsumerHandle {
            paused: Arc::new(pauser),
            counters: Arc::clone(&counters),
            following: following.clone(),
            subscription: subscription.clone(),
        };
        let sqs = Sqs::new(client, config.call_timeout);
        let worker = Arc::new(Worker::new(sqs, subscription, &config, counters));
        Ok((handle, Self { worker, service, config, following, paused }))
    }

    /// Consumes until asked to stop. From that instant on nothing is received; an open receive is
    /// awaited for [`poll_grace`](ConsumerConfig::poll_grace) and what it returns is released;
    /// handlers that run may finish until shortly before the deadline (2 s, at most a quarter of
    /// the time given), then they are dropped and their messages released; deletes are flushed.
    ///
    /// Dropping the future is the hard end: handlers are dropped too, and every message that was
    /// not deleted appears again when its visibility ends.
    ///
    /// # Errors
    /// When the queue does not exist, as its first receive tells. All later failures are waited
    /// out with growing delays, and counted.
    pub async fn run(self, stop: Stop) -> Result<ConsumerReport, ConsumerError> {
        running::Running::new(self, stop).run().await
    }
}

/// A [`Consumer`] cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// There is no such queue.
    #[error("the queue {url} does not exist")]
    QueueMissing {
        /// The URL of the queue.
        url: String,
        /// What SQS said.
        source: Box<dyn Error + Send + Sync>,
    },
}
