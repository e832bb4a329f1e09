use serde::Deserialize;
use serde_json::{Value, json};

use super::arn;
use super::fault::Fault;
use super::service::{Deployment, LoadBalancer, Service, TargetChange};
use super::state::{State, last_step};

/// ECS runs at most this many tasks of one service.
const TASKS_LIMIT: usize = 5_000;
/// ECS describes at most this many services in one call.
const DESCRIBED_LIMIT: usize = 10;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateService {
    cluster: Option<String>,
    service_name: String,
    task_definition: String,
    desired_count: usize,
    #[serde(default)]
    load_balancers: Vec<LoadBalancer>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpdateService {
    cluster: Option<String>,
    service: String,
    task_definition: Option<String>,
    desired_count: Option<usize>,
    #[serde(default)]
    force_new_deployment: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DescribeServices {
    cluster: Option<String>,
    #[serde(default)]
    services: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeleteService {
    cluster: Option<String>,
    service: String,
    #[serde(default)]
    force: bool,
}

impl State {
    pub(crate) fn create_service(&mut self, input: CreateService) -> Result<String, Fault> {
        let cluster = self.cluster(input.cluster.as_deref())?;
        let definition = self.definition_arn(&input.task_definition)?;
        check_desired(input.desired_count)?;
        let key = (cluster.clone(), input.service_name.clone());
        if self.services.get(&key).is_some_and(|present| present.active) {
            return Err(Fault::parameter("Creation of service was not idempotent."));
        }
        let service = Service {
            name: input.service_name,
            cluster,
            active: true,
            desired: input.desired_count,
            load_balancers: input.load_balancers,
            deployments: vec![self.deployment(definition)],
            tasks: Vec::new(),
        };
        let arn = service.arn();
        self.services.insert(key, service);
        Ok(arn)
    }

    /// A new task definition, or force, begins a deployment that replaces the tasks.
    pub(crate) fn update_service(&mut self, input: &UpdateService) -> Result<String, Fault> {
        let cluster = self.cluster(input.cluster.as_deref())?;
        check_desired(input.desired_count.unwrap_or_default())?;
        let given = input.task_definition.as_deref();
        let definition = given.map(|given| self.definition_arn(given)).transpose()?;
        let service = self.active(&cluster, &input.service)?;
        let present = service.deployments.first().map(|primary| primary.definition.clone());
        let present = present.unwrap_or_default();
        let wanted = definition.unwrap_or_else(|| present.clone());
        service.desired = input.desired_count.unwrap_or(service.desired);
        let arn = service.arn();
        if wanted != present || input.force_new_deployment {
            let deployment = self.deployment(wanted);
            self.active(&cluster, &input.service)?.deployments.insert(0, deployment);
        }
        Ok(arn)
    }

    fn deployment(&mut self, definition: String) -> Deployment {
        let id = format!("ecs-svc/{:019}", self.next_id());
        Deployment { id, definition, completed: false }
    }

    pub(crate) fn describe_services(&self, input: &DescribeServices) -> Result<Value, Fault> {
        let cluster = self.cluster(input.cluster.as_deref())?;
        if input.services.is_empty() || input.services.len() > DESCRIBED_LIMIT {
            return Err(Fault::parameter(format!(
                "1 to {DESCRIBED_LIMIT} services can be described"
            )));
        }
        let (mut services, mut failures) = (Vec::new(), Vec::new());
        for given in &input.services {
            let name = last_step(given);
            match self.services.get(&(cluster.clone(), name.to_owned())) {
                Some(service) => services.push(service.to_json()),
                None => {
                    let arn = arn(&format!("service/{cluster}/{name}"));
                    failures.push(json!({ "arn": arn, "reason": "MISSING" }));
                }
            }
        }
        Ok(json!({ "services": services, "failures": failures }))
    }

    /// The answer says `DRAINING`; the service reads as `INACTIVE` from then on.
    pub(crate) fn delete_service(
        &mut self,
        input: &DeleteService,
        changes: &mut Vec<TargetChange>,
    ) -> Result<Value, Fault> {
        let cluster = self.cluster(input.cluster.as_deref())?;
        let service = self.active(&cluster, &input.service)?;
        if service.desired > 0 && !input.force {
            let message = "The service cannot be stopped while it is scaled above 0.";
            return Err(Fault::parameter(message));
        }
        service.active = false;
        service.desired = 0;
        let live = |task: &super::task::Task| task.is_live();
        service.stop(live, "Service was deleted", changes);
        let mut answer = service.to_json();
        if let Some(status) = answer.get_mut("status") {
            *status = "DRAINING".into();
        }
        Ok(json!({ "service": answer }))
    }
}

fn check_desired(count: usize) -> Result<(), Fault> {
    if count <= TASKS_LIMIT {
        Ok(())
    } else {
        Err(Fault::parameter(format!("desiredCount is {count}; it must be at most {TASKS_LIMIT}.")))
    }
}
