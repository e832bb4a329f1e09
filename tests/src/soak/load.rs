//! The messages that the consumers live on.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use bluegreen::queue::Envelope;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::worker::Order;

/// So many messages are kept waiting.
const WAITING: u64 = 100;
/// How long the last consumer may take to empty the queue.
const PATIENCE: Duration = Duration::from_secs(120);

/// A producer at work.
pub(super) struct Load {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<BTreeSet<String>>>,
}

impl Load {
    pub(super) fn start(sqs: Client, url: String) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(run(sqs, url, stopped)) }
    }

    /// Ends it; answers SQS's identifiers of all that was sent.
    pub(super) async fn stop(self) -> Result<BTreeSet<String>> {
        drop(self.stop);
        self.task.await?
    }
}

async fn run(
    sqs: Client,
    url: String,
    mut stopped: oneshot::Receiver<()>,
) -> Result<BTreeSet<String>> {
    let mut sent = BTreeSet::new();
    let mut number = 0_u64;
    while stopped.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty) {
        let [visible, ..] = counts(&sqs, &url).await?;
        for _ in 0..WAITING.saturating_sub(visible).div_ceil(10) {
            let mut batch = sqs.send_message_batch().queue_url(&url);
            for place in 0..10 {
                number += 1;
                // One in fifty takes longer than a lease lasts, and needs heartbeats.
                let millis = if number.is_multiple_of(50) { 2_500 } else { number * 7 % 40 };
                let body = Envelope::new(&Order { millis }, SystemTime::UNIX_EPOCH)?.to_string();
                let entry = SendMessageBatchRequestEntry::builder().id(place.to_string());
                batch = batch.entries(entry.message_body(body).build()?);
            }
            let answer = batch.send().await?;
            ensure!(answer.failed().is_empty(), "{answer:?}");
            sent.extend(answer.successful.into_iter().map(|one| one.message_id));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(sent)
}

/// Waits until a queue is empty.
pub(super) async fn emptied(sqs: &Client, url: &str) -> Result<()> {
    let began = Instant::now();
    while depth(sqs, url).await? > 0 {
        ensure!(began.elapsed() < PATIENCE, "the queue is not empty after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// How many messages a queue has, hidden ones included.
pub(super) async fn depth(sqs: &Client, url: &str) -> Result<u64> {
    Ok(counts(sqs, url).await?.iter().sum())
}

/// Those that are visible, and those that are hidden.
async fn counts(sqs: &Client, url: &str) -> Result<[u64; 2]> {
    let names = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    ];
    let call = sqs.get_queue_attributes().queue_url(url);
    let answer = call.set_attribute_names(Some(names.to_vec())).send().await?;
    let found = answer.attributes.unwrap_or_default();
    let number = |name| -> Result<u64> { Ok(found.get(&name).context("no count")?.parse()?) };
    let [visible, hidden] = names.map(number);
    Ok([visible?, hidden?])
}
