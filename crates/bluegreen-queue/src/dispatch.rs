mod builder;
mod unknown;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use bluegreen_core::{ContractVersion, Reads};
use tower_service::Service;

pub use builder::{DispatchBuilder, DispatchError};
pub use unknown::{Fallback, UnknownPolicy};

use crate::{Context, HandlerError, Outcome};

/// What a handler answers, sooner or later.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Outcome, HandlerError>> + Send>>;

type Handler = Arc<dyn Fn(Context) -> Answer + Send + Sync>;

/// The handlers of a service by type and version of message. Cheap to clone.
///
/// A message goes to the handler of its type and *major* version, whatever its minor. All else,
/// an unknown type or major, follows the [`UnknownPolicy`] that was chosen: it is never guessed
/// and never dropped. A payload that is not what its version says is poison and is parked.
///
/// It is a [`Service`], so that tower's layers (time-out, concurrency limit, tracing) fit around
/// it; a [`Consumer`](crate::Consumer) takes any service of this shape.
///
/// ```
/// # use bluegreen_core::ContractVersion;
/// use bluegreen_queue::{Context, Dispatch, HandlerError, Message, Outcome, UnknownPolicy};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct OrderV1 { order: String }
/// # #[derive(serde::Serialize, serde::Deserialize)] struct OrderV2 { order: u64 }
/// # impl Message for OrderV1 {
/// #     const TYPE: &str = "OrderPlaced"; const VERSION: ContractVersion = ContractVersion::new(1, 0);
/// # }
/// # impl Message for OrderV2 {
/// #     const TYPE: &str = "OrderPlaced"; const VERSION: ContractVersion = ContractVersion::new(2, 0);
/// # }
///
/// async fn ship(order: OrderV2, context: Context) -> Result<Outcome, HandlerError> {
///     // …
///     Ok(Outcome::Done)
/// }
///
/// let dispatch = Dispatch::builder()
///     .on(ship)
///     .on::<OrderV1, _>(|old, context| ship(OrderV2 { order: old.order.len() as u64 }, context))
///     .unknown(UnknownPolicy::PassToOtherColor)
///     .build()?;
/// assert!(dispatch.reads().reads("OrderPlaced", ContractVersion::new(2, 7)));
/// # Ok::<(), bluegreen_queue::DispatchError>(())
/// ```
#[derive(Clone)]
pub struct Dispatch {
    table: Arc<Table>,
}

struct Table {
    // By type, then by major version.
    handlers: HashMap<&'static str, BTreeMap<u16, (ContractVersion, Handler)>>,
    unknown: UnknownPolicy,
}

impl Dispatch {
    /// A dispatch yet to be described.
    pub fn builder() -> DispatchBuilder {
        DispatchBuilder::default()
    }

    /// What these handlers understand, for the member record of the process.
    #[must_use]
    pub fn reads(&self) -> Reads {
        let mut reads = Reads::default();
        for (kind, versions) in &self.table.handlers {
            for (version, _) in versions.values() {
                reads = reads.with(*kind, *version);
            }
        }
        reads
    }

    /// Hands a message to its handler, or to the policy for unknown ones.
    ///
    /// # Errors
    /// What the handler answers; a message that nobody knows, under [`UnknownPolicy::Fail`].
    pub async fn handle(&self, context: Context) -> Result<Outcome, HandlerError> {
        self.answer(context).await
    }

    fn answer(&self, context: Context) -> Answer {
        let (kind, version) = (context.envelope().kind(), context.envelope().version());
        let versions = self.table.handlers.get(kind);
        match versions.and_then(|versions| versions.get(&version.major())) {
            Some((_, handler)) => handler(context),
            None => {
                let known = versions.into_iter().flat_map(BTreeMap::values);
                let reason = unknown::reason(kind, version, known.map(|(version, _)| *version));
                self.table.unknown.answer(context, reason)
            }
        }
    }
}

impl Service<Context> for Dispatch {
    type Response = Outcome;
    type Error = HandlerError;
    type Future = Pin<Box<dyn Future<Output = Result<Outcome, HandlerError>> + Send>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), HandlerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, context: Context) -> Self::Future {
        self.answer(context)
    }
}

impl fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch")
            .field("reads", &self.reads())
            .field("unknown", &self.table.unknown)
            .finish()
    }
}

#[cfg(test)]
mod tests;
