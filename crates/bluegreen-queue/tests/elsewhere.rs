//! The same behavior on emulators by others.
//!
//! Set `CONFORMANCE_QUEUE_ENDPOINT` to run these against what listens there; otherwise they run on
//! the stand-in, as every test does. `queue_standard_…` is what moto can be asked for, which has no
//! time for more than some hundred messages; `queue_fifo_…` needs a strict order of groups.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName;
use bluegreen_core::{ByColor, Color, Stop};
use bluegreen_local::World;
use bluegreen_queue::{
    Consumer, ConsumerConfig, Context, Dispatch, HandlerError, Outcome, Producer, ProducerConfig,
    Queues, Subscription, UnknownPolicy,
};

use crate::shop::{Log, Order, Running, following, on, order, text, versioned, writing};

const SOON: Duration = Duration::from_secs(10);
/// What an emulator in Python may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Queues of its own.
struct Place {
    client: Client,
    urls: ByColor<String>,
    dead: String,
}

impl Place {
    async fn new() -> Self {
        Self::with("", None).await
    }

    /// The queues' names end in `suffix`; each message is handed out `most` times.
    async fn with(suffix: &str, most: Option<u32>) -> Self {
        let (client, stem) = (client(), fastrand::u64(..));
        let dead = create(&client, &format!("dead-{stem:016x}{suffix}"), None).await;
        let mut urls = ByColor::<String>::default();
        for color in Color::BOTH {
            let policy = match most {
                None => None,
                Some(most) => Some(redrive(&client, &dead, most).await),
            };
            let name = format!("{color}-{stem:016x}{suffix}");
            *urls.get_mut(color) = create(&client, &name, policy).await;
        }
        Self { client, urls, dead }
    }

    fn queues(&self) -> Queues {
        Queues::Separate(self.urls.clone())
    }

    async fn put(&self, body: &str) {
        let call = self.client.send_message().queue_url(&self.urls.blue).message_body(body);
        call.send().await.unwrap();
    }

    fn consume(&self, color: Color, dispatch: Dispatch, config: ConsumerConfig) -> Running {
        let own = Subscription::own(&self.queues(), color, &self.dead);
        let config = config.with_wait(Duration::from_secs(2)).with_seed(7);
        let client = self.client.clone();
        let (handle, consumer) =
            Consumer::new(client, own, following(Some(500)), dispatch, config).unwrap();
        let (stopper, stop) = Stop::new();
        Running { handle, stopper, driver: tokio::spawn(consumer.run(stop)) }
    }

    fn blue(&self, dispatch: Dispatch) -> Running {
        self.consume(Color::Blue, dispatch, ConsumerConfig::default())
    }

    /// What a queue has, hidden ones included.
    async fn depth(&self, url: &str) -> u32 {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let call = self.client.get_queue_attributes().queue_url(url);
        let call = call.set_attribute_names(Some(names.to_vec()));
        let found = call.send().await.unwrap().attributes.unwrap();
        names.iter().map(|name| found[name].parse::<u32>().unwrap()).sum()
    }

    /// The one message in the dead-letter queue: its body and why it is there.
    async fn parked(&self) -> (String, String) {
        let call = self.client.receive_message().queue_url(&self.dead);
        let call = call.message_attribute_names("All").wait_time_seconds(20);
        let found = call.send().await.unwrap().messages.unwrap_or_default();
        assert_eq!(found.len(), 1);
        let reason = text(&found[0], "bluegreen-reason").unwrap_or_default().to_owned();
        (found[0].body.clone().unwrap(), reason)
    }
}

fn client() -> Client {
    let endpoint = std::env::var("CONFORMANCE_QUEUE_ENDPOINT").unwrap_or_default();
    if endpoint.is_empty() {
        return World::new().sqs();
    }
    // An emulator has a clock of its own.
    tokio::time::resume();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(World::REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

async fn create(client: &Client, name: &str, policy: Option<String>) -> String {
    let mut call = client.create_queue().queue_name(name);
    if name.ends_with(".fifo") {
        call = call.attributes(QueueAttributeName::FifoQueue, "true");
    }
    if let Some(policy) = policy {
        call = call.attributes(QueueAttributeName::RedrivePolicy, policy);
    }
    call.send().await.unwrap().queue_url.unwrap()
}

async fn redrive(client: &Client, dead: &str, most: u32) -> String {
    let call = client.get_queue_attributes().queue_url(dead);
    let found = call.attribute_names(QueueAttributeName::QueueArn).send().await.unwrap();
    let arn = &found.attributes.unwrap()[&QueueAttributeName::QueueArn];
    serde_json::json!({ "deadLetterTargetArn": arn, "maxReceiveCount": most }).to_string()
}

async fn reach(log: &Log, many: usize) {
    let reached = tokio::time::timeout(PATIENCE, log.reach(many)).await;
    assert!(reached.is_ok(), "{:?}", log.lines());
}

/// Writes down order and number of receive; fails, or takes its time, as `act` says.
fn acting<Fut>(log: &Log, act: impl Fn(String, Context) -> Fut + Send + Sync + 'static) -> Dispatch
where
    Fut: Future<Output = Result<Outcome, HandlerError>> + Send + 'static,
{
    let log = log.clone();
    on(UnknownPolicy::Park, move |order: Order, context| {
        log.add(format!("{} {}", order.order, context.receive_count()));
        act(order.order, context)
    })
}

#[tokio::test(start_paused = true)]
async fn queue_standard_what_is_sent_in_batches_is_handled_and_deleted() {
    let (place, log) = (Place::new().await, Log::default());
    let (producer, courier) = Producer::batching(
        place.client.clone(),
        place.queues(),
        following(None),
        Color::Blue,
        ProducerConfig::default(),
    )
    .unwrap();
    let courier = tokio::spawn(courier.run(Stop::never()));
    let orders: Vec<_> = (0..60).map(|n| Order { order: n.to_string() }).collect();
    let sends = orders.iter().map(|order| producer.send(order, &order.order));
    for sent in futures_util::future::join_all(sends).await {
        sent.unwrap();
    }
    drop(producer);
    assert!(courier.await.unwrap().unwrap().calls <= 10);
    let running = place.blue(writing(&log, UnknownPolicy::Park));
    reach(&log, 60).await;
    let report = running.stop(SOON).await;
    assert_eq!((report.handled, report.undeleted), (60, 0));
    assert_eq!((log.len(), place.depth(&place.urls.blue).await), (60, 0));
}

#[tokio::test(start_paused = true)]
async fn queue_standard_a_failure_is_hidden_for_a_while_and_comes_again() {
    let (place, log) = (Place::new().await, Log::default());
    place.put(&order("a")).await;
    let running = place.blue(acting(&log, |_, context| async move {
        match context.receive_count() {
            1 => Err("not yet".into()),
            _ => Ok(Outcome::Done),
        }
    }));
    reach(&log, 2).await;
    let report = running.stop(SOON).await;
    assert_eq!((report.failed, report.handled), (1, 1));
    assert_eq!(
        (log.lines(), place.depth(&place.urls.blue).await),
        (vec!["a 1".to_owned(), "a 2".to_owned()], 0)
    );
}

#[tokio::test(start_paused = true)]
async fn queue_standard_a_lease_lasts_for_as_long_as_its_handler_runs() {
    let (place, log) = (Place::new().await, Log::default());
    place.put(&order("slow")).await;
    let config = ConsumerConfig::default().with_visibility(Duration::from_secs(3));
    let slow = acting(&log, |_, context| async move {
        tokio::time::sleep(Duration::from_secs(8)).await;
        if context.is_lease_lost() { Err("lost".into()) } else { Ok(Outcome::Done) }
    });
    let running = place.consume(Color::Blue, slow, config);
    reach(&log, 1).await;
    // The handler has time to end.
    let report = running.stop(Duration::from_secs(40)).await;
    assert_eq!((report.handled, report.lost_leases), (1, 0));
    assert_eq!((log.lines(), place.depth(&place.urls.blue).await), (vec!["slow 1".to_owned()], 0));
}

#[tokio::test(start_paused = true)]
async fn queue_standard_a_stop_shows_at_once_what_is_not_handled() {
    let (place, log) = (Place::new().await, Log::default());
    place.put(&order("a")).await;
    let config = ConsumerConfig::default().with_visibility(Duration::from_secs(600));
    let never = acting(&log, |_, _| std::future::pending());
    let running = place.consume(Color::Blue, never, config);
    reach(&log, 1).await;
    assert_eq!(running.stop(Duration::from_secs(4)).await.released, 1);
    let running = place.blue(acting(&log, |_, _| std::future::ready(Ok(Outcome::Done))));
    reach(&log, 2).await;
    running.stop(SOON).await;
    assert_eq!(log.lines(), ["a 1", "a 2"]);
}

#[tokio::test(start_paused = true)]
async fn queue_standard_poison_is_parked_intact_with_its_reason() {
    let (place, log) = (Place::new().await, Log::default());
    place.put("no JSON").await;
    place.put(&order("good")).await;
    let running = place.blue(writing(&log, UnknownPolicy::Park));
    reach(&log, 1).await;
    let (body, reason) = place.parked().await;
    assert_eq!((body.as_str(), running.stop(SOON).await.parked), ("no JSON", 1));
    assert!(!reason.is_empty());
}

#[tokio::test(start_paused = true)]
async fn queue_standard_the_last_receive_is_parked_with_its_reason() {
    let (place, log) = (Place::with("", Some(2)).await, Log::default());
    place.put(&order("a")).await;
    let running = place.blue(acting(&log, |_, _| std::future::ready(Err("no stock".into()))));
    reach(&log, 2).await;
    let (body, reason) = place.parked().await;
    running.stop(SOON).await;
    assert_eq!((body, log.len()), (order("a"), 2));
    assert!(reason.ends_with("the last of 2 times: no stock"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn queue_standard_what_a_color_does_not_know_reaches_the_other() {
    let (place, log) = (Place::new().await, Log::default());
    place.put(&versioned("7.0", "new")).await;
    let blue = place.blue(writing(&log, UnknownPolicy::PassToOtherColor));
    let seen = log.clone();
    let fallback = UnknownPolicy::fallback(move |context: Context| {
        seen.add(context.envelope().version().to_string());
        std::future::ready(Ok(Outcome::Done))
    });
    let green = Dispatch::builder().unknown(fallback).build().unwrap();
    let green = place.consume(Color::Green, green, ConsumerConfig::default());
    reach(&log, 1).await;
    assert_eq!((green.stop(SOON).await.handled, blue.stop(SOON).await.passed), (1, 1));
    assert_eq!(log.lines(), ["7.0"]);
}

/// Two groups of orders whose earlier ones take longer, sent beside each other.
async fn send_groups(place: &Place) -> Queues {
    let queues = Queues::Shared(place.urls.blue.clone());
    let config = ProducerConfig::default();
    let producer =
        Producer::new(place.client.clone(), queues.clone(), following(None), Color::Blue, config);
    let producer = producer.unwrap();
    for n in 0..6 {
        for group in ["a", "b"] {
            producer.send(&Order { order: format!("{group}{n}") }, group).await.unwrap();
        }
    }
    queues
}

fn of_group(log: &Log, group: &str) -> Vec<String> {
    log.lines().into_iter().filter(|line| line.starts_with(group)).collect()
}

#[tokio::test(start_paused = true)]
async fn queue_fifo_groups_keep_their_order_and_a_failure_holds_its_own() {
    let (place, log) = (Place::with(".fifo", None).await, Log::default());
    send_groups(&place).await;
    let running = place.blue(acting(&log, |order, context| async move {
        tokio::time::sleep(Duration::from_millis(order.as_bytes()[1].into())).await;
        match (order.as_str(), context.receive_count()) {
            ("a2", 1) => Err("not yet".into()),
            _ => Ok(Outcome::Done),
        }
    }));
    reach(&log, 13).await;
    let report = running.stop(SOON).await;
    assert_eq!((report.failed, report.handled), (1, 12));
    let names = |group| -> Vec<_> {
        of_group(&log, group).iter().map(|line| line[..2].to_owned()).collect()
    };
    assert_eq!(names("a"), ["a0", "a1", "a2", "a2", "a3", "a4", "a5"]);
    assert_eq!(names("b"), ["b0", "b1", "b2", "b3", "b4", "b5"]);
    assert_eq!(place.depth(&place.urls.blue).await, 0);
}

#[tokio::test(start_paused = true)]
async fn queue_fifo_a_stop_amid_a_group_keeps_its_order() {
    let (place, log) = (Place::with(".fifo", None).await, Log::default());
    send_groups(&place).await;
    let slow = acting(&log, |_, _| async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(Outcome::Done)
    });
    let running = place.blue(slow);
    reach(&log, 3).await;
    running.stop(SOON).await;
    let running = place.blue(acting(&log, |_, _| std::future::ready(Ok(Outcome::Done))));
    reach(&log, 12).await;
    running.stop(SOON).await;
    for group in ["a", "b"] {
        let names: Vec<_> = of_group(&log, group).iter().map(|line| line[..2].to_owned()).collect();
        let expected: Vec<_> = (0..6).map(|n| format!("{group}{n}")).collect();
        assert_eq!(names, expected, "{:?}", log.lines());
    }
}
