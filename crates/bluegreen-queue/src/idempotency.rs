mod record;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use bluegreen_core::Clock;
use tower_layer::Layer;
use tower_service::Service;

use crate::{ConfigError, Context, HandlerError, Outcome};
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
    /// Where wall time comes from; those of a fleet should agree within seconds. Default: the
    /// system.
    pub clock: Clock,
}

impl Default for IdempotencyConfig {
    fn default() -> Self {
        Self {
            in_progress: Duration::from_secs(15 * 60),
            completed: Duration::from_secs(15 * 24 * 60 * 60),
            clock: Clock::system(),
        }
    }
}

impl IdempotencyConfig {
    crate::config::with! {
        with_in_progress, in_progress: Duration;
        with_completed, completed: Duration;
        with_clock, clock: Clock;
    }

    fn check(&self) -> Result<(), ConfigError> {
        for (field, value) in [("in_progress", self.in_progress), ("completed", self.completed)] {
            if value.subsec_nanos() != 0 || value.is_zero() {
                return Err(ConfigError::new(field, &value, "whole seconds from 1 s"));
            }
        }
        Ok(())
    }
}

/// A [`Layer`] that keeps a message from being handled again once it was: by the
/// [id](crate::Envelope::id) of its envelope, where it has none by SQS's, in a DynamoDB table with
/// the partition key `id`, a string, and time to live on `expires`.
///
/// One `PutItem` claims a message; the answer to one that is refused says why, without a read. A
/// message that is handled elsewhere at this moment is shown again later, one that was handled is
/// done. What a handler answers but [`Outcome::Done`] gives the claim back.
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
/// let once = Idempotency::new(dynamodb, "handled-orders", IdempotencyConfig::default())?;
/// let service = once.layer(dispatch); // goes to Consumer::new like the dispatch itself
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Idempotency {
    records: Arc<Records>,
}

impl Idempotency {
    /// A layer over that table.
    ///
    /// # Errors
    /// When a field of `config` does not fit.
    pub fn new(
        client: Client,
        table: impl Into<String>,
        config: IdempotencyConfig,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self { records: Arc::new(Records::new(client, table.into(), config)) })
    }
}

impl<S> Layer<S> for Idempotency {
    type Service = Idempotent<S>;

    fn layer(&self, inner: S) -> Idempotent<S> {
        Idempotent { records: Arc::clone(&self.records), inner }
    }
}

/// The service of [`Idempotency`].
#[derive(Clone, Debug)]
pub struct Idempotent<S> {
    records: Arc<Records>,
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
        Box::pin(async move {
            let id = context.envelope().id().unwrap_or(context.message_id()).to_owned();
            let claim = match records.claim(&id).await? {
                Claim::Ours(claim) => claim,
                Claim::Completed => return Ok(Outcome::Done),
                Claim::InProgress(left) => return Ok(Outcome::RetryAfter(left)),
            };
            let answer = inner.call(context).await;
            // The answer stands, whatever becomes of the record.
            let kept = match &answer {
                Ok(Outcome::Done) => records.complete(&id, &claim).await,
                _ => records.give_back(&id, &claim).await,
            };
            if let Err(error) = kept {
                tracing::warn!(id, %error, "what was done with a message is not recorded");
            }
            answer
        })
    }
}
