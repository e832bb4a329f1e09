//! A DynamoDB that answers what a test tells it to, for answers that no stand-in gives.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Config, Credentials, HttpClient, Region, RuntimeComponents,
};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::Full;

/// The answers still to be given, status and body, and the requests that were made.
#[derive(Clone, Debug)]
struct Canned {
    answers: Arc<Mutex<Vec<(u16, String)>>>,
    /// What each error asks to wait, in milliseconds.
    wait: Option<u64>,
    requests: Requests,
}

/// The bodies of requests in their order.
pub(crate) type Requests = Arc<Mutex<Vec<String>>>;

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().unwrap_or_default();
        self.requests.lock().unwrap().push(String::from_utf8_lossy(body).into_owned());
        let mut answers = self.answers.lock().unwrap();
        if answers.is_empty() {
            let error = ConnectorError::io("nothing is left to answer".into());
            return HttpConnectorFuture::ready(Err(error));
        }
        let (status, body) = answers.remove(0);
        let status = status.try_into().unwrap();
        // As from a network: the body comes after the head.
        let body = SdkBody::from_body_1_x(Full::new(Bytes::from(body)));
        let mut response = HttpResponse::new(status, body);
        if let Some(wait) = self.wait.filter(|_| !response.status().is_success()) {
            response.headers_mut().insert("x-amz-retry-after", wait.to_string());
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl HttpClient for Canned {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// A client that gets these answers in turn, then none, and repeats no call.
pub(crate) fn client<const N: usize>(answers: [(u16, &str); N]) -> Client {
    recording(answers).0
}

/// The same, and what it is asked.
pub(crate) fn recording<const N: usize>(answers: [(u16, &str); N]) -> (Client, Requests) {
    client_of(answers, None)
}

/// The same, and each error asks to wait so many milliseconds.
pub(crate) fn client_asking_to_wait<const N: usize>(
    answers: [(u16, &str); N],
    milliseconds: u64,
) -> Client {
    client_of(answers, Some(milliseconds)).0
}

fn client_of<const N: usize>(answers: [(u16, &str); N], wait: Option<u64>) -> (Client, Requests) {
    let requests = Requests::default();
    let answers = answers.map(|(status, body)| (status, body.to_owned())).to_vec();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(Canned {
            answers: Arc::new(Mutex::new(answers)),
            wait,
            requests: Arc::clone(&requests),
        })
        .build();
    (Client::from_conf(config), requests)
}

/// The body of an error as DynamoDB words it.
pub(crate) fn error(code: &str, message: &str) -> String {
    format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"{message}"}}"#)
}

/// The body of the error of a canceled transaction, with the reasons of its parts.
pub(crate) fn canceled<const N: usize>(codes: [&str; N]) -> String {
    let reasons = codes.map(|code| format!(r#"{{"Code":"{code}"}}"#)).join(",");
    format!(
        r#"{{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message":"Transaction cancelled","CancellationReasons":[{reasons}]}}"#
    )
}
