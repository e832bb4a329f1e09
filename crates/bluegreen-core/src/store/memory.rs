use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Change, Decision, Outcome, Store, StoreError};
use crate::{Deployment, Member, ServiceKey};

/// The store of one process: for tests, and where nothing needs to outlive the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    services: Mutex<HashMap<ServiceKey, Records>>,
}

#[derive(Debug, Default)]
struct Records {
    deployment: Option<Deployment>,
    members: BTreeMap<String, Member>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    // No caller panics while holding the lock, so a poisoned one is whole.
    fn services(&self) -> MutexGuard<'_, HashMap<ServiceKey, Records>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    async fn load(&self, service: &ServiceKey) -> Result<Option<Deployment>, StoreError> {
        Ok(self.services().get(service).and_then(|records| records.deployment.clone()))
    }

    async fn compare_and_set(&self, change: &Change) -> Result<Outcome, StoreError> {
        let mut services = self.services();
        let records = services.entry(change.next().service().clone()).or_default();
        match change.decide(records.deployment.as_ref())? {
            Decision::Answer(outcome) => Ok(outcome),
            Decision::Write => {
                records.deployment = Some(change.next().clone());
                Ok(Outcome::Won)
            }
        }
    }

    async fn announce(&self, service: &ServiceKey, member: &Member) -> Result<(), StoreError> {
        let mut services = self.services();
        let records = services.entry(service.clone()).or_default();
        records.members.insert(member.instance.clone(), member.clone());
        Ok(())
    }

    async fn withdraw(&self, service: &ServiceKey, instance: &str) -> Result<(), StoreError> {
        if let Some(records) = self.services().get_mut(service) {
            records.members.remove(instance);
        }
        Ok(())
    }

    async fn members(&self, service: &ServiceKey) -> Result<Vec<Member>, StoreError> {
        let services = self.services();
        Ok(services.get(service).map(|r| r.members.values().cloned().collect()).unwrap_or_default())
    }
}
