use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bluegreen_core::ContractVersion;

use super::upcast::{self, Contract, Way};
use super::{Answer, Dispatch, Entry, Table, UnknownPolicy};
use crate::{Context, HandlerError, Message, Outcome};

/// A [`Dispatch`] being described.
#[derive(Default)]
#[must_use = "nothing is dispatched before it is built"]
pub struct DispatchBuilder {
    ways: Vec<(Contract, Way)>,
    unknown: Option<UnknownPolicy>,
}

impl DispatchBuilder {
    /// Registers the handler of one type and major version of message: an async function or
    /// closure. It may run many times at once, and again for a message that it has handled
    /// before: SQS delivers at least once.
    pub fn on<M, Fut>(mut self, handler: impl Fn(M, Context) -> Fut + Send + Sync + 'static) -> Self
    where
        M: Message,
        Fut: Future<Output = Result<Outcome, HandlerError>> + Send + 'static,
    {
        let read = move |raised: Option<String>, context: Context| -> Answer {
            match payload::<M>(raised.as_deref().unwrap_or(context.envelope().payload())) {
                Ok(message) => Box::pin(handler(message, context)),
                Err(reason) => Box::pin(std::future::ready(Ok(Outcome::Park(reason)))),
            }
        };
        self.ways.push((Contract::of::<M>(), Way::Handle(Arc::new(read))));
        self
    }

    /// Registers how the newer version of a message is made out of an older one, or the new type
    /// out of the one that it replaces. Steps form a chain: with 1 → 2 and 2 → 3, a message of
    /// version 1 reaches the handler of version 3. A message that cannot be raised is parked.
    ///
    /// The [`envelope`](Context::envelope) that a handler sees stays the one that was sent.
    pub fn upcast<Old: Message, New: Message>(
        mut self,
        raise: impl Fn(Old) -> Result<New, HandlerError> + Send + Sync + 'static,
    ) -> Self {
        let way = Way::Raise(Contract::of::<New>(), upcast::convert(raise));
        self.ways.push((Contract::of::<Old>(), way));
        self
    }

    /// Chooses what becomes of messages without a handler. There is no default.
    pub fn unknown(mut self, policy: UnknownPolicy) -> Self {
        self.unknown = Some(policy);
        self
    }

    /// The finished dispatch.
    ///
    /// # Errors
    /// When two handlers or upcasters are registered for the same type and major version; when a
    /// chain of upcasters ends without a handler or leads back to where it began; when no policy
    /// for unknown messages was chosen.
    pub fn build(self) -> Result<Dispatch, DispatchError> {
        let unknown = self.unknown.ok_or(DispatchError::NoPolicy)?;
        let mut entries: BTreeMap<_, BTreeMap<u16, Entry>> = BTreeMap::new();
        for ((kind, major), entry) in upcast::resolve(self.ways)? {
            entries.entry(kind).or_default().insert(major, entry);
        }
        Ok(Dispatch { table: Arc::new(Table { entries, unknown }) })
    }
}

/// The message in a payload, or why it is poison.
pub(super) fn payload<M: Message>(text: &str) -> Result<M, String> {
    serde_json::from_str(text)
        .map_err(|error| format!("the payload is not a {} {}: {error}", M::TYPE, M::VERSION))
}

impl fmt::Debug for DispatchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.ways.iter().map(|(known, _)| format!("{} {}", known.kind, known.version));
        f.debug_struct("DispatchBuilder")
            .field("known", &known.collect::<Vec<_>>())
            .field("unknown", &self.unknown)
            .finish()
    }
}

/// A [`Dispatch`] cannot be built as described.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchError {
    /// Two handlers, upcasters or one of each for one major version of a type; one takes every
    /// minor of its major.
    #[error(
        "{kind} {first} and {kind} {second} have a handler or upcaster each: one takes every {}.x",
        .first.major()
    )]
    Duplicate {
        /// The type.
        kind: &'static str,
        /// The version registered first.
        first: ContractVersion,
        /// The version registered again.
        second: ContractVersion,
    },
    /// An upcaster leads to a version that has neither a handler nor an upcaster.
    #[error("{kind} {version} is made a {missing}, which has neither a handler nor an upcaster")]
    Gap {
        /// The type that it takes.
        kind: &'static str,
        /// The version that it takes.
        version: ContractVersion,
        /// The type and version that it makes.
        missing: String,
    },
    /// A chain of upcasters never ends.
    #[error("the upcasters of {kind} {version} go round in a circle")]
    Cycle {
        /// The type that the chain begins with.
        kind: &'static str,
        /// The version that it begins with.
        version: ContractVersion,
    },
    /// No [`UnknownPolicy`] was chosen.
    #[error("no policy for messages of unknown type or version was chosen")]
    NoPolicy,
}
