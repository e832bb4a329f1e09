//! The edge: the one place that speaks to SQS.

pub mod attributes;
mod error;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use tokio::time::timeout;

use crate::Depth;
use attributes::Attributes;
pub(crate) use error::{CallError, Refusal};

/// The most messages in one call (AWS's limit).
pub(crate) const BATCH: usize = 10;

/// SQS within a time limit for each call.
#[derive(Clone, Debug)]
pub(crate) struct Sqs {
    client: Client,
    limit: Duration,
}

/// What a receive brought. Each message is read when its turn has come: a list of them all would be
/// an allocation more, and too large for the allocator's fast path.
#[derive(Debug)]
pub(crate) struct Messages(Vec<Message>);

/// A message as it was received.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) id: Arc<str>,
    pub(crate) handle: String,
    pub(crate) body: String,
    /// When it was sent, by SQS's clock.
    pub(crate) sent: SystemTime,
    pub(crate) receive_count: u32,
    pub(crate) group: Option<Arc<str>>,
    pub(crate) attributes: Attributes,
}

/// A message to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) body: String,
    pub(crate) attributes: Attributes,
    /// Group and deduplication id, for a FIFO queue.
    pub(crate) fifo: Option<(String, String)>,
}

impl Outgoing {
    /// The bytes that count towards the size of a message.
    pub(crate) fn size(&self) -> usize {
        self.body.len() + self.attributes.size()
    }
}

/// What became of the messages of a call, by their place in it.
#[derive(Debug)]
pub(crate) struct SentBatch {
    /// SQS's identifiers of those that were accepted.
    pub(crate) sent: HashMap<usize, String>,
    pub(crate) refusals: Refusals,
}

/// The entries of a batch call that were refused, by their place in the call.
pub(crate) type Refusals = Vec<(usize, Refusal)>;

impl Sqs {
    pub(crate) const fn new(client: Client, limit: Duration) -> Self {
        Self { client, limit }
    }

    /// Receives up to `most` messages, waiting for the first one.
    pub(crate) async fn receive(
        &self,
        url: &str,
        most: u32,
        wait: Duration,
        visibility: u32,
    ) -> Result<Messages, CallError> {
        let call = self
            .client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(integer(most))
            .wait_time_seconds(integer(u32::try_from(wait.as_secs()).unwrap_or(20)))
            .visibility_timeout(integer(visibility))
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        let answer = within(self.limit.saturating_add(wait), Box::pin(call.send())).await?;
        Ok(Messages(answer.messages.unwrap_or_default()))
    }

    /// How many messages a queue has, as far as SQS tells.
    pub(crate) async fn depth(&self, url: &str) -> Result<Depth, CallError> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let call = self.client.get_queue_attributes().queue_url(url);
        let call = call.set_attribute_names(Some(names.to_vec()));
        let found = within(self.limit, Box::pin(call.send())).await?.attributes.unwrap_or_default();
        let [visible, in_flight, delayed] = names.map(|name| {
            let text = found.get(&name).ok_or_else(|| CallError::unanswered(name.as_str()))?;
            text.parse().map_err(|_| CallError::unanswered(name.as_str()))
        });
        Ok(Depth { visible: visible?, in_flight: in_flight?, delayed: delayed? })
    }

    /// How often SQS hands a message out before it moves it away; nothing where it never does.
    pub(crate) async fn max_receive_count(&self, url: &str) -> Result<Option<u32>, CallError> {
        let call = self.client.get_queue_attributes().queue_url(url);
        let call = call.attribute_names(QueueAttributeName::RedrivePolicy);
        let found = within(self.limit, Box::pin(call.send())).await?.attributes.unwrap_or_default();
        let policy = found.get(&QueueAttributeName::RedrivePolicy);
        Ok(policy.and_then(|policy| max_receive_count(policy)))
    }

    /// Deletes up to ten messages within this limit.
    pub(crate) async fn delete(
        &self,
        url: &str,
        handles: impl Iterator<Item = &str>,
        limit: Duration,
    ) -> Result<Refusals, CallError> {
        let mut call = self.client.delete_message_batch().queue_url(url);
        for (place, handle) in handles.enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .receipt_handle(handle)
                .build()
                .map_err(CallError::unbuilt)?;
            call = call.entries(entry);
        }
        let answer = within(limit, Box::pin(call.send())).await?;
        Ok(answer.failed.iter().filter_map(Refusal::of).collect())
    }

    /// Hides up to ten messages anew, each by its handle for some seconds, 0 to show it at once;
    /// within this limit.
    pub(crate) async fn hide(
        &self,
        url: &str,
        hidings: impl Iterator<Item = (&str, u32)>,
        limit: Duration,
    ) -> Result<Refusals, CallError> {
        let mut call = self.client.change_message_visibility_batch().queue_url(url);
        for (place, (handle, seconds)) in hidings.enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(place.to_string())
                .receipt_handle(handle)
                .visibility_timeout(integer(seconds))
                .build()
                .map_err(CallError::unbuilt)?;
            call = call.entries(entry);
        }
        let answer = within(limit, Box::pin(call.send())).await?;
        Ok(answer.failed.iter().filter_map(Refusal::of).collect())
    }

    /// Sends a message; answers SQS's identifier of it.
    pub(crate) async fn send(&self, url: &str, outgoing: Outgoing) -> Result<String, CallError> {
        let (group, deduplication) = outgoing.fifo.unzip();
        let call = self
            .client
            .send_message()
            .queue_url(url)
            .message_body(outgoing.body)
            .set_message_attributes(outgoing.attributes.into_sdk())
            .set_message_group_id(group)
            .set_message_deduplication_id(deduplication);
        let answer = within(self.limit, Box::pin(call.send())).await?;
        Ok(answer.message_id.unwrap_or_default())
    }

    /// Sends up to ten messages.
    pub(crate) async fn send_batch(
        &self,
        url: &str,
        messages: impl Iterator<Item = &Outgoing>,
    ) -> Result<SentBatch, CallError> {
        let mut call = self.client.send_message_batch().queue_url(url);
        for (place, outgoing) in messages.enumerate() {
            let (group, deduplication) = outgoing.fifo.clone().unzip();
            let entry = SendMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .message_body(&outgoing.body)
                .set_message_attributes(outgoing.attributes.clone().into_sdk())
                .set_message_group_id(group)
                .set_message_deduplication_id(deduplication)
                .build()
                .map_err(CallError::unbuilt)?;
            call = call.entries(entry);
        }
        let answer = within(self.limit, Box::pin(call.send())).await?;
        let accepted = answer.successful.into_iter();
        let sent = accepted.filter_map(|one| Some((one.id.parse().ok()?, one.message_id)));
        let refusals = answer.failed.iter().filter_map(Refusal::of).collect();
        Ok(SentBatch { sent: sent.collect(), refusals })
    }
}

impl Messages {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// They themselves, but those with which nothing can be done.
    pub(crate) fn read(self) -> impl Iterator<Item = Received> {
        self.0.into_iter().filter_map(received)
    }
}

/// The future of a call is kilobytes large: in a box it is not moved with everything that awaits it.
async fn within<T, E: Into<CallError>>(
    limit: Duration,
    call: Pin<Box<impl Future<Output = Result<T, E>>>>,
) -> Result<T, CallError> {
    match timeout(limit, call).await {
        Ok(answered) => answered.map_err(Into::into),
        Err(elapsed) => Err(CallError::timed_out(elapsed)),
    }
}

/// The number in a redrive policy, which AWS writes with and without quotes.
fn max_receive_count(policy: &str) -> Option<u32> {
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    let count = policy.get("maxReceiveCount")?;
    let number = count.as_u64().or_else(|| count.as_str()?.parse().ok())?;
    u32::try_from(number).ok()
}

fn integer(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Without a receipt handle nothing can be done with a message; AWS sends none without.
fn received(message: Message) -> Option<Received> {
    let (mut receive_count, mut sent, mut group) = (None, None, None);
    // There are three at most: to go through them costs less than to look each up.
    for (name, text) in message.attributes.unwrap_or_default() {
        match name {
            MessageSystemAttributeName::ApproximateReceiveCount => {
                receive_count = text.parse().ok()
            }
            MessageSystemAttributeName::SentTimestamp => sent = text.parse().ok(),
            MessageSystemAttributeName::MessageGroupId => group = Some(text.into()),
            _ => {}
        }
    }
    let sent = sent.map(Duration::from_millis).and_then(|sent| UNIX_EPOCH.checked_add(sent));
    Some(Received {
        receive_count: receive_count.unwrap_or(1),
        sent: sent.unwrap_or(UNIX_EPOCH),
        group,
        id: message.message_id.unwrap_or_default().into(),
        handle: message.receipt_handle?,
        body: message.body.unwrap_or_default(),
        attributes: Attributes::from_sdk(message.message_attributes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_redrive_policy_is_read_with_and_without_quotes() {
        let table = [
            (r#"{"deadLetterTargetArn":"arn","maxReceiveCount":3}"#, Some(3)),
            (r#"{"deadLetterTargetArn":"arn","maxReceiveCount":"1000"}"#, Some(1000)),
            (r#"{"deadLetterTargetArn":"arn"}"#, None),
            (r#"{"maxReceiveCount":-1}"#, None),
            ("", None),
        ];
        for (policy, expected) in table {
            assert_eq!(max_receive_count(policy), expected, "{policy}");
        }
    }
}
