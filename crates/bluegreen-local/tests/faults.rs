//! What goes wrong on purpose, seen through real SDK clients.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use bluegreen_core::Share;
use bluegreen_local::{Calls, Fault, Hold, Rule, Service, World};
use tokio::time::Instant;

use crate::sqs::Queue;
use crate::target::world;

fn sends() -> Calls {
    Calls::to(Service::Sqs).operation("SendMessage")
}

/// A world with a queue, and a client that does not retry.
async fn world_and_queue() -> (World, Queue) {
    let world = world();
    let queue = Queue::standard(&world.sqs()).await;
    let config = world.sqs().config().to_builder();
    let config = config.retry_config(aws_sdk_sqs::config::retry::RetryConfig::disabled()).build();
    let client = aws_sdk_sqs::Client::from_conf(config);
    (world, Queue { client, url: queue.url })
}

async fn send(queue: &Queue) -> Result<(), String> {
    let send = queue.client.send_message().queue_url(&queue.url).message_body("a").send().await;
    send.map(drop).map_err(|error| match error {
        SdkError::DispatchFailure(failure) if failure.is_io() => "broken connection".to_owned(),
        SdkError::TimeoutError(_) => "time-out".to_owned(),
        error => error.code().unwrap_or("no code").to_owned(),
    })
}

#[tokio::test(start_paused = true)]
async fn each_fault_looks_as_it_does_on_aws() {
    let (world, queue) = world_and_queue().await;
    let cases = [
        (Fault::Throttle, "RequestThrottled"),
        (Fault::InternalError, "InternalFailure"),
        (Fault::Unavailable, "ServiceUnavailable"),
        (Fault::AccessDenied, "AccessDeniedException"),
        (Fault::Reset, "broken connection"),
    ];
    for (fault, expected) in cases {
        let injected = world.faults().inject(Rule::new(sends(), fault));
        assert_eq!(send(&queue).await, Err(expected.to_owned()), "{fault:?}");
        assert_eq!(injected.count(), 1);
    }
    assert_eq!(send(&queue).await, Ok(()), "the guards are dropped");
    assert_eq!(queue.counts().await, [1, 0, 0], "none of the failed sends was executed");
}

#[tokio::test(start_paused = true)]
async fn every_service_throttles_in_its_own_words_and_sdks_retry() {
    let world = world();
    let sqs = Queue::standard(&world.sqs()).await;
    let throttles: Vec<_> =
        [Service::Sqs, Service::DynamoDb, Service::CloudWatch, Service::ElbV2, Service::Ecs]
            .map(|service| Rule::new(Calls::to(service), Fault::Throttle).first(2))
            .map(|rule| world.faults().inject(rule))
            .into();
    sqs.send("a").await;
    world.dynamodb().list_tables().send().await.unwrap();
    world.cloudwatch().list_metrics().send().await.unwrap();
    world.elbv2().describe_load_balancers().send().await.unwrap();
    // ECS may not answer this operation; what counts is that both throttles were retried.
    drop(world.ecs().describe_clusters().send().await);
    for throttle in &throttles {
        assert_eq!(throttle.count(), 2);
    }
    assert_eq!(world.calls(Service::Sqs, "SendMessage"), 3);
    assert_eq!(world.calls(Service::CloudWatch, "ListMetrics"), 3);
    assert_eq!(world.calls(Service::ElbV2, "DescribeLoadBalancers"), 3);
    assert_eq!(world.calls(Service::Ecs, "DescribeClusters"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_makes_the_sdk_send_twice() {
    let world = world();
    let queue = Queue::standard(&world.sqs()).await;
    let lost = world.faults().inject(Rule::new(sends(), Fault::LostReply).first(1));
    queue.send("a").await;
    assert_eq!(lost.count(), 1);
    assert_eq!(world.calls(Service::Sqs, "SendMessage"), 2);
    assert_eq!(queue.counts().await, [2, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_hang_lasts_until_the_callers_time_out() {
    let (world, queue) = world_and_queue().await;
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(2));
    let config = queue.client.config().to_builder().timeout_config(timeouts.build()).build();
    let queue = Queue { client: aws_sdk_sqs::Client::from_conf(config), url: queue.url };
    let _hang = world.faults().inject(Rule::new(sends(), Fault::Hang));
    let started = Instant::now();
    assert_eq!(send(&queue).await, Err("time-out".to_owned()));
    assert_eq!(started.elapsed(), Duration::from_secs(2));
    assert_eq!(queue.counts().await, [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_read_time_out_of_the_client_is_honored() {
    let (world, queue) = world_and_queue().await;
    let timeouts = TimeoutConfig::builder().read_timeout(Duration::from_secs(2)).build();
    let config = queue.client.config().to_builder().timeout_config(timeouts).build();
    let queue = Queue { client: aws_sdk_sqs::Client::from_conf(config), url: queue.url };
    let _hang = world.faults().inject(Rule::new(sends(), Fault::Hang));
    let started = Instant::now();
    // Bounded, so that a time-out that is not honored fails the test instead of hanging it.
    let sent = tokio::time::timeout(Duration::from_secs(60), send(&queue)).await;
    sent.unwrap().unwrap_err();
    assert_eq!(started.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn delays_add_up() {
    let (world, queue) = world_and_queue().await;
    let delay = |seconds| Rule::new(sends(), Fault::Delay(Duration::from_secs(seconds)));
    let _one = world.faults().inject(delay(1));
    let _two = world.faults().inject(delay(2));
    let started = Instant::now();
    assert_eq!(send(&queue).await, Ok(()));
    assert_eq!(started.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn one_color_alone_can_be_made_to_fail() {
    let world = world();
    let queue = Queue::standard(&world.sqs()).await;
    let blue = Queue { client: world.sqs_as("blue"), url: queue.url.clone() };
    let green = Queue { client: world.sqs_as("green"), url: queue.url };
    world.faults().inject(Rule::new(Calls::any().access_key("blue"), Fault::AccessDenied)).keep();
    assert_eq!(send(&blue).await, Err("AccessDeniedException".to_owned()));
    assert_eq!(send(&green).await, Ok(()));
    assert_eq!(world.calls_in(&sends().access_key("blue")), 1);
    assert_eq!(world.calls_in(&sends()), 2);
}

#[tokio::test(start_paused = true)]
async fn a_share_of_the_calls_fails() {
    let (world, queue) = world_and_queue().await;
    let fifth = Share::percent(20).unwrap();
    let some = world.faults().inject(Rule::new(sends(), Fault::Unavailable).some(fifth, 1));
    let mut failed = 0;
    for _ in 0..200 {
        failed += u64::from(send(&queue).await.is_err());
    }
    assert_eq!(some.count(), failed);
    assert!((20..=60).contains(&failed), "{failed}");
}

#[tokio::test(start_paused = true)]
async fn some_entries_of_a_batch_fail_and_the_others_are_executed() {
    let (world, queue) = world_and_queue().await;
    let batches = Calls::to(Service::Sqs).operation("SendMessageBatch");
    let _partly = world.faults().inject(Rule::new(batches, Fault::PartialFailure));
    for (entries, executed) in [(5, 2), (1, 0)] {
        let mut batch = queue.client.send_message_batch().queue_url(&queue.url);
        for n in 0..entries {
            let entry = SendMessageBatchRequestEntry::builder().id(n.to_string());
            batch = batch.entries(entry.message_body("a").build().unwrap());
        }
        let answer = batch.send().await.unwrap();
        assert_eq!(answer.successful().len(), executed);
        let failed = answer.failed().iter().map(|f| (f.id(), f.code(), f.sender_fault()));
        let even = (0..entries).step_by(2).map(|n| n.to_string()).collect::<Vec<_>>();
        let expected = even.iter().map(|id| (id.as_str(), "InternalFailure", false));
        assert!(failed.eq(expected), "{answer:?}");
    }
    assert_eq!(queue.counts().await, [2, 0, 0]);
}

async fn update(world: &World, id: &str) {
    let table = world.dynamodb().update_item().table_name("items");
    let update = table.key("id", AttributeValue::S(id.to_owned()));
    let update = update.update_expression("ADD v :one");
    let one = AttributeValue::N("1".to_owned());
    update.expression_attribute_values(":one", one).send().await.unwrap();
}

async fn count(world: &World) -> i32 {
    world.dynamodb().scan().table_name("items").send().await.unwrap().count()
}

async fn world_with_a_table() -> World {
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    };
    let world = world();
    let id = AttributeDefinition::builder().attribute_name("id");
    let id = id.attribute_type(ScalarAttributeType::S).build().unwrap();
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
    let create = world.dynamodb().create_table().table_name("items");
    let create = create.attribute_definitions(id).key_schema(key.build().unwrap());
    create.billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
    world
}

/// A hold that catches nothing fails the test instead of hanging it.
async fn reached(hold: &Hold) {
    let minute = Duration::from_secs(60);
    tokio::time::timeout(minute, hold.reached()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_nth_update_is_held_until_released() {
    let world = world_with_a_table().await;
    let updates = Calls::to(Service::DynamoDb).operation("UpdateItem");
    let hold = world.faults().hold(updates, 2);
    update(&world, "first").await;
    assert!(!hold.is_reached());
    let held = tokio::spawn({
        let world = world.clone();
        async move { update(&world, "second").await }
    });
    reached(&hold).await;
    update(&world, "third").await;
    assert_eq!(count(&world).await, 2, "the second is not executed yet");
    hold.release();
    held.await.unwrap();
    assert_eq!(count(&world).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_held_reply_has_been_executed() {
    let world = world_with_a_table().await;
    let updates = Calls::to(Service::DynamoDb).operation("UpdateItem");
    let hold = world.faults().hold_reply(updates, 1);
    let held = tokio::spawn({
        let world = world.clone();
        async move { update(&world, "first").await }
    });
    reached(&hold).await;
    assert_eq!(count(&world).await, 1);
    assert!(!held.is_finished());
    hold.release();
    held.await.unwrap();
}
