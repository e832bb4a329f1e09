//! A DynamoDB whose answers cost nothing: every call is done, and every read finds one item.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

#[derive(Clone, Debug)]
struct Canned;

/// The item that every read finds: as this library stores it, with full marks.
const ITEM: &str = r#"{"Item":{"PK":{"S":"ORDER#1"},"SK":{"S":"META"},"Version":{"N":"17"},
"SchemaVersion":{"N":"1"},"CreatedAt":{"S":"2026-11-22T10:00:00Z"},
"ModifiedAt":{"S":"2026-11-22T10:00:00Z"},"EnvironmentID":{"S":"blue"},
"IncarnationID":{"B":"AAAAAAAAAAAAAAAA"},
"WriteIDs":{"L":[{"B":"AAAAAAAAAAAAAAAA"},{"B":"AAAAAAAAAAAAAAAA"},{"B":"AAAAAAAAAAAAAAAA"},
{"B":"AAAAAAAAAAAAAAAA"},{"B":"AAAAAAAAAAAAAAAA"},{"B":"AAAAAAAAAAAAAAAA"},
{"B":"AAAAAAAAAAAAAAAA"},{"B":"AAAAAAAAAAAAAAAA"},{"B":"AAAAAAAAAAAAAAAA"}]},
"Data":{"M":{"customer":{"S":"CUSTOMER#3"},"total":{"N":"12000"},"note":{"S":"leave at the door"},
"lines":{"L":[{"M":{"article":{"S":"A-1"},"count":{"N":"2"}}},
{"M":{"article":{"S":"B-7"},"count":{"N":"1"}}}]}}}}}"#;

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
        let body = if target.ends_with("GetItem") { ITEM } else { "{}" };
        let reply = http::Response::builder()
            .header("content-type", "application/x-amz-json-1.0")
            .body(SdkBody::from(body))
            .ok()
            .and_then(|reply| HttpResponse::try_from(reply).ok());
        match reply {
            Some(reply) => HttpConnectorFuture::ready(Ok(reply)),
            None => unreachable!("a constant reply is well formed"),
        }
    }
}

pub(super) fn client() -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("bench", "secret", None, None, "bench"))
        .http_client(Canned)
        .build();
    Client::from_conf(config)
}
