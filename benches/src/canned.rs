//! An AWS whose answers cost next to nothing: a real SDK client with a function in place of the
//! network.

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

/// The body of the answer to a call, by its target, as `AmazonSQS.ReceiveMessage`, and its body;
/// nothing where it is never answered.
type Answer = dyn Fn(&str, &[u8]) -> Option<SdkBody> + Send + Sync;

#[derive(Clone)]
struct Canned(Arc<Answer>);

/// A client of SQS with these answers.
pub(crate) fn sqs(
    answer: impl Fn(&str, &[u8]) -> Option<SdkBody> + Send + Sync + 'static,
) -> aws_sdk_sqs::Client {
    use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};

    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("bench", "secret", None, None, "bench"))
        .http_client(Canned(Arc::new(answer)))
        .build();
    aws_sdk_sqs::Client::from_conf(config)
}

/// A client of DynamoDB with these answers.
pub(crate) fn dynamodb(
    answer: impl Fn(&str, &[u8]) -> Option<SdkBody> + Send + Sync + 'static,
) -> aws_sdk_dynamodb::Client {
    use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};

    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("bench", "secret", None, None, "bench"))
        .http_client(Canned(Arc::new(answer)))
        .build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

impl fmt::Debug for Canned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Canned")
    }
}

impl HttpClient for Canned {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let Some(body) = (self.0)(target, request.body().bytes().unwrap_or_default()) else {
            return HttpConnectorFuture::new(std::future::pending());
        };
        let reply = http::Response::builder()
            .header("content-type", "application/x-amz-json-1.0")
            .body(body)
            .ok()
            .and_then(|reply| HttpResponse::try_from(reply).ok());
        match reply {
            Some(reply) => HttpConnectorFuture::ready(Ok(reply)),
            None => unreachable!("a constant reply is well formed"),
        }
    }
}
