mod change;
mod memory;
mod settled;
mod update;

use std::future::Future;
use std::sync::Arc;

pub use change::{Change, Decision, Outcome};
pub use memory::MemoryStore;
pub use settled::{Progress, Settled, Settling, settled};
pub use update::{UpdateError, update};

use crate::{Deployment, Member, RecordError, Revision, ServiceKey};

/// Where deployments and members are kept, for all processes to see.
///
/// Implementations exist for memory ([`MemoryStore`]) and, in `bluegreen-state`, for files and for
/// DynamoDB. All of them promise: no revision is lost and none is used twice, whatever crashes
/// between two calls; a [`Change`] may be applied again after an unknown outcome and counts once;
/// a reader sees whole records, possibly old ones.
pub trait Store: Send + Sync + 'static {
    /// The deployment of a service, where there is one. It may be an earlier one than the latest.
    ///
    /// # Errors
    /// When the store cannot be reached or its record cannot be read.
    fn load(
        &self,
        service: &ServiceKey,
    ) -> impl Future<Output = Result<Option<Deployment>, StoreError>> + Send;

    /// Writes a deployment, unless another change of the same revision was first. The loser gets
    /// the current record; a winner whose reply was lost is told on the next call with the same
    /// change that it won.
    ///
    /// Cancel safety: dropped at any point, the change has happened or not; apply it again.
    ///
    /// # Errors
    /// When the store cannot be reached, its record cannot be read, or the outcome is unknown.
    fn compare_and_set(
        &self,
        change: &Change,
    ) -> impl Future<Output = Result<Outcome, StoreError>> + Send;

    /// Keeps a process's member record; it replaces the one before.
    ///
    /// # Errors
    /// When the store cannot be reached.
    fn announce(
        &self,
        service: &ServiceKey,
        member: &Member,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes a process's member record away, as it ends in good order.
    ///
    /// # Errors
    /// When the store cannot be reached.
    fn withdraw(
        &self,
        service: &ServiceKey,
        instance: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// All member records, those of dead processes included until they are cleaned away.
    ///
    /// # Errors
    /// When the store cannot be reached or a record cannot be read.
    fn members(
        &self,
        service: &ServiceKey,
    ) -> impl Future<Output = Result<Vec<Member>, StoreError>> + Send;
}

impl<S: Store> Store for Arc<S> {
    async fn load(&self, service: &ServiceKey) -> Result<Option<Deployment>, StoreError> {
        self.as_ref().load(service).await
    }

    async fn compare_and_set(&self, change: &Change) -> Result<Outcome, StoreError> {
        self.as_ref().compare_and_set(change).await
    }

    async fn announce(&self, service: &ServiceKey, member: &Member) -> Result<(), StoreError> {
        self.as_ref().announce(service, member).await
    }

    async fn withdraw(&self, service: &ServiceKey, instance: &str) -> Result<(), StoreError> {
        self.as_ref().withdraw(service, instance).await
    }

    async fn members(&self, service: &ServiceKey) -> Result<Vec<Member>, StoreError> {
        self.as_ref().members(service).await
    }
}

/// The store did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store cannot be reached, or refuses for now. Nothing is known to have changed, but a
    /// change that was sent may still have happened.
    #[error("the store is unavailable")]
    Unavailable {
        /// What went wrong on the way.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store answers, and will not do it: a permission or a table is missing.
    #[error("the store is misconfigured: {reason}")]
    Misconfigured {
        /// What is missing.
        reason: String,
        /// What the store said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A record is not readable; it was left alone.
    #[error("the record at {place} is not readable")]
    Unreadable {
        /// The path or key of the record.
        place: String,
        /// What is wrong with it.
        source: RecordError,
    },
    /// So many others have written since that the record no longer tells who made a revision.
    #[error(
        "whether revision {revision} was ours can no longer be told: the record is at {current}"
    )]
    OutcomeUnknown {
        /// The revision of the change.
        revision: Revision,
        /// The revision of the record now.
        current: Revision,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anybody's doing.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
