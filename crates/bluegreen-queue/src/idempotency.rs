mod identity;
mod record;

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use bluegreen_core::Clock;
use futures_util::FutureExt;
use tower_layer::Layer;
use tower_service::Service;

use crate::{ConfigError, Context, HandlerError, Outcome};
use identity::Identity;
use record::{Claim, Records};

/// How long what was handled is remembered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IdempotencyConfig {
    /// How long a message counts as being handled without an end: after a crash nobody handles it
    /// for that long. Longer than any handler takes, in whole seconds from 1 s. Default: 15 min.
    pub in_progress: Duration,
    /// How long a message counts as handled, in whole seconds from 1 s. SQS keeps messages for up
    /// to 14 days. Default: 15 days.
    pub completed: Duration,
    /// How long one call to the table may take, the SDK's own tries included. A message whose
    /// claim got no answer fails; should it have arrived, the message counts as being handled
    /// until that has run out. Default: 5 s.
    pub call_timeout: Duration,
    /// Where wall time comes from; those of a fleet should agree within seconds: a clock that is
    /// ahead takes claims over by as much too early. Default: the system.
    pub clock: Clock,
}

impl Default for IdempotencyConfig {
    fn default() -> Self {
        Self {
            in_progress: Duration::from_secs(15 * 60),
            completed: Duration::from_secs(15 * 24 * 60 * 60),
            call_timeout: Duration::from_secs(5),
            clock: Clock::system(),
        }
    }
}

impl IdempotencyConfig {
    crate::config::with! {
        with_in_progress, in_progress: Duration;
        with_completed, completed: Duration;
        with_call_timeout, call_timeout: Duration;
        with_clock, clock: Clock;
    }

    fn check(&self) -> Result<(), ConfigError> {
        for (field, value) in [("in_progress", self.in_progress), ("completed", self.completed)] {
            if value.subsec_nanos() != 0 || value.is_zero() {
                return Err(ConfigError::new(field, &value, "whole seconds from 1 s"));
            }
        }
        crate::config::check_call_timeout(self.call_timeout)
    }
}

/// A [`Layer`] that keeps a message from being handled again once it was, by a DynamoDB table with
/// the partition key `id`, a string, and time to live on `expires`.
///
/// The same message is what has the same [id](crate::Envelope::id) within its type and, where it
/// says one, its `source`; without an id it is SQS's own that counts. Another payload in the same
/// version under the same id is another message: it is parked, as nobody knows which one was
/// meant. So is one that names itself in more bytes than the key of an item has (2,048).
///
/// One `PutItem` claims a message; the answer to one that is refused says why, without a read. A
/// message that is handled elsewhere at this moment is shown again later, in its last receive
/// parked, and one that was handled is done. What a handler answers but [`Outcome::Done`] gives the
/// claim back, and so does a panic.
///
/// Dropping the future of a call, as a time-out around this layer does and a consumer at its
/// deadline, is like a crash: the claim stays until it has run out. So what ends handlers early
/// belongs within: `once.layer(Timeout::new(dispatch, …))`.
///
/// A consumer that drops a handler at its deadline shows the message to others at once. The next one
/// finds the claim and hides the message for what is left of it: its
/// [`in_progress`](IdempotencyConfig::in_progress) less the time since the handler began, rounded up
/// to seconds. That is one receive and a wait of 15 min at most by default; in the last receive of
/// the queue's redrive policy it is parked instead, though nobody has handled it. The claim is not
/// given back for it, as the other consumer would mostly have looked by then. Let stops take longer
/// than handlers do, or `in_progress` be little longer than the slowest of them.
///
/// It narrows the window of at-least-once, and does not close it: a process that dies after the
/// work and before the record is repeated once the claim has run out. Where that must not be, the
/// work and its mark belong into one transaction of the handler's own store.
///
/// ```no_run
/// # use bluegreen_queue::{Dispatch, Idempotency, IdempotencyConfig};
/// use tower_layer::Layer;
/// # fn example(dynamodb: aws_sdk_dynamodb::Client, dispatch: Dispatch)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// let once = Idempotency::new(dynamodb, "handled", "orders", IdempotencyConfig::default())?;
/// let service = once.layer(dispatch); // goes to Consumer::new like the dispatch itself
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Idempotency {
    records: Arc<Records>,
    queue: Arc<str>,
}

impl Idempotency {
    /// A layer over that table. `queue` names what is consumed, the same in both colors, as the
    /// base of its [names](crate::QueueNames): what one consumer has handled is news to another,
    /// although they share the table and the messages come from one topic.
    ///
    /// # Errors
    /// When a field of `config` does not fit.
    pub fn new(
        client: Client,
        table: impl Into<String>,
        queue: impl Into<String>,
        config: IdempotencyConfig,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let records = Arc::new(Records::new(client, table.into(), config));
        Ok(Self { records, queue: queue.into().into() })
    }
}

impl<S> Layer<S> for Idempotency {
    type Service = Idempotent<S>;

    fn layer(&self, inner: S) -> Idempotent<S> {
        Idempotent { records: Arc::clone(&self.records), queue: Arc::clone(&self.queue), inner }
    }
}

/// The service of [`Idempotency`].
#[derive(Clone, Debug)]
pub struct Idempotent<S> {
    records: Arc<Records>,
    queue: Arc<str>,
    inner: S,
}

impl<S> Service<Context> for Idempotent<S>
where
    S: Service<Context, Response = Outcome, Error = HandlerError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Outcome;
    type Error = HandlerError;
    type Future = Pin<Box<dyn Future<Output = Result<Outcome, HandlerError>> + Send>>;

    fn poll_ready(&mut self, task: &mut task::Context<'_>) -> Poll<Result<(), HandlerError>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, context: Context) -> Self::Future {
        // The one that is ready goes; its clone stays.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let records = Arc::clone(&self.records);
        let identity = Identity::of(&self.queue, &context);
        Box::pin(async move {
            let identity = match identity {
                Ok(identity) => identity,
                Err(reason) => return Ok(Outcome::Park(reason)),
            };
            let claim = match records.claim(&identity).await? {
                Claim::Ours(claim) => claim,
                Claim::Completed => return Ok(Outcome::Done),
                Claim::InProgress(left) => return Ok(Outcome::RetryAfter(left)),
                Claim::OfAnother => {
                    let id = context.envelope().id().unwrap_or(context.message_id());
                    let reason = format!("another message of this type has the id {id:?}");
                    return Ok(Outcome::Park(reason));
                }
            };
            let handling = async move { inner.call(context).await };
            let answer = AssertUnwindSafe(handling).catch_unwind().await;
            // The answer stands, whatever becomes of the record.
            let kept = match &answer {
                Ok(Ok(Outcome::Done)) => records.complete(&identity, &claim).await,
                _ => records.give_back(&identity, &claim).await,
            };
            if let Err(error) = kept {
                let id = identity.key;
                tracing::warn!(id, %error, "what was done with a message is not recorded");
            }
            // Who is told of panics is told of this one.
            answer.unwrap_or_else(|panic| resume_unwind(panic))
        })
    }
}
