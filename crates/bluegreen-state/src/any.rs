use std::sync::Arc;

use bluegreen_core::{
    Change, Deployment, Member, MemoryStore, Outcome, ServiceKey, Store, StoreError,
};

#[cfg(feature = "dynamodb")]
use crate::DynamoStore;
use crate::FileStore;

/// A store chosen while the program runs, usually by a [`StoreAddress`](crate::StoreAddress).
/// Clones share it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyStore {
    /// In the process's own memory.
    Memory(Arc<MemoryStore>),
    /// On files.
    Files(FileStore),
    /// On DynamoDB.
    #[cfg(feature = "dynamodb")]
    Dynamo(DynamoStore),
}

impl From<MemoryStore> for AnyStore {
    fn from(store: MemoryStore) -> Self {
        Self::Memory(Arc::new(store))
    }
}

impl From<FileStore> for AnyStore {
    fn from(store: FileStore) -> Self {
        Self::Files(store)
    }
}

#[cfg(feature = "dynamodb")]
impl From<DynamoStore> for AnyStore {
    fn from(store: DynamoStore) -> Self {
        Self::Dynamo(store)
    }
}

macro_rules! ask {
    ($any:ident, $store:ident => $call:expr) => {
        match $any {
            AnyStore::Memory($store) => $call.await,
            AnyStore::Files($store) => $call.await,
            #[cfg(feature = "dynamodb")]
            AnyStore::Dynamo($store) => $call.await,
        }
    };
}

impl Store for AnyStore {
    async fn load(&self, service: &ServiceKey) -> Result<Option<Deployment>, StoreError> {
        ask!(self, store => store.load(service))
    }

    async fn compare_and_set(&self, change: &Change) -> Result<Outcome, StoreError> {
        ask!(self, store => store.compare_and_set(change))
    }

    async fn announce(&self, service: &ServiceKey, member: &Member) -> Result<(), StoreError> {
        ask!(self, store => store.announce(service, member))
    }

    async fn withdraw(&self, service: &ServiceKey, instance: &str) -> Result<(), StoreError> {
        ask!(self, store => store.withdraw(service, instance))
    }

    async fn members(&self, service: &ServiceKey) -> Result<Vec<Member>, StoreError> {
        ask!(self, store => store.members(service))
    }
}
