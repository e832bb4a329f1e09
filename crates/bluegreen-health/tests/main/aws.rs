use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};
use bluegreen_core::Stop;
use bluegreen_health::{DynamoProbe, Health, Probe, SqsProbe};
use bluegreen_local::{Calls, Fault, Rule, Service, World};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::scene::{check, identity, nobody, run, until};

async fn orders_table(world: &World) {
    let attribute = |name: &str| {
        let kind = ScalarAttributeType::S;
        AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
    };
    let element = |name: &str, kind| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
    };
    let table = world.dynamodb().create_table().table_name("orders");
    let table = table.attribute_definitions(attribute("PK")).attribute_definitions(attribute("SK"));
    let table = table.key_schema(element("PK", KeyType::Hash));
    let table = table.key_schema(element("SK", KeyType::Range));
    table.billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
}

fn orders_probe(world: &World) -> DynamoProbe {
    DynamoProbe::new(world.dynamodb(), "orders").key("PK", "health").key("SK", "health")
}

/// What a probe's first run says, as `/health` tells it.
async fn ask(probe: impl Into<Probe>) -> serde_json::Value {
    let (health, task) = run(Health::builder(&identity()).probe("it", probe));
    until(|| health.snapshot().checks[0].last_run.is_some()).await;
    task.abort();
    check(&health, "it").await
}

#[tokio::test]
async fn an_existing_table_is_healthy_with_or_without_the_item() {
    let world = World::new();
    orders_table(&world).await;
    assert_eq!(ask(orders_probe(&world)).await["status"], "healthy");
    assert_eq!(world.calls(Service::DynamoDb, "GetItem"), 1);
    // The data plane alone: the control plane's quota is the account's.
    for operation in ["ListTables", "DescribeTable"] {
        assert_eq!(world.calls(Service::DynamoDb, operation), 0);
    }
}

#[tokio::test]
async fn a_missing_table_and_a_wrong_key_are_misconfigured() {
    let world = World::new();
    assert_eq!(ask(orders_probe(&world)).await["class"], "misconfigured");
    orders_table(&world).await;
    let wrong = DynamoProbe::new(world.dynamodb(), "orders").key("id", "health");
    assert_eq!(ask(wrong).await["class"], "misconfigured");
}

#[tokio::test]
async fn faults_of_dynamodb_have_their_class_and_are_not_retried() {
    let cases = [
        (Fault::Throttle, "throttled"),
        (Fault::AccessDenied, "denied"),
        (Fault::InternalError, "failed"),
        (Fault::Reset, "disconnected"),
        (Fault::LostReply, "disconnected"),
    ];
    let world = World::new();
    orders_table(&world).await;
    for (fault, class) in cases {
        let rule = Rule::new(Calls::to(Service::DynamoDb), fault);
        let injected = world.faults().inject(rule);
        assert_eq!(ask(orders_probe(&world)).await["class"], class, "{fault:?}");
        assert_eq!(injected.count(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_throttled_table_degrades_a_process_that_runs_and_a_denied_one_takes_it_out() {
    tokio::time::pause();
    let world = World::new();
    orders_table(&world).await;
    for (fault, status) in [(Fault::Throttle, 200), (Fault::AccessDenied, 503)] {
        let builder = Health::builder(&identity()).probe("table", orders_probe(&world));
        let (health, refresher) = builder.build().unwrap();
        let running = tokio::spawn(refresher.run(Stop::never()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(crate::scene::ask(&health, "/health").await.0, 200);
        let _fault = world.faults().inject(Rule::new(Calls::to(Service::DynamoDb), fault));
        tokio::time::sleep(Duration::from_secs(12)).await;
        assert_eq!(crate::scene::ask(&health, "/health").await.0, status, "{fault:?}");
        running.abort();
    }
}

/// Xabaril's probe of SQS ignores the token that asks it to end.
#[tokio::test(start_paused = true)]
async fn a_call_to_aws_that_hangs_ends_with_its_probe() {
    let world = World::new();
    orders_table(&world).await;
    let _hang = world.faults().inject(Rule::new(Calls::to(Service::DynamoDb), Fault::Hang));
    assert_eq!(ask(orders_probe(&world)).await["message"], "timed out after 3s");
}

#[tokio::test]
async fn a_queue_shows_its_depth() {
    let world = World::new();
    let sqs = world.sqs();
    let queue = sqs.create_queue().queue_name("orders").send().await.unwrap();
    let url = queue.queue_url().unwrap();
    for _ in 0..3 {
        sqs.send_message().queue_url(url).message_body("order").send().await.unwrap();
    }
    sqs.receive_message().queue_url(url).send().await.unwrap();
    let later = sqs.send_message().queue_url(url).message_body("later");
    later.delay_seconds(60).send().await.unwrap();
    let probe = SqsProbe::new(sqs, url);
    let probe = probe.oldest_message(|| async { Some(Duration::from_secs(42)) });
    let check = ask(probe.clone()).await;
    assert_eq!(check["status"], "healthy");
    assert_eq!(check["observed"]["delayed_messages"], 1);
    // It was never seen empty, so that nothing can be said of its messages' age.
    assert!(check["observed"].get("seconds_since_seen_empty").is_none());
    assert_eq!(check["observed"]["oldest_message_seconds"], 42);
    // Not to know the age is no failure, and shows no number.
    let check2 = ask(probe.oldest_message(|| async { None })).await;
    assert_eq!(check2["status"], "healthy");
    assert!(check2["observed"].get("oldest_message_seconds").is_none());
    assert_eq!(check["observed"]["visible_messages"], 2);
    assert_eq!(check["observed"]["messages_under_way"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_queue_tells_how_long_ago_it_was_seen_empty() {
    let world = World::new();
    let sqs = world.sqs();
    let queue = sqs.create_queue().queue_name("orders").send().await.unwrap();
    let url = queue.queue_url().unwrap();
    let builder = Health::builder(&identity()).probe("it", SqsProbe::new(sqs.clone(), url));
    let (health, _task) = run(builder);
    let seen = async |after: u64| {
        tokio::time::sleep(Duration::from_secs(after)).await;
        check(&health, "it").await["observed"]["seconds_since_seen_empty"].clone()
    };
    assert_eq!(seen(1).await, 0);
    sqs.send_message().queue_url(url).message_body("order").send().await.unwrap();
    // Hidden by a consumer, it is still there.
    sqs.receive_message().queue_url(url).visibility_timeout(600).send().await.unwrap();
    let age = seen(60).await.as_u64().unwrap();
    assert!((50..=62).contains(&age), "{age}");
}

#[tokio::test(start_paused = true)]
async fn an_age_that_never_comes_is_no_failure_of_the_queue() {
    let world = World::new();
    let sqs = world.sqs();
    let queue = sqs.create_queue().queue_name("orders").send().await.unwrap();
    let probe = SqsProbe::new(sqs, queue.queue_url().unwrap());
    let check = ask(probe.oldest_message(std::future::pending)).await;
    assert_eq!(check["status"], "healthy");
    assert_eq!(check["observed"]["visible_messages"], 0);
}

#[tokio::test(start_paused = true)]
async fn the_sdks_own_time_out_is_one_of_the_check() {
    let world = World::new();
    let timeouts = TimeoutConfig::builder().operation_timeout(Duration::from_secs(1)).build();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(World::REGION))
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
        .timeout_config(timeouts)
        .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
        .http_client(world.http_client());
    let _hang = world.faults().inject(Rule::new(Calls::to(Service::Sqs), Fault::Hang));
    let probe = SqsProbe::new(Client::from_conf(config.build()), "http://sqs/queue");
    assert_eq!(ask(probe).await["class"], "timed-out");
}

#[tokio::test]
async fn faults_of_sqs_have_their_class() {
    let world = World::new();
    let sqs = world.sqs();
    let queue = sqs.create_queue().queue_name("orders").send().await.unwrap();
    let url = queue.queue_url().unwrap();
    let missing = url.replace("orders", "missing");
    assert_eq!(ask(SqsProbe::new(sqs.clone(), missing)).await["class"], "misconfigured");
    for (fault, class) in [(Fault::Throttle, "throttled"), (Fault::AccessDenied, "denied")] {
        let _fault = world.faults().inject(Rule::new(Calls::to(Service::Sqs), fault));
        assert_eq!(ask(SqsProbe::new(sqs.clone(), url)).await["class"], class, "{fault:?}");
    }
}

/// An SQS client over real sockets, as a service has it.
fn over_sockets(endpoint: &str, credentials: Option<Credentials>) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(World::REGION))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    let config = match credentials {
        Some(credentials) => config.credentials_provider(credentials),
        None => config,
    };
    Client::from_conf(config.build())
}

#[tokio::test]
async fn failures_of_the_way_to_aws_have_their_class_on_real_sockets() {
    let credentials = || Some(Credentials::new("key", "secret", None, None, "test"));
    let class = async |client: Client| {
        ask(SqsProbe::new(client, "http://sqs/queue")).await["class"].clone()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    assert_eq!(class(over_sockets(&endpoint, None)).await, "misconfigured");
    // It takes the request and breaks off.
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
    });
    assert_eq!(class(over_sockets(&endpoint, credentials())).await, "disconnected");
    server.await.unwrap();
    let (_deaf, nobody) = nobody();
    let endpoint = format!("http://{nobody}");
    assert_eq!(class(over_sockets(&endpoint, credentials())).await, "unreachable");
}
