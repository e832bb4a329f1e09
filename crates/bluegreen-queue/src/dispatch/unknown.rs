use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bluegreen_core::ContractVersion;

use super::Answer;
use crate::{Context, HandlerError, Outcome};

/// What becomes of a message whose type or major version has no handler.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum UnknownPolicy {
    /// The other color probably knows it, as its release is another one: [`Outcome::PassOn`]. With
    /// a queue for each color nobody may live who reads the other one: give the subscription a
    /// [roster](crate::Subscription::with_roster), or [adopt](crate::Subscription::adopted) what
    /// that color leaves.
    PassToOtherColor,
    /// Nobody will: [`Outcome::Park`], with the type and version as reason.
    Park,
    /// This handler decides; see [`fallback`](Self::fallback).
    Fallback(Fallback),
    /// The handling fails: the message is shown again with growing delay, and parked with its
    /// reason in the last receive that the queue's redrive policy allows. Without such a policy it
    /// comes again until it is too old.
    Fail,
}

impl UnknownPolicy {
    /// Hands unknown messages, in their envelope, to an async function or closure.
    pub fn fallback<Fut>(handler: impl Fn(Context) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = Result<Outcome, HandlerError>> + Send + 'static,
    {
        Self::Fallback(Fallback(Arc::new(move |context| Box::pin(handler(context)))))
    }

    pub(super) fn answer(&self, context: Context, reason: String) -> Answer {
        let answer = match self {
            Self::PassToOtherColor => Ok(Outcome::PassOn),
            Self::Park => Ok(Outcome::Park(reason)),
            Self::Fallback(Fallback(handler)) => return handler(context),
            Self::Fail => Err(reason.into()),
        };
        Box::pin(std::future::ready(answer))
    }
}

/// The handler of [`UnknownPolicy::Fallback`].
#[derive(Clone)]
pub struct Fallback(Arc<dyn Fn(Context) -> Answer + Send + Sync>);

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fallback")
    }
}

/// Why there is no handler, for people who find the message in a dead-letter queue.
pub(super) fn reason(
    kind: &str,
    version: ContractVersion,
    known: impl Iterator<Item = ContractVersion>,
) -> String {
    let known: Vec<_> = known.map(|version| version.to_string()).collect();
    if known.is_empty() {
        format!("the type {kind:?} is unknown")
    } else {
        format!("{kind} {version} is unknown: known are {}", known.join(", "))
    }
}
