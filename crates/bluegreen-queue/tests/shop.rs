//! A shop with its queues, and what tests ask of it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_sqs::types::{Message as Received, MessageAttributeValue, QueueAttributeName};
use bluegreen_core::{
    ByColor, Clock, ContractVersion, Deployment, Following, Release, ServiceKey, Share, Stop,
    Stopper,
};
use bluegreen_local::{Calls, Service, World};
use bluegreen_queue::{
    Consumer, ConsumerConfig, ConsumerError, ConsumerHandle, ConsumerReport, Context, Dispatch,
    Envelope, HandlerError, Message, Outcome, QueueNames, Queues, Subscription, UnknownPolicy,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

pub(crate) use Color::{Blue, Green};
pub(crate) use bluegreen_core::Color;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) order: String,
}

impl Message for Order {
    const TYPE: &str = "OrderPlaced";
    const VERSION: ContractVersion = ContractVersion::new(1, 0);
}

pub(crate) struct Shop {
    pub(crate) world: World,
    pub(crate) urls: ByColor<String>,
    pub(crate) dead: String,
}

pub(crate) fn key() -> ServiceKey {
    ServiceKey::new("shop").unwrap()
}

/// Blue serves; a shift to green where a share is given.
pub(crate) fn deployment(green: Option<u16>) -> Deployment {
    let first = Deployment::first(key(), Blue, Release::new("1").unwrap());
    match green {
        None => first,
        Some(per_mille) => {
            let begun = first.begin(Green, Release::new("2").unwrap()).unwrap();
            begun.shift(Share::per_mille(per_mille).unwrap()).unwrap()
        }
    }
}

pub(crate) fn following(green: Option<u16>) -> Following {
    Following::fixed(deployment(green))
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::with("").await
    }

    /// The queues' names end in `suffix`: `.fifo`, or nothing.
    pub(crate) async fn with(suffix: &str) -> Self {
        let clock = Clock::starting_at(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let world = World::builder().clock(clock).build();
        let names = QueueNames::new(&key(), &format!("orders{suffix}")).unwrap();
        let mut urls = ByColor::<String>::default();
        for color in Color::BOTH {
            *urls.get_mut(color) = create(&world, names.of(color)).await;
        }
        let dead = create(&world, &format!("dead{suffix}")).await;
        Self { world, urls, dead }
    }

    pub(crate) fn separate(&self) -> Queues {
        Queues::Separate(self.urls.clone())
    }

    pub(crate) fn shared(&self) -> Queues {
        Queues::Shared(self.urls.blue.clone())
    }

    /// Sends a body as it is.
    pub(crate) async fn put(&self, url: &str, body: &str) -> String {
        self.put_with(url, body, 0).await
    }

    /// The same with some attributes of the sender.
    pub(crate) async fn put_with(&self, url: &str, body: &str, attributes: usize) -> String {
        let mut call = self.world.sqs_as("observer").send_message().queue_url(url);
        for n in 0..attributes {
            let value = MessageAttributeValue::builder().data_type("String").string_value("v");
            call = call.message_attributes(format!("a{n}"), value.build().unwrap());
        }
        call.message_body(body).send().await.unwrap().message_id.unwrap()
    }

    /// Sends a body to a group of a FIFO queue.
    pub(crate) async fn put_group(&self, url: &str, group: &str, body: &str) {
        let call = self.world.sqs_as("observer").send_message().queue_url(url).message_body(body);
        let id = format!("{:032x}", fastrand::u128(..));
        call.message_group_id(group).message_deduplication_id(id).send().await.unwrap();
    }

    pub(crate) async fn put_orders(&self, url: &str, many: usize) {
        for n in 0..many {
            self.put(url, &order(&n.to_string())).await;
        }
    }

    /// What can be received at this moment.
    pub(crate) async fn look(&self, url: &str) -> Vec<Received> {
        let call = self.world.sqs_as("observer").receive_message().queue_url(url);
        let call = call.max_number_of_messages(10).message_attribute_names("All");
        call.send().await.unwrap().messages.unwrap_or_default()
    }

    pub(crate) async fn clear(&self, url: &str) {
        self.world.sqs_as("observer").purge_queue().queue_url(url).send().await.unwrap();
    }

    /// The messages of a queue that are visible, and those that are hidden.
    pub(crate) async fn counts(&self, url: &str) -> (u32, u32) {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let call = self.world.sqs_as("observer").get_queue_attributes().queue_url(url);
        let call = call.set_attribute_names(Some(names.to_vec()));
        let found = call.send().await.unwrap().attributes.unwrap();
        let [visible, hidden] = names.map(|name| found[&name].parse().unwrap());
        (visible, hidden)
    }

    /// How often a color has called an operation; any operation where it is empty.
    pub(crate) fn calls(&self, color: Color, operation: &str) -> u64 {
        let mut calls = Calls::to(Service::Sqs).access_key(color.as_str());
        if !operation.is_empty() {
            calls = calls.operation(operation);
        }
        self.world.calls_in(&calls)
    }

    /// A running consumer of a color.
    pub(crate) fn consume(
        &self,
        subscription: Subscription,
        following: Following,
        dispatch: Dispatch,
        config: ConsumerConfig,
    ) -> Running {
        let client = self.world.sqs_as(subscription_color(&subscription, self));
        let config = config.with_seed(7).with_clock(self.world.clock());
        let (handle, consumer) =
            Consumer::new(client, subscription, following, dispatch, config).unwrap();
        let (stopper, stop) = Stop::new();
        Running { handle, stopper, driver: tokio::spawn(consumer.run(stop)) }
    }

    /// Blue consumes its own queue, all by itself.
    pub(crate) fn blue(&self, dispatch: Dispatch, config: ConsumerConfig) -> Running {
        let own = Subscription::own(&self.separate(), Blue, &self.dead);
        self.consume(own, following(None), dispatch, config)
    }
}

/// Calls are told apart by access key; tests that need it have one consumer a color.
fn subscription_color(subscription: &Subscription, shop: &Shop) -> &'static str {
    let is_green = subscription.url() == shop.urls.green;
    let is_other = subscription.side() == bluegreen_queue::QueueSide::Other;
    if is_green != is_other { "green" } else { "blue" }
}

pub(crate) struct Running {
    pub(crate) handle: ConsumerHandle,
    pub(crate) stopper: Stopper,
    pub(crate) driver: JoinHandle<Result<ConsumerReport, ConsumerError>>,
}

impl Running {
    pub(crate) async fn stop(self, within: Duration) -> ConsumerReport {
        self.stopper.stop(within);
        self.driver.await.unwrap().unwrap()
    }
}

async fn create(world: &World, name: &str) -> String {
    let mut call = world.sqs_as("observer").create_queue().queue_name(name);
    if name.ends_with(".fifo") {
        call = call.attributes(QueueAttributeName::FifoQueue, "true");
    }
    call.send().await.unwrap().queue_url.unwrap()
}

/// The body of an order as the article writes it.
pub(crate) fn order(order: &str) -> String {
    versioned("1.0", order)
}

pub(crate) fn versioned(version: &str, order: &str) -> String {
    let payload = serde_json::to_string(&Order { order: order.to_owned() }).unwrap();
    let at = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    Envelope::from_json("OrderPlaced", version.parse().unwrap(), &payload, at).unwrap().to_string()
}

/// What handlers have seen, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Waits until there are so many lines.
    pub(crate) async fn reach(&self, many: usize) {
        until(|| self.len() >= many).await;
    }
}

/// Waits, on the paused clock, until a condition holds.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    let patience = Duration::from_secs(24 * 60 * 60);
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(patience, waiting).await.expect("the condition never came true");
}

pub(crate) async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Handlers for version 1, and a policy for all else.
pub(crate) fn on<Fut>(
    policy: UnknownPolicy,
    handler: impl Fn(Order, Context) -> Fut + Send + Sync + 'static,
) -> Dispatch
where
    Fut: Future<Output = Result<Outcome, HandlerError>> + Send + 'static,
{
    Dispatch::builder().on(handler).unknown(policy).build().unwrap()
}

/// Writes each order down and is done with it.
pub(crate) fn writing(log: &Log, policy: UnknownPolicy) -> Dispatch {
    let log = log.clone();
    on(policy, move |order, _| {
        log.add(order.order);
        std::future::ready(Ok(Outcome::Done))
    })
}

pub(crate) fn text<'a>(message: &'a Received, attribute: &str) -> Option<&'a str> {
    message.message_attributes.as_ref()?.get(attribute)?.string_value()
}
