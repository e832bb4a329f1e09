//! The same work done twice: by the SDK alone, and by the consumer.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, MessageSystemAttributeName};
use bluegreen::queue::{
    Consumer, ConsumerConfig, ConsumerError, ConsumerHandle, ConsumerReport, Dispatch, Message,
    Outcome, Queues, Subscription, UnknownPolicy,
};
use bluegreen::{Color, ContractVersion, Deployment, Following, Release, ServiceKey, Stop};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::MESSAGES;
use super::source::Source;
use crate::cpu;

pub(super) const URL: &str = "https://sqs.us-east-1.amazonaws.com/1/orders";

/// What a message cost.
pub(super) struct Cost {
    pub(super) cpu_us: f64,
    pub(super) calls: f64,
    /// From the reply to the receive to the handler, at the 99th percentile.
    pub(super) wait_ms: f64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Order {
    order: String,
    items: Vec<Item>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Item {
    sku: String,
    count: u32,
    cents: u64,
}

impl Message for Order {
    const TYPE: &str = "OrderPlaced";
    const VERSION: ContractVersion = ContractVersion::new(1, 0);
}

/// The whole envelope, as a program without a library would read it.
#[derive(Default, Deserialize)]
#[expect(dead_code, reason = "read, as the consumer does, and not used")]
pub(super) struct Whole {
    version: String,
    r#type: String,
    pub(super) payload: Order,
    timestamp: String,
    id: String,
    color: String,
    revision: u64,
}

impl Cost {
    fn of(source: &Source, started: f64, mut waits: Vec<f64>) -> Self {
        let cpu_us = (cpu::nanoseconds() - started) / 1e3 / f64::from(MESSAGES);
        #[expect(clippy::cast_precision_loss, reason = "thousands of calls")]
        let calls = source.calls() as f64 / f64::from(MESSAGES);
        waits.sort_by(f64::total_cmp);
        let wait_ms = waits.get(waits.len() * 99 / 100).copied().unwrap_or(f64::NAN);
        Self { cpu_us, calls, wait_ms }
    }
}

pub(super) async fn bare_loop() -> Result<Cost> {
    let (source, mut waits) = (Source::of(MESSAGES), Vec::new());
    let started = cpu::nanoseconds();
    bare(&source.client(), URL, MESSAGES, || waits.push(source.waited())).await?;
    Ok(Cost::of(&source, started, waits))
}

/// Receive ten, handle them, delete ten; one after another.
pub(super) async fn bare(
    client: &Client,
    url: &str,
    messages: u32,
    mut handled: impl FnMut(),
) -> Result<()> {
    let mut left = messages;
    while left > 0 {
        let receive = client.receive_message().queue_url(url).max_number_of_messages(10);
        let receive = receive
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let received = receive.wait_time_seconds(20).send().await?;
        if received.messages().is_empty() {
            continue;
        }
        let mut delete = client.delete_message_batch().queue_url(url);
        for (id, message) in received.messages().iter().enumerate() {
            let whole: Whole = serde_json::from_str(message.body().unwrap_or_default())?;
            handled();
            left = left.saturating_sub(1);
            std::hint::black_box(whole.payload);
            let entry = DeleteMessageBatchRequestEntry::builder()
                .id(id.to_string())
                .receipt_handle(message.receipt_handle().unwrap_or_default())
                .build()?;
            delete = delete.entries(entry);
        }
        delete.send().await?;
    }
    Ok(())
}

/// A consumer at work, and who looks at it.
pub(super) type Running = (ConsumerHandle, JoinHandle<Result<ConsumerReport, ConsumerError>>);

/// A consumer of the color that serves alone.
pub(super) fn consumer(
    client: Client,
    url: &str,
    dispatch: Dispatch,
    config: ConsumerConfig,
) -> Result<(ConsumerHandle, Consumer)> {
    let key = ServiceKey::new("shop")?;
    let following = Following::fixed(Deployment::first(key, Color::Blue, Release::new("1")?));
    let own = Subscription::own(&Queues::Shared(url.to_owned()), Color::Blue, "dead");
    Ok(Consumer::new(client, own, following, dispatch, config)?)
}

/// The consumer with all it does: leases and heartbeats, permits, dispatch by version.
pub(super) async fn ours() -> Result<Cost> {
    let (source, waits) = (Source::of(MESSAGES), Arc::new(Mutex::new(Vec::new())));
    let (clock, seen) = (source.clone(), Arc::clone(&waits));
    let locked = |waits: &Mutex<Vec<f64>>| -> Vec<f64> {
        std::mem::take(&mut waits.lock().unwrap_or_else(PoisonError::into_inner))
    };
    let started = cpu::nanoseconds();
    consume(source.client(), URL, MESSAGES, move || {
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(clock.waited());
    })
    .await?;
    Ok(Cost::of(&source, started, locked(&waits)))
}

/// The same messages by the consumer.
pub(super) async fn consume(
    client: Client,
    url: &str,
    messages: u32,
    handled: impl Fn() + Send + Sync + 'static,
) -> Result<()> {
    let (count, all) = (AtomicU32::new(0), Arc::new(Notify::new()));
    let done = Arc::clone(&all);
    let dispatch = Dispatch::builder()
        .on(move |order: Order, _| {
            handled();
            if count.fetch_add(1, Ordering::Relaxed) + 1 == messages {
                done.notify_one();
            }
            std::hint::black_box(order);
            std::future::ready(Ok(Outcome::Done))
        })
        .unknown(UnknownPolicy::Park)
        .build()?;
    let config = ConsumerConfig::default().with_concurrency(20);
    let (_, consumer) = consumer(client, url, dispatch, config)?;
    let (stopper, stop) = Stop::new();
    let driver = tokio::spawn(consumer.run(stop));
    all.notified().await;
    stopper.stop(Duration::from_secs(5));
    let report = driver.await??;
    anyhow::ensure!(report.handled == u64::from(messages), "{report:?}");
    Ok(())
}
