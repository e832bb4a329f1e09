use std::time::SystemTime;

use serde_json::{Value, json};

/// One task of a service.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) arn: String,
    /// Its address within the pretend network, as its target group knows it.
    pub(crate) address: String,
    /// The deployment that started it.
    pub(crate) deployment: String,
    pub(crate) definition: String,
    pub(crate) state: TaskState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TaskState {
    Pending { until: SystemTime },
    Running,
    Stopped { reason: String },
}

impl Task {
    pub(crate) fn is_live(&self) -> bool {
        !matches!(self.state, TaskState::Stopped { .. })
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state == TaskState::Running
    }

    /// What the scheduler wants of it, by ECS's name.
    pub(crate) fn desired_status(&self) -> &'static str {
        if self.is_live() { "RUNNING" } else { "STOPPED" }
    }

    pub(crate) fn to_json(&self, cluster: &str, service: &str) -> Value {
        let (last_status, reason) = match &self.state {
            TaskState::Pending { .. } => ("PENDING", None),
            TaskState::Running => ("RUNNING", None),
            TaskState::Stopped { reason } => ("STOPPED", Some(reason)),
        };
        json!({
            "taskArn": self.arn,
            "clusterArn": cluster,
            "taskDefinitionArn": self.definition,
            "group": format!("service:{service}"),
            "startedBy": self.deployment,
            "lastStatus": last_status,
            "desiredStatus": self.desired_status(),
            "stoppedReason": reason,
        })
    }
}
