mod builder;
mod unknown;
mod upcast;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use bluegreen_core::{ContractVersion, Reads};
use tower_service::Service;

pub use builder::{DispatchBuilder, DispatchError};
pub use unknown::{Fallback, UnknownPolicy};

use crate::{Context, HandlerError, Outcome};
use upcast::Convert;

/// What a handler answers, sooner or later.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Outcome, HandlerError>> + Send>>;

/// Takes the payload as JSON text where upcasters have raised it, and the message as it was sent.
type Handler = Arc<dyn Fn(Option<String>, Context) -> Answer + Send + Sync>;

/// The handlers of a service by type and version of message. Cheap to clone.
///
/// A message goes to the handler of its type and *major* version, whatever its minor; one of an
/// older major may be made a newer one by [upcasters](DispatchBuilder::upcast) on the way. All
/// else, an unknown type or major, follows the [`UnknownPolicy`] that was chosen: it is never
/// guessed and never dropped. A payload that is not what its version says is poison and is parked.
///
/// It is a [`Service`], so that tower's layers (time-out, concurrency limit, tracing) fit around
/// it; a [`Consumer`](crate::Consumer) takes any service of this shape. What a layer refuses, as a
/// load shed does, is a failure like any other and costs the message a receive.
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
///     .upcast(|old: OrderV1| Ok(OrderV2 { order: old.order.parse()? }))
///     .unknown(UnknownPolicy::PassToOtherColor)
///     .build()?;
/// for read in [ContractVersion::new(1, 0), ContractVersion::new(2, 7)] {
///     assert!(dispatch.reads().reads("OrderPlaced", read));
/// }
/// # Ok::<(), bluegreen_queue::DispatchError>(())
/// ```
#[derive(Clone)]
pub struct Dispatch {
    table: Arc<Table>,
}

struct Table {
    // By type, then by major version.
    entries: BTreeMap<&'static str, BTreeMap<u16, Entry>>,
    unknown: UnknownPolicy,
}

/// How a version reaches its handler.
struct Entry {
    version: ContractVersion,
    steps: Vec<Convert>,
    handler: Handler,
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
        for (kind, versions) in &self.table.entries {
            for entry in versions.values() {
                reads = reads.with(*kind, entry.version);
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
        let versions = self.table.entries.get(kind);
        match versions.and_then(|versions| versions.get(&version.major())) {
            Some(entry) => entry.answer(context),
            None => {
                let known = versions.into_iter().flat_map(BTreeMap::values);
                let reason = unknown::reason(kind, version, known.map(|entry| entry.version));
                self.table.unknown.answer(context, reason)
            }
        }
    }
}

impl Entry {
    fn answer(&self, context: Context) -> Answer {
        let mut raised: Option<String> = None;
        for step in &self.steps {
            match step(raised.as_deref().unwrap_or(context.envelope().payload())) {
                Ok(newer) => raised = Some(newer),
                Err(reason) => return Box::pin(std::future::ready(Ok(Outcome::Park(reason)))),
            }
        }
        (self.handler)(raised, context)
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
        // Upcasters, and handlers that are no async functions, work before their future is polled. A
        // panic of theirs belongs there: it must not reach what calls for many messages, as the
        // worker of a buffer does.
        let answered = panic::catch_unwind(AssertUnwindSafe(|| self.answer(context)));
        answered.unwrap_or_else(|panic| Box::pin(async { panic::resume_unwind(panic) }))
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
