//! One service: what it should run, what runs, and how the one follows the other.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::arn;
use super::task::{Task, TaskState};

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) cluster: String,
    pub(crate) active: bool,
    pub(crate) desired: usize,
    pub(crate) load_balancers: Vec<LoadBalancer>,
    /// The primary one first, then those it replaces.
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) tasks: Vec<Task>,
}

/// Where a running task is registered.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LoadBalancer {
    pub(crate) target_group_arn: String,
    #[serde(default)]
    pub(crate) container_name: String,
    pub(crate) container_port: u16,
}

#[derive(Debug)]
pub(crate) struct Deployment {
    pub(crate) id: String,
    pub(crate) definition: String,
    pub(crate) completed: bool,
}

/// A target to be registered or deregistered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TargetChange {
    pub(crate) group: String,
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) registered: bool,
}

impl Service {
    /// Does what is due: starts, stops and replaces tasks until running follows desired. The tasks
    /// of the new definition run before those of the old one stop.
    pub(crate) fn settle(
        &mut self,
        now: SystemTime,
        start_delay: Duration,
        next_id: &mut u64,
    ) -> Vec<TargetChange> {
        let mut changes = Vec::new();
        self.start_missing(now + start_delay, next_id);
        self.run_due(now, &mut changes);
        self.stop_surplus(&mut changes);
        let settled = self.running_of_primary() == self.desired;
        if let Some(primary) = self.deployments.first_mut()
            && settled
        {
            primary.completed = true;
            let primary = primary.id.clone();
            self.deployments.truncate(1);
            let replaced = |task: &Task| task.is_live() && task.deployment != primary;
            self.stop(replaced, "Scaling activity initiated by deployment", &mut changes);
        }
        changes
    }

    fn live_of_primary(&self) -> impl Iterator<Item = &Task> {
        let primary = self.deployments.first().map(|primary| primary.id.as_str());
        let live = self.tasks.iter().filter(|task| task.is_live());
        live.filter(move |task| Some(task.deployment.as_str()) == primary)
    }

    fn running_of_primary(&self) -> usize {
        self.live_of_primary().filter(|task| task.is_running()).count()
    }

    fn start_missing(&mut self, until: SystemTime, next_id: &mut u64) {
        let missing = self.desired.saturating_sub(self.live_of_primary().count());
        let Some(primary) = self.deployments.first() else {
            return;
        };
        for _ in 0..missing {
            *next_id += 1;
            let [.., high, middle, low] = next_id.to_be_bytes();
            self.tasks.push(Task {
                arn: arn(&format!("task/{}/{next_id:032x}", self.cluster)),
                address: format!("10.{high}.{middle}.{low}"),
                deployment: primary.id.clone(),
                definition: primary.definition.clone(),
                state: TaskState::Pending { until },
            });
        }
    }

    fn run_due(&mut self, now: SystemTime, changes: &mut Vec<TargetChange>) {
        let due =
            |task: &&mut Task| matches!(task.state, TaskState::Pending { until } if until <= now);
        for task in self.tasks.iter_mut().filter(due) {
            task.state = TaskState::Running;
            changes.extend(target_changes(&self.load_balancers, task, true));
        }
    }

    fn stop_surplus(&mut self, changes: &mut Vec<TargetChange>) {
        let surplus: Vec<_> =
            self.live_of_primary().skip(self.desired).map(|task| task.arn.clone()).collect();
        self.stop(
            |task| surplus.contains(&task.arn),
            "Scaling activity initiated by service",
            changes,
        );
    }

    /// Stops the tasks that are chosen.
    pub(crate) fn stop(
        &mut self,
        chosen: impl Fn(&Task) -> bool,
        reason: &str,
        changes: &mut Vec<TargetChange>,
    ) {
        for task in self.tasks.iter_mut().filter(|task| chosen(task)) {
            if task.is_running() {
                changes.extend(target_changes(&self.load_balancers, task, false));
            }
            task.state = TaskState::Stopped { reason: reason.to_owned() };
        }
    }

    pub(crate) fn arn(&self) -> String {
        arn(&format!("service/{}/{}", self.cluster, self.name))
    }

    pub(crate) fn to_json(&self) -> Value {
        let count = |of: &dyn Fn(&Task) -> bool| self.tasks.iter().filter(|task| of(task)).count();
        let pending = |task: &Task| task.is_live() && !task.is_running();
        let deployments = self.deployments.iter().enumerate().map(|(at, deployment)| {
            let own = |task: &Task| task.deployment == deployment.id;
            json!({
                "id": deployment.id,
                "status": if at == 0 { "PRIMARY" } else { "ACTIVE" },
                "taskDefinition": deployment.definition,
                "desiredCount": if at == 0 { self.desired } else { 0 },
                "runningCount": count(&|task| own(task) && task.is_running()),
                "pendingCount": count(&|task| own(task) && pending(task)),
                "rolloutState": if deployment.completed { "COMPLETED" } else { "IN_PROGRESS" },
            })
        });
        json!({
            "serviceName": self.name,
            "serviceArn": self.arn(),
            "clusterArn": arn(&format!("cluster/{}", self.cluster)),
            "status": if self.active { "ACTIVE" } else { "INACTIVE" },
            "desiredCount": self.desired,
            "runningCount": count(&Task::is_running),
            "pendingCount": count(&pending),
            "taskDefinition": self.deployments.first().map(|primary| &primary.definition),
            "loadBalancers": self.load_balancers,
            "deployments": deployments.collect::<Vec<_>>(),
        })
    }
}

fn target_changes<'a>(
    load_balancers: &'a [LoadBalancer],
    task: &'a Task,
    registered: bool,
) -> impl Iterator<Item = TargetChange> + 'a {
    load_balancers.iter().map(move |load_balancer| TargetChange {
        group: load_balancer.target_group_arn.clone(),
        address: task.address.clone(),
        port: load_balancer.container_port,
        registered,
    })
}
