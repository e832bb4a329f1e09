//! A client for which single entries of batch calls fail, as the stand-in never lets them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bluegreen_local::World;
use serde_json::{Value, json};

/// One entry of some calls of an operation that fails.
#[derive(Clone, Debug)]
pub(crate) struct Failing {
    pub(crate) operation: &'static str,
    /// The place of the entry in its call; a shorter call goes through.
    pub(crate) place: usize,
    /// How many calls there are.
    pub(crate) times: u64,
    pub(crate) error: Value,
    pub(crate) refused: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
pub(crate) struct PartlyFailing {
    pub(crate) world: World,
    pub(crate) failing: Failing,
}

#[derive(Debug)]
struct Connector {
    world: SharedHttpConnector,
    failing: Failing,
}

impl HttpClient for PartlyFailing {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let world = self.world.http_client().http_connector(settings, components);
        SharedHttpConnector::new(Connector { world, failing: self.failing.clone() })
    }
}

impl HttpConnector for Connector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let world = self.world.clone();
        let Failing { operation, place, times, error, refused } = &self.failing;
        let target = format!("AmazonSQS.{operation}");
        if request.headers().get("x-amz-target") != Some(&*target)
            || refused.load(Ordering::SeqCst) == *times
        {
            return world.call(request);
        }
        let mut body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let entries = body["Entries"].as_array_mut().unwrap();
        if entries.len() <= *place {
            return world.call(request);
        }
        refused.fetch_add(1, Ordering::SeqCst);
        let mut failed = error.clone();
        failed["Id"] = entries.remove(*place)["Id"].clone();
        let failed = json!([failed]);
        if entries.is_empty() {
            let answer = json!({ "Failed": failed }).to_string();
            return HttpConnectorFuture::ready(Ok(ok(answer)));
        }
        *request.body_mut() = SdkBody::from(body.to_string());
        HttpConnectorFuture::new(async move {
            let response = world.call(request).await?;
            let mut answer: Value =
                serde_json::from_slice(response.body().bytes().unwrap()).unwrap();
            answer["Failed"] = failed;
            Ok(ok(answer.to_string()))
        })
    }
}

fn ok(body: String) -> HttpResponse {
    HttpResponse::new(200.try_into().unwrap(), SdkBody::from(body))
}

pub(crate) fn client(http: PartlyFailing) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(World::REGION))
        .credentials_provider(Credentials::new("blue", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(SharedHttpClient::new(http))
        .build();
    Client::from_conf(config)
}
