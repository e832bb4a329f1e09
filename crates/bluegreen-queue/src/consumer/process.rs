use std::any::Any;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tower_service::Service;

use super::decision::{Decision, Facts, Rules};
use super::report::{Count, Counters};
use crate::claim_check::Claim;
use crate::context::Lease;
use crate::envelope::cloud_event;
use crate::envelope::text::AFTER;
use crate::hand_over::Left;
use crate::queues::is_fifo;
use crate::sqs::attributes::Attributes;
use crate::sqs::{CallError, Outgoing, Received, Sqs};
use crate::{
    Bodies, ClaimCheck, ConsumerConfig, Context, Envelope, EnvelopeError, HandOver, HandlerError,
    Message, Outcome, Parked, Subscription,
};

/// What all messages of a consumer share.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) sqs: Sqs,
    pub(super) subscription: Subscription,
    pub(super) counters: Arc<Counters>,
    rules: Rules,
    bodies: Bodies,
    redrive: Mutex<Redrive>,
    claim_check: Option<ClaimCheck>,
    hand_over: Option<HandOver>,
}

/// What the redrive policy of the queue allows, and when that was asked.
#[derive(Clone, Copy, Debug, Default)]
struct Redrive {
    last_receive: Option<u32>,
    asked: Option<Instant>,
}

/// So long an answer about the redrive policy holds: somebody may have changed it.
const REDRIVE_HOLDS: Duration = Duration::from_secs(60);

/// A message that its handler has left.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) id: Arc<str>,
    pub(super) count: Count,
    pub(super) settlement: Settlement,
}

/// What is left to do about a message in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settlement {
    Delete,
    Hide(Duration),
}

impl Worker {
    pub(super) fn new(
        sqs: Sqs,
        subscription: Subscription,
        config: &ConsumerConfig,
        counters: Arc<Counters>,
    ) -> Self {
        let rules = Rules::new(subscription.side, config);
        Self {
            sqs,
            subscription,
            counters,
            rules,
            bodies: config.bodies.clone(),
            redrive: Mutex::default(),
            claim_check: config.claim_check.clone(),
            hand_over: config.hand_over.clone(),
        }
    }

    /// The last receive that the redrive policy of the queue allows; asked again from time to
    /// time. Where the queue does not say, as for lack of permission, what was known before holds,
    /// or else the configured budget alone.
    pub(super) async fn last_receive(&self) -> Option<u32> {
        // Those that come meanwhile wait for the answer rather than to ask themselves.
        let mut redrive = self.redrive.lock().await;
        if redrive.asked.is_none_or(|asked| asked.elapsed() >= REDRIVE_HOLDS) {
            match self.sqs.max_receive_count(&self.subscription.url).await {
                Ok(most) => redrive.last_receive = most,
                Err(error) => {
                    let url = &self.subscription.url;
                    tracing::warn!(%url, cause = %error.into_source(), "no redrive policy was read");
                }
            }
            redrive.asked = Some(Instant::now());
        }
        redrive.last_receive
    }

    /// Hands one message to the service and does what its answer asks for, up to the last step in
    /// the message's own queue. Panics of the service end here. What it takes by reference would
    /// otherwise be in its future twice.
    pub(super) async fn process<S>(
        &self,
        service: S,
        message: &Received,
        lease: &Lease,
        entropy: u64,
    ) -> Finished
    where
        S: Service<Context, Response = Outcome, Error = HandlerError>,
    {
        if let Some(marker) = self.left(message) {
            let (count, settlement) =
                Box::pin(self.write_down(marker, message, lease, entropy)).await;
            return Finished { id: Arc::clone(&message.id), count, settlement };
        }
        let answer = match self.bodies.read(&message.body, message.sent) {
            Ok(envelope) => match envelope.claim().cloned() {
                None => answer(service, in_hand(message, envelope, lease)).await,
                // Boxed, as few messages need it: what follows would be part of every task.
                Some(claim) => {
                    Box::pin(self.answer_claimed(service, envelope, claim, message, lease)).await
                }
            },
            Err(error) => Ok(Outcome::Park(told(&error))),
        };
        let (receive_count, passes) = (message.receive_count, message.attributes.passes());
        let last_receive = match answer {
            Err(_) | Ok(Outcome::PassOn | Outcome::RetryAfter(_)) => {
                Box::pin(self.last_receive()).await
            }
            // To nothing else it matters.
            _ => None,
        };
        let facts = Facts { receive_count, passes, last_receive };
        let (count, settlement) = match self.rules.decide(&answer, facts, entropy) {
            Decision::Delete => (Count::Handled, Settlement::Delete),
            Decision::Retry(time) => (Count::Retried, Settlement::Hide(time)),
            Decision::Await(time) => (Count::Awaited, Settlement::Hide(time)),
            Decision::Fail(time) => {
                if let Err(error) = answer {
                    tracing::warn!(message = %message.id, receive_count, %error, "a handler failed");
                }
                (Count::Failed, Settlement::Hide(time))
            }
            // Boxed: the SDK's calls would make the task of each message kilobytes larger.
            Decision::Park(reason) => {
                Box::pin(self.send_away(message, lease, Some(&reason), facts, entropy)).await
            }
            Decision::Pass => Box::pin(self.send_away(message, lease, None, facts, entropy)).await,
        };
        Finished { id: Arc::clone(&message.id), count, settlement }
    }

    /// What the service answers to a message whose payload is kept elsewhere.
    async fn answer_claimed<S>(
        &self,
        service: S,
        envelope: Envelope,
        claim: Claim,
        message: &Received,
        lease: &Lease,
    ) -> Result<Outcome, HandlerError>
    where
        S: Service<Context, Response = Outcome, Error = HandlerError>,
    {
        match self.claimed(envelope, &claim).await? {
            Ok(envelope) => answer(service, in_hand(message, envelope, lease)).await,
            Err(reason) => Ok(Outcome::Park(reason)),
        }
    }

    /// The envelope with the payload that is kept elsewhere; or why it is poison.
    async fn claimed(
        &self,
        envelope: Envelope,
        claim: &Claim,
    ) -> Result<Result<Envelope, String>, HandlerError> {
        let Some(claims) = &self.claim_check else {
            return Ok(
                Err("its payload is kept elsewhere, and there is no claim check".to_owned()),
            );
        };
        let payload = claims.get(claim).await?;
        Ok(payload.and_then(|payload| envelope.with_payload(&payload).map_err(|e| told(&e))))
    }

    /// The envelope of a message that may have to do with a hand-over, which few have.
    pub(super) fn hands_over(&self, message: &Received) -> Option<Envelope> {
        self.hand_over.as_ref()?;
        let may =
            [AFTER, cloud_event::AFTER, Left::TYPE].iter().any(|it| message.body.contains(it));
        may.then(|| self.bodies.read(&message.body, message.sent).ok()).flatten()
    }

    /// The marker that a message is.
    fn left(&self, message: &Received) -> Option<String> {
        let envelope = self.hands_over(message).filter(|envelope| envelope.kind() == Left::TYPE)?;
        Left::VERSION
            .reads(envelope.version())
            .then(|| envelope.read::<Left>().ok())?
            .map(|left| left.marker)
    }

    /// Writes a marker down: all of its group that was sent here before is handled.
    async fn write_down(
        &self,
        marker: String,
        message: &Received,
        lease: &Lease,
        entropy: u64,
    ) -> (Count, Settlement) {
        let Some(hand_over) = &self.hand_over else {
            return (Count::Failed, Settlement::Hide(Duration::ZERO));
        };
        match hand_over.write(marker).await {
            Ok(()) => (Count::HandedOver, Settlement::Delete),
            Err(error) => {
                tracing::warn!(message = %message.id, %error, "a marker cannot be written down");
                let last_receive = self.last_receive().await;
                let receive_count = message.receive_count;
                let facts = Facts { receive_count, passes: 0, last_receive };
                if !facts.is_last() {
                    return (Count::Failed, Settlement::Hide(self.rules.delay(facts, entropy)));
                }
                let reason = format!(
                    "a marker could not be written down, the last of {receive_count} times: {error}"
                );
                self.send_away(message, lease, Some(&reason), facts, entropy).await
            }
        }
    }

    /// Parks a message for a reason, or passes it on where there is none. Where it cannot be sent
    /// it is hidden for a time.
    async fn send_away(
        &self,
        message: &Received,
        lease: &Lease,
        reason: Option<&str>,
        facts: Facts,
        entropy: u64,
    ) -> (Count, Settlement) {
        let delay = self.rules.delay(facts, entropy);
        // Whoever holds the lease now will send it; twice would be once too often.
        if lease.is_lost() {
            return (Count::Failed, Settlement::Hide(delay));
        }
        let sent = match reason {
            Some(reason) => self.park(message, reason).await,
            None => match self.pass(message).await {
                // Hidden now, it would end in the dead-letter queue all the same, without a reason.
                Err(error) if facts.is_last() => {
                    let (receives, cause) = (facts.receive_count, error.told());
                    let reason =
                        format!("it could not be passed on, the last of {receives} times: {cause}");
                    self.park(message, &reason).await
                }
                sent => sent,
            },
        };
        match sent {
            Ok(count) => (count, Settlement::Delete),
            Err(error) => {
                tracing::error!(
                    message = %message.id, retryable = error.is_retryable(),
                    cause = %error.into_source(), "a message could not be sent elsewhere"
                );
                (Count::Failed, Settlement::Hide(delay))
            }
        }
    }

    async fn park(&self, message: &Received, reason: &str) -> Result<Count, CallError> {
        tracing::warn!(message = %message.id, reason, "parking a message");
        let queue = &self.subscription.dead_letters;
        let as_it_is = || (message.body.clone(), message.attributes.clone());
        match self.send(queue, message, with_reason(message, reason), "parked").await {
            // The queue may take less than AWS's limit: the reason must not keep the message here.
            Err(error) if error.is_invalid() => {
                tracing::warn!(cause = %error.into_source(), "parking it without the reason");
                self.send(queue, message, as_it_is(), "parked").await?;
            }
            sent => sent?,
        }
        Ok(Count::Parked)
    }

    async fn pass(&self, message: &Received) -> Result<Count, CallError> {
        if self.subscription.is_left() {
            let reason = format!("no process of {} lives", self.subscription.color.other());
            return self.park(message, &reason).await;
        }
        let attributes = message.attributes.passed(&message.id, message.body.len());
        let why = match self.subscription.other.as_ref().zip(attributes) {
            None => "no room for the attribute that counts passes",
            Some((other, attributes)) => {
                let content = (message.body.clone(), attributes);
                match self.send(other, message, content, "passed").await {
                    Err(error) if error.is_invalid() => "the other color's queue does not take it",
                    // Waiting for it would end with the message's own time.
                    Err(error) if error.is_queue_missing() => {
                        "the other color's queue does not exist"
                    }
                    sent => return sent.map(|()| Count::Passed),
                }
            }
        };
        self.park(message, &format!("it cannot be passed on: {why}")).await
    }

    async fn send(
        &self,
        url: &str,
        message: &Received,
        (body, attributes): (String, Attributes),
        why: &str,
    ) -> Result<(), CallError> {
        // The same message sent again after a lost reply counts once: its id names it.
        let fifo = is_fifo(url).then(|| {
            let group = message.group.as_deref().unwrap_or(&message.id);
            (group.to_owned(), format!("{}-{why}", message.id))
        });
        let id = self.sqs.send(url, Outgoing { body, attributes, fifo }).await?;
        tracing::debug!(message = %message.id, sent = id, url, why, "sent a message elsewhere");
        Ok(())
    }
}

fn told(error: &EnvelopeError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

/// The message with the reason beside it in an attribute or, where none is free, around it. As it
/// is where neither fits: then only the log has the reason.
fn with_reason(message: &Received, reason: &str) -> (String, Attributes) {
    let attributes = &message.attributes;
    if let Some(parked) = attributes.parked(reason, &message.id, message.body.len()) {
        return (message.body.clone(), parked);
    }
    let wrapped = Parked::wrap(&message.body, reason, &message.id, message.sent)
        .filter(|wrapped| attributes.leave_room_for(wrapped.len()));
    (wrapped.unwrap_or_else(|| message.body.clone()), attributes.clone())
}

/// What the handler of a message knows of it.
fn in_hand(message: &Received, envelope: Envelope, lease: &Lease) -> Context {
    Context::leased(Arc::clone(&message.id), message.receive_count, envelope, lease.clone())
}

async fn answer<S>(mut service: S, context: Context) -> Result<Outcome, HandlerError>
where
    S: Service<Context, Response = Outcome, Error = HandlerError>,
{
    let handling = async move {
        poll_fn(|task| service.poll_ready(task)).await?;
        service.call(context).await
    };
    // The message and the service's clone are dropped with the panic, so nothing half-changed is
    // seen again but what the service shares on its own account.
    match AssertUnwindSafe(handling).catch_unwind().await {
        Ok(answer) => answer,
        Err(panic) => Err(format!("the handler panicked: {}", words(&*panic)).into()),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}
