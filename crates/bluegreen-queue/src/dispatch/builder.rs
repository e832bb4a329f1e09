use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bluegreen_core::ContractVersion;

use super::{Answer, Dispatch, Handler, Table, UnknownPolicy};
use crate::{Context, HandlerError, Message, Outcome};

/// A [`Dispatch`] being described.
#[derive(Default)]
#[must_use = "nothing is dispatched before it is built"]
pub struct DispatchBuilder {
    handlers: Vec<(&'static str, ContractVersion, Handler)>,
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
        let read = move |context: Context| -> Answer {
            match context.envelope().read::<M>() {
                Ok(message) => Box::pin(handler(message, context)),
                Err(error) => {
                    let reason = format!(
                        "the payload is not a {} {}: {}",
                        M::TYPE,
                        M::VERSION,
                        std::error::Error::source(&error)
                            .map(ToString::to_string)
                            .unwrap_or_default(),
                    );
                    Box::pin(std::future::ready(Ok(Outcome::Park(reason))))
                }
            }
        };
        self.handlers.push((M::TYPE, M::VERSION, Arc::new(read)));
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
    /// When two handlers are registered for the same type and major version, or no policy for
    /// unknown messages was chosen.
    pub fn build(self) -> Result<Dispatch, DispatchError> {
        let unknown = self.unknown.ok_or(DispatchError::NoPolicy)?;
        let mut handlers: HashMap<_, BTreeMap<_, (ContractVersion, Handler)>> = HashMap::new();
        for (kind, version, handler) in self.handlers {
            let versions = handlers.entry(kind).or_default();
            if let Some((first, _)) = versions.get(&version.major()) {
                return Err(DispatchError::Duplicate { kind, first: *first, second: version });
            }
            versions.insert(version.major(), (version, handler));
        }
        Ok(Dispatch { table: Arc::new(Table { handlers, unknown }) })
    }
}

impl fmt::Debug for DispatchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handlers = self.handlers.iter().map(|(kind, version, _)| format!("{kind} {version}"));
        f.debug_struct("DispatchBuilder")
            .field("handlers", &handlers.collect::<Vec<_>>())
            .field("unknown", &self.unknown)
            .finish()
    }
}

/// A [`Dispatch`] cannot be built as described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchError {
    /// Two handlers for one major version of a type; a handler takes every minor of its major.
    #[error("{kind} {first} and {kind} {second} have a handler each: one takes every {}.x", .first.major())]
    Duplicate {
        /// The type.
        kind: &'static str,
        /// The version registered first.
        first: ContractVersion,
        /// The version registered again.
        second: ContractVersion,
    },
    /// No [`UnknownPolicy`] was chosen.
    #[error("no policy for messages of unknown type or version was chosen")]
    NoPolicy,
}
