use serde::Deserialize;
use serde_json::{Value, json};

use super::arn;
use super::fault::Fault;
use super::service::TargetChange;
use super::state::{State, last_step};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListTasks {
    cluster: Option<String>,
    service_name: Option<String>,
    desired_status: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DescribeTasks {
    cluster: Option<String>,
    #[serde(default)]
    tasks: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct StopTask {
    cluster: Option<String>,
    task: String,
    reason: Option<String>,
}

impl State {
    /// The tasks of a service or cluster that should run, or those that should not.
    pub(crate) fn list_tasks(&mut self, input: &ListTasks) -> Result<Value, Fault> {
        let cluster = self.cluster(input.cluster.as_deref())?;
        let name = input.service_name.as_deref().map(last_step);
        if let Some(name) = name {
            self.active(&cluster, name)?;
        }
        let wanted = input.desired_status.as_deref().unwrap_or("RUNNING");
        let services = self.services.values().filter(|service| service.cluster == cluster);
        let services = services.filter(|service| name.is_none_or(|name| service.name == name));
        let tasks = services.flat_map(|service| &service.tasks);
        let tasks = tasks.filter(|task| task.desired_status() == wanted);
        Ok(json!({ "taskArns": tasks.map(|task| &task.arn).collect::<Vec<_>>() }))
    }

    pub(crate) fn describe_tasks(&self, input: &DescribeTasks) -> Result<Value, Fault> {
        let cluster = self.cluster(input.cluster.as_deref())?;
        if input.tasks.is_empty() {
            return Err(Fault::parameter("Tasks cannot be empty."));
        }
        let (mut tasks, mut failures) = (Vec::new(), Vec::new());
        for given in &input.tasks {
            match self.task(&cluster, given) {
                Some(task) => tasks.push(task),
                None => {
                    let arn = arn(&format!("task/{cluster}/{}", last_step(given)));
                    failures.push(json!({ "arn": arn, "reason": "MISSING" }));
                }
            }
        }
        Ok(json!({ "tasks": tasks, "failures": failures }))
    }

    fn task(&self, cluster: &str, given: &str) -> Option<Value> {
        let services = self.services.values().filter(|service| service.cluster == cluster);
        services.flat_map(|service| service.tasks.iter().map(move |task| (service, task))).find_map(
            |(service, task)| {
                let found = last_step(&task.arn) == last_step(given);
                found.then(|| task.to_json(&arn(&format!("cluster/{cluster}")), &service.name))
            },
        )
    }

    /// Stops one task; its service starts another.
    pub(crate) fn stop_task(
        &mut self,
        input: &StopTask,
        changes: &mut Vec<TargetChange>,
    ) -> Result<Value, Fault> {
        let cluster = self.cluster(input.cluster.as_deref())?;
        let reason = input.reason.as_deref().unwrap_or("Task stopped by user");
        for service in self.services.values_mut().filter(|service| service.cluster == cluster) {
            let asked = last_step(&input.task);
            let chosen = |task: &super::task::Task| task.is_live() && last_step(&task.arn) == asked;
            service.stop(chosen, reason, changes);
        }
        let task = self.task(&cluster, &input.task);
        let missing = || Fault::parameter("The referenced task was not found.");
        Ok(json!({ "task": task.ok_or_else(missing)? }))
    }
}
