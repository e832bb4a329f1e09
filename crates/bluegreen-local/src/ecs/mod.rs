//! ECS: task definitions, services whose running count follows the desired one, their tasks.
//!
//! Nothing is run: a task is a record that becomes `RUNNING` once [`Ecs::delay_starts`] has passed,
//! and a target of its service's target groups then. What is due happens at the next call. Rolling
//! deployments only: strategies, hooks, capacity and placement are neither kept nor looked at.

mod fault;
mod service;
mod services;
mod state;
mod task;
mod task_definitions;
mod tasks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bluegreen_core::Clock;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::fault::Fault;
use self::service::TargetChange;
use self::state::State;
use crate::World;
use crate::elbv2::{ElbV2, TargetState};

/// The stand-in. Clones share one set of clusters.
#[derive(Clone, Debug)]
pub struct Ecs {
    clock: Clock,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    state: State,
    targets: Option<ElbV2>,
}

impl Ecs {
    /// Without clusters, not even the default one.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, inner: Arc::default() }
    }

    /// How long a task that is started from now on stays `PENDING`. Zero, the beginning, lets it
    /// run at once.
    pub fn delay_starts(&self, delay: Duration) {
        self.inner().state.start_delay = delay;
    }

    /// Where running tasks of services with load balancers become targets, healthy ones, from now
    /// on; without it they become none.
    pub fn register_targets_with(&self, elbv2: ElbV2) {
        self.inner().targets = Some(elbv2);
    }

    /// Does what became due since the last call, without one.
    pub fn settle(&self) {
        let now = self.clock.now();
        let mut inner = self.inner();
        let changes = inner.state.settle(now);
        inner.apply(&changes);
    }

    #[expect(clippy::unused_async, reason = "every service of the world answers asynchronously")]
    pub(crate) async fn handle(
        &self,
        operation: &str,
        request: &Request<Bytes>,
    ) -> Response<Bytes> {
        match self.answer(operation, request.body()) {
            Ok(output) => response(StatusCode::OK, &output),
            Err(fault) => {
                let body = json!({ "__type": fault.exception, "message": fault.message });
                response(StatusCode::BAD_REQUEST, &body)
            }
        }
    }

    fn answer(&self, operation: &str, body: &[u8]) -> Result<Value, Fault> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let mut changes = inner.state.settle(now);
        let outcome = inner.state.operate(operation, body, &mut changes);
        changes.extend(inner.state.settle(now));
        inner.apply(&changes);
        match outcome? {
            Outcome::Output(output) => Ok(output),
            Outcome::Service(arn) => {
                let service = inner.state.services.values().find(|service| service.arn() == arn);
                Ok(json!({ "service": service.map(service::Service::to_json) }))
            }
        }
    }

    // Nothing here panics with the lock held; if it did, the services would still be whole.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn apply(&self, changes: &[TargetChange]) {
        let Some(elbv2) = &self.targets else { return };
        for TargetChange { group, address, port, registered } in changes {
            if *registered {
                elbv2.register(group, address, *port);
                elbv2.set_target_health(group, address, *port, TargetState::Healthy, None);
            } else {
                elbv2.deregister(group, address, *port);
            }
        }
    }
}

/// What an operation answers.
enum Outcome {
    Output(Value),
    /// The service of this ARN, once everything is settled.
    Service(String),
}

impl State {
    fn operate(
        &mut self,
        operation: &str,
        body: &[u8],
        changes: &mut Vec<TargetChange>,
    ) -> Result<Outcome, Fault> {
        let output = match operation {
            "CreateService" => return self.create_service(read(body)?).map(Outcome::Service),
            "UpdateService" => return self.update_service(&read(body)?).map(Outcome::Service),
            "CreateCluster" => Ok(self.create_cluster(&read(body)?)),
            "RegisterTaskDefinition" => self.register_task_definition(read(body)?),
            "DescribeTaskDefinition" => self.describe_task_definition(&read(body)?),
            "DescribeServices" => self.describe_services(&read(body)?),
            "DeleteService" => self.delete_service(&read(body)?, changes),
            "ListTasks" => self.list_tasks(&read(body)?),
            "DescribeTasks" => self.describe_tasks(&read(body)?),
            "StopTask" => self.stop_task(&read(body)?, changes),
            other => {
                let message = format!("{other} is not an operation of this stand-in.");
                Err(Fault::new("UnknownOperationException", message))
            }
        };
        output.map(Outcome::Output)
    }

    fn create_cluster(&mut self, input: &Value) -> Value {
        let name = input.get("clusterName").and_then(Value::as_str).unwrap_or("default");
        self.clusters.insert(name.to_owned());
        let arn = arn(&format!("cluster/{name}"));
        json!({ "cluster": { "clusterArn": arn, "clusterName": name, "status": "ACTIVE" } })
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::parameter(error.to_string()))
}

fn arn(resource: &str) -> String {
    format!("arn:aws:ecs:{}:{}:{resource}", World::REGION, World::ACCOUNT_ID)
}

fn response(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/x-amz-json-1.1");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}
