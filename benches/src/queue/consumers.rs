//! The same work done twice: by the SDK alone, and by the consumer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, MessageSystemAttributeName};
use bluegreen::queue::{
    Consumer, ConsumerConfig, Dispatch, Message, Outcome, Queues, Subscription, UnknownPolicy,
};
use bluegreen::{Color, ContractVersion, Deployment, Following, Release, ServiceKey, Stop};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::MESSAGES;
use super::source::Source;
use crate::cpu;

const URL: &str = "https://sqs.us-east-1.amazonaws.com/1/orders";

/// What a message cost.
pub(super) struct Cost {
    pub(super) cpu_us: f64,
    pub(super) calls: f64,
    /// From the reply to the receive to the handler, at the 99th percentile.
    pub(super) wait_ms: f64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    order: String,
    items: Vec<Item>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Item {
    sku: String,
    count: u32,
    cents: u64,
}

impl Message for Order {
    const TYPE: &str = "OrderPlaced";
    const VERSION: ContractVersion = ContractVersion::new(1, 0);
}

/// The article's four fields, as a program without a library would read them.
#[derive(Deserialize)]
#[expect(dead_code, reason = "read, as the article does, and not used")]
struct Four {
    version: String,
    r#type: String,
    payload: Order,
    timestamp: String,
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

/// Receive ten, handle them, delete ten; one after another.
pub(super) async fn bare_loop() -> Result<Cost> {
    let source = Source::of(MESSAGES);
    let (client, mut waits) = (source.client(), Vec::new());
    let started = cpu::nanoseconds();
    for _ in 0..MESSAGES / 10 {
        let receive = client.receive_message().queue_url(URL).max_number_of_messages(10);
        let receive = receive
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let received = receive.wait_time_seconds(20).send().await?;
        let mut delete = client.delete_message_batch().queue_url(URL);
        for (id, message) in received.messages().iter().enumerate() {
            let four: Four = serde_json::from_str(message.body().unwrap_or_default())?;
            waits.push(source.waited());
            std::hint::black_box(four.payload);
            let entry = DeleteMessageBatchRequestEntry::builder()
                .id(id.to_string())
                .receipt_handle(message.receipt_handle().unwrap_or_default())
                .build()?;
            delete = delete.entries(entry);
        }
        delete.send().await?;
    }
    Ok(Cost::of(&source, started, waits))
}

/// The consumer with all it does: leases and heartbeats, permits, dispatch by version.
pub(super) async fn ours() -> Result<Cost> {
    let source = Source::of(MESSAGES);
    let (waits, all) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
    let (clock, seen, done) = (source.clone(), Arc::clone(&waits), Arc::clone(&all));
    let dispatch = Dispatch::builder()
        .on(move |order: Order, _| {
            let mut waits = seen.lock().unwrap_or_else(PoisonError::into_inner);
            waits.push(clock.waited());
            if waits.len() == MESSAGES as usize {
                done.notify_one();
            }
            std::hint::black_box(order);
            std::future::ready(Ok(Outcome::Done))
        })
        .unknown(UnknownPolicy::Park)
        .build()?;
    let key = ServiceKey::new("shop")?;
    let following = Following::fixed(Deployment::first(key, Color::Blue, Release::new("1")?));
    let own = Subscription::own(&Queues::Shared(URL.to_owned()), Color::Blue, "dead");
    let config = ConsumerConfig::default().with_concurrency(20);
    let (_, consumer) = Consumer::new(source.client(), own, following, dispatch, config)?;
    let (stopper, stop) = Stop::new();
    let started = cpu::nanoseconds();
    let driver = tokio::spawn(consumer.run(stop));
    all.notified().await;
    stopper.stop(Duration::from_secs(5));
    let report = driver.await??;
    anyhow::ensure!(report.handled == u64::from(MESSAGES), "{report:?}");
    let waits = Arc::into_inner(waits).context("the handlers have ended")?;
    Ok(Cost::of(&source, started, waits.into_inner().unwrap_or_else(PoisonError::into_inner)))
}
