//! One pretend AWS account.

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use bluegreen_core::Clock;
use bytes::Bytes;
use http::{Request, Response, StatusCode};

use crate::Service;
use crate::calls::{CallLog, Calls};
use crate::cloudwatch::CloudWatch;
use crate::dynamodb::DynamoDb;
use crate::ecs::Ecs;
use crate::elbv2::ElbV2;
use crate::faults::{Faults, Verdict};
use crate::in_process::InProcess;
use crate::serve::{ServeError, Served};
use crate::service::Call;
use crate::sqs::Sqs;

/// All stand-ins of one pretend AWS account, in memory. Clones share it; it ends with the last one.
///
/// Reached in-process through [`http_client`](Self::http_client), over HTTP through
/// [`serve`](Self::serve), or both at once.
#[derive(Clone, Debug)]
pub struct World {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Clock,
    sqs: Sqs,
    dynamodb: DynamoDb,
    cloudwatch: CloudWatch,
    elbv2: ElbV2,
    ecs: Ecs,
    faults: Faults,
    calls: CallLog,
}

/// What a [`World`] is made of.
#[derive(Clone, Debug, Default)]
pub struct WorldBuilder {
    clock: Clock,
}

impl WorldBuilder {
    /// Where the services read wall time. Default: the system's clock.
    ///
    /// Durations (visibility, delays, long polls) follow tokio's clock in any case, so a test with
    /// a paused clock wants `Clock::starting_at` here: then both move together.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// An empty account.
    #[must_use]
    pub fn build(self) -> World {
        let clock = self.clock;
        let (elbv2, ecs) = (ElbV2::new(clock), Ecs::new(clock));
        ecs.register_targets_with(elbv2.clone());
        let inner = Inner {
            clock,
            sqs: Sqs::new(clock),
            dynamodb: DynamoDb::new(clock),
            cloudwatch: CloudWatch::new(clock),
            elbv2,
            ecs,
            faults: Faults::default(),
            calls: CallLog::default(),
        };
        World { inner: Arc::new(inner) }
    }
}

impl World {
    /// The only account id there is, as in ARNs and queue URLs.
    pub const ACCOUNT_ID: &str = "000000000000";
    /// The only region there is.
    pub const REGION: &str = "us-east-1";

    /// An empty account on the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// An account yet to be described.
    #[must_use]
    pub fn builder() -> WorldBuilder {
        WorldBuilder::default()
    }

    /// The HTTP client that answers any SDK client from this world, in-process and without a
    /// socket, so that it also works under tokio's paused clock.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(InProcess::new(self.clone()))
    }

    /// Binds all services to one loopback port, for several processes. Port 0 takes a free one.
    /// Nothing is answered before the returned driver runs.
    ///
    /// # Errors
    /// When the address is no loopback address, or cannot be bound.
    pub async fn serve(&self, address: &str) -> Result<Served, ServeError> {
        Served::bind(self.clone(), address).await
    }

    /// The clock of the world.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.inner.clock
    }

    /// What goes wrong in this world.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// How many calls to an operation arrived, failed ones and SDK retries included.
    #[must_use]
    pub fn calls(&self, service: Service, operation: &str) -> u64 {
        self.calls_in(&Calls::to(service).operation(operation))
    }

    /// How many calls of a set arrived, failed ones and SDK retries included.
    #[must_use]
    pub fn calls_in(&self, calls: &Calls) -> u64 {
        self.inner.calls.count(calls)
    }

    /// The state behind SQS.
    #[must_use]
    pub fn sqs_service(&self) -> &Sqs {
        &self.inner.sqs
    }

    /// The state behind DynamoDB.
    #[must_use]
    pub fn dynamodb_service(&self) -> &DynamoDb {
        &self.inner.dynamodb
    }

    /// The state behind CloudWatch.
    #[must_use]
    pub fn cloudwatch_service(&self) -> &CloudWatch {
        &self.inner.cloudwatch
    }

    /// The state behind Elastic Load Balancing.
    #[must_use]
    pub fn elbv2_service(&self) -> &ElbV2 {
        &self.inner.elbv2
    }

    /// The state behind ECS.
    #[must_use]
    pub fn ecs_service(&self) -> &Ecs {
        &self.inner.ecs
    }

    /// Answers one request. `Err` means that the connection breaks; a hang never returns.
    pub(crate) async fn answer(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Broken> {
        let Some(call) = Call::of(&request) else {
            return Ok(unknown());
        };
        self.inner.calls.record(&call);
        match self.inner.faults.before(&call).await {
            Verdict::Execute => {}
            Verdict::Answer(response) => return Ok(response),
            Verdict::Break => return Err(Broken),
            Verdict::ExecuteInPart if call.service == Service::Sqs => {
                let (operation, key) = (call.operation.as_str(), call.access_key.as_str());
                return Ok(self.inner.sqs.handle_in_part(operation, key, &request).await);
            }
            Verdict::ExecuteInPart => {}
            Verdict::ExecuteAndBreak => {
                drop(self.execute(&call, &request).await);
                return Err(Broken);
            }
        }
        let response = self.execute(&call, &request).await;
        self.inner.faults.before_reply(&call).await;
        Ok(response)
    }

    async fn execute(&self, call: &Call, request: &Request<Bytes>) -> Response<Bytes> {
        let (inner, operation) = (&*self.inner, call.operation.as_str());
        match call.service {
            Service::Sqs => inner.sqs.handle(operation, &call.access_key, request).await,
            Service::DynamoDb => inner.dynamodb.handle(operation, request).await,
            Service::CloudWatch => inner.cloudwatch.handle(operation, request).await,
            Service::ElbV2 => inner.elbv2.handle(operation, request).await,
            Service::Ecs => inner.ecs.handle(operation, request).await,
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// The connection broke without an answer.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the connection was reset by the stand-in")]
pub(crate) struct Broken;

fn unknown() -> Response<Bytes> {
    const TEXT: &str =
        "the stand-ins offer SQS, DynamoDB, CloudWatch, ELBv2 and ECS; this is none\n";
    let mut response = Response::new(Bytes::from_static(TEXT.as_bytes()));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
