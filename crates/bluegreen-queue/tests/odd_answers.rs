//! Answers that AWS does not give, of which nothing may be concluded.

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bluegreen_core::{MemoryStore, Revision};
use bluegreen_local::World;
use bluegreen_queue::{DrainConfig, DrainError, Drained, drained};
use serde_json::Value;

use crate::shop::{Shop, key};

/// Changes the JSON of each answer of a world.
#[derive(Clone)]
struct Odd {
    world: World,
    change: Arc<dyn Fn(&mut Value) + Send + Sync>,
}

impl std::fmt::Debug for Odd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Odd")
    }
}

#[derive(Debug)]
struct Connector {
    world: SharedHttpConnector,
    odd: Odd,
}

impl HttpClient for Odd {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let world = self.world.http_client().http_connector(settings, components);
        SharedHttpConnector::new(Connector { world, odd: self.clone() })
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (world, odd) = (self.world.clone(), self.odd.clone());
        HttpConnectorFuture::new(async move {
            let response = world.call(request).await?;
            let mut answer: Value =
                serde_json::from_slice(response.body().bytes().unwrap()).unwrap();
            (odd.change)(&mut answer);
            let mut changed =
                HttpResponse::new(response.status(), SdkBody::from(answer.to_string()));
            for (name, value) in
                response.headers().iter().filter(|(name, _)| *name != "content-length")
            {
                changed.headers_mut().insert(name.to_owned(), value.to_owned());
            }
            Ok(changed)
        })
    }
}

macro_rules! client {
    ($sdk:ident, $shop:expr, $change:expr) => {{
        use $sdk::config::{BehaviorVersion, Config, Credentials, Region};
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(World::REGION))
            .credentials_provider(Credentials::new("blue", "secret", None, None, "test"))
            .http_client(SharedHttpClient::new(Odd {
                world: $shop.world.clone(),
                change: Arc::new($change),
            }))
            .build();
        $sdk::Client::from_conf(config)
    }};
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_not_drained_while_one_of_its_counts_is_missing_or_is_none() {
    let drain = async |count: &'static str, value: Option<&'static str>| {
        let shop = Shop::open().await;
        let client = client!(aws_sdk_sqs, shop, move |answer: &mut Value| {
            let counts = answer["Attributes"].as_object_mut().unwrap();
            match value {
                Some(value) => drop(counts.insert(count.to_owned(), value.into())),
                None => drop(counts.remove(count)),
            }
        });
        let config = DrainConfig::default().with_clock(shop.world.clock());
        let (store, key) = (MemoryStore::new(), key());
        let drained = drained(client, &shop.urls.blue, &store, &key, Revision::FIRST, config);
        let answer: Result<Result<Drained, DrainError>, _> =
            tokio::time::timeout(Duration::from_secs(1_000), drained).await;
        answer.is_ok_and(|answer| answer.is_ok())
    };
    for count in ["", "NotVisible", "Delayed"] {
        let count = format!("ApproximateNumberOfMessages{count}").leak();
        assert!(drain(count, Some("0")).await);
        for value in [None, Some("-1"), Some(""), Some("0.0"), Some("1")] {
            assert!(!drain(count, value).await, "{count} {value:?}");
        }
    }
}

#[cfg(feature = "dynamodb")]
#[tokio::test(start_paused = true)]
async fn a_table_that_does_not_say_who_has_a_message_fails_it_and_nothing_is_handled() {
    use bluegreen_queue::{Idempotency, IdempotencyConfig, UnknownPolicy};
    use tower_layer::Layer;

    use crate::idempotent::{handle, table};
    use crate::shop::{Log, writing};

    let (shop, log) = (Shop::open().await, Log::default());
    table(&shop).await;
    let client = client!(aws_sdk_dynamodb, shop, |answer: &mut Value| {
        drop(answer.as_object_mut().unwrap().remove("Item"));
    });
    let config = IdempotencyConfig::default().with_clock(shop.world.clock());
    let once = Idempotency::new(client, "handled", "orders", config).unwrap();
    let service = once.layer(writing(&log, UnknownPolicy::Park));
    handle(&service, "a").await.unwrap();
    let error = handle(&service, "a").await.unwrap_err();
    assert_eq!(error.to_string(), "DynamoDB does not say who has the message");
    assert_eq!(log.len(), 1);
}
