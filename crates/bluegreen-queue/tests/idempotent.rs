//! The layer that keeps messages from being handled twice.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use bluegreen_local::{Calls, Fault, Rule, Service as Aws};
use bluegreen_queue::{
    Context, Envelope, HandlerError, Idempotency, IdempotencyConfig, Outcome, UnknownPolicy,
};
use tower::{Service, ServiceExt};
use tower_layer::Layer;

use crate::shop::{Log, Shop, on, order, seconds};

pub(crate) async fn table(shop: &Shop) {
    let create = shop.world.dynamodb().create_table().table_name("handled");
    let id = AttributeDefinition::builder().attribute_name("id");
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
    create
        .attribute_definitions(id.attribute_type(ScalarAttributeType::S).build().unwrap())
        .key_schema(key.build().unwrap())
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
}

pub(crate) fn layer(shop: &Shop) -> Idempotency {
    let config = IdempotencyConfig::default()
        .with_in_progress(Duration::from_secs(60))
        .with_completed(Duration::from_secs(3_600))
        .with_clock(shop.world.clock());
    with(shop, config)
}

pub(crate) fn with(shop: &Shop, config: IdempotencyConfig) -> Idempotency {
    Idempotency::new(shop.world.dynamodb(), "handled", "orders", config).unwrap()
}

fn context(id: &str) -> Context {
    let envelope: Envelope = order(id).parse().unwrap();
    Context::new("m", 1, envelope.with_id(id))
}

pub(crate) async fn handle<S>(service: &S, id: &str) -> Result<Outcome, HandlerError>
where
    S: Service<Context, Response = Outcome, Error = HandlerError> + Clone,
{
    service.clone().oneshot(context(id)).await
}

#[tokio::test(start_paused = true)]
async fn what_was_handled_is_not_handled_again_until_its_record_ends() {
    let (shop, log) = (Shop::open().await, Log::default());
    table(&shop).await;
    let seen = log.clone();
    let service = layer(&shop).layer(on(UnknownPolicy::Park, move |order, _| {
        seen.add(order.order);
        std::future::ready(Ok(Outcome::Done))
    }));
    for _ in 0..3 {
        assert_eq!(handle(&service, "a").await.unwrap(), Outcome::Done);
        assert_eq!(handle(&service, "b").await.unwrap(), Outcome::Done);
    }
    assert_eq!(log.lines(), ["a", "b"]);
    // Two calls for each first time, one for each other.
    assert_eq!(shop.world.calls(Aws::DynamoDb, "PutItem"), 2 * 2 + 4);
    seconds(3_601).await;
    handle(&service, "a").await.unwrap();
    assert_eq!(log.lines(), ["a", "b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_being_handled_comes_again_later_and_after_a_crash_once_its_claim_ends() {
    let (shop, log) = (Shop::open().await, Log::default());
    table(&shop).await;
    let seen = log.clone();
    let service = layer(&shop).layer(on(UnknownPolicy::Park, move |order, _| {
        let log = seen.clone();
        async move {
            log.add(order.order);
            if log.len() == 1 {
                std::future::pending::<()>().await;
            }
            Ok(Outcome::Done)
        }
    }));
    let first = tokio::spawn({
        let service = service.clone();
        async move { handle(&service, "a").await }
    });
    log.reach(1).await;
    let Outcome::RetryAfter(left) = handle(&service, "a").await.unwrap() else {
        panic!("it is being handled");
    };
    assert!(left <= Duration::from_secs(61) && left >= Duration::from_secs(59), "{left:?}");
    // The process dies.
    first.abort();
    seconds(left.as_secs() - 2).await;
    assert!(matches!(handle(&service, "a").await.unwrap(), Outcome::RetryAfter(_)));
    seconds(3).await;
    assert_eq!(handle(&service, "a").await.unwrap(), Outcome::Done);
    assert_eq!(log.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn whatever_is_not_done_gives_its_claim_back() {
    let (shop, log) = (Shop::open().await, Log::default());
    table(&shop).await;
    let seen = log.clone();
    let service = layer(&shop).layer(on(UnknownPolicy::Park, move |order, _| {
        seen.add(order.order);
        std::future::ready(match seen.len() {
            1 => Err("not today".into()),
            2 => Ok(Outcome::RetryAfter(Duration::from_secs(1))),
            3 => Ok(Outcome::PassOn),
            _ => Ok(Outcome::Done),
        })
    }));
    assert!(handle(&service, "a").await.is_err());
    for _ in 0..4 {
        handle(&service, "a").await.unwrap();
    }
    assert_eq!(log.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_to_the_claim_is_our_own_and_an_outage_fails_the_message() {
    let (shop, log) = (Shop::open().await, Log::default());
    table(&shop).await;
    let seen = log.clone();
    let service = layer(&shop).layer(on(UnknownPolicy::Park, move |order, _| {
        seen.add(order.order);
        std::future::ready(Ok(Outcome::Done))
    }));
    let puts = || Calls::to(Aws::DynamoDb).operation("PutItem");
    let lost = shop.world.faults().inject(Rule::new(puts(), Fault::LostReply).first(1));
    assert_eq!(handle(&service, "a").await.unwrap(), Outcome::Done);
    assert_eq!((log.len(), lost.count()), (1, 1));
    drop(lost);
    let _outage = shop.world.faults().inject(Rule::new(puts(), Fault::AccessDenied));
    assert!(handle(&service, "b").await.is_err());
    assert_eq!(log.len(), 1, "nothing is handled that could not be claimed");
    let config = IdempotencyConfig::default().with_completed(Duration::ZERO);
    let error = Idempotency::new(shop.world.dynamodb(), "handled", "orders", config).unwrap_err();
    assert!(error.to_string().starts_with("completed of 0ns"), "{error}");
}
