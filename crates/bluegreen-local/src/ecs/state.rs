//! All that was created, by cluster and name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::fault::Fault;
use super::service::{Service, TargetChange};

const DEFAULT_CLUSTER: &str = "default";

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) clusters: BTreeSet<String>,
    /// The revisions of each family, the first at 0.
    pub(crate) definitions: BTreeMap<String, Vec<Value>>,
    /// By cluster and name; deleted ones stay, inactive.
    pub(crate) services: BTreeMap<(String, String), Service>,
    pub(crate) start_delay: Duration,
    pub(crate) ids: u64,
}

impl State {
    /// Does what is due in every service.
    pub(crate) fn settle(&mut self, now: SystemTime) -> Vec<TargetChange> {
        let Self { services, start_delay, ids, .. } = self;
        let services = services.values_mut();
        services.flat_map(|service| service.settle(now, *start_delay, ids)).collect()
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// The name of a cluster given by name, ARN or not at all.
    pub(crate) fn cluster(&self, given: Option<&str>) -> Result<String, Fault> {
        let name = last_step(given.unwrap_or(DEFAULT_CLUSTER));
        self.clusters.get(name).cloned().ok_or_else(Fault::no_cluster)
    }

    /// An active service given by name or ARN.
    pub(crate) fn active(&mut self, cluster: &str, given: &str) -> Result<&mut Service, Fault> {
        let key = (cluster.to_owned(), last_step(given).to_owned());
        let service = self.services.get_mut(&key).ok_or_else(Fault::no_service)?;
        if service.active {
            Ok(service)
        } else {
            Err(Fault::new("ServiceNotActiveException", "Service was not ACTIVE."))
        }
    }

    /// A task definition given as `family`, `family:revision` or ARN; without a revision the last.
    pub(crate) fn definition(&self, given: &str) -> Option<&Value> {
        let (family, revision) = match last_step(given).split_once(':') {
            Some((family, revision)) => (family, Some(revision)),
            None => (last_step(given), None),
        };
        let revisions = self.definitions.get(family)?;
        match revision {
            Some(revision) => revisions.get(revision.parse::<usize>().ok()?.checked_sub(1)?),
            None => revisions.last(),
        }
    }

    /// The ARN of such a task definition.
    pub(crate) fn definition_arn(&self, given: &str) -> Result<String, Fault> {
        let definition = self.definition(given);
        let arn = definition.and_then(|definition| definition.get("taskDefinitionArn")?.as_str());
        arn.map(str::to_owned).ok_or_else(|| Fault::client("TaskDefinition not found."))
    }
}

/// The name at the end of an ARN, or the name itself.
pub(crate) fn last_step(arn_or_name: &str) -> &str {
    arn_or_name.rsplit_once('/').map_or(arn_or_name, |(_, name)| name)
}
