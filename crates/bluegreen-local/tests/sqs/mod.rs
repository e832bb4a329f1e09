//! The conformance suite for SQS, written from AWS's documentation.
//!
//! Where the documentation leaves room, a check asks only for what it promises. Our stand-in is
//! narrower than AWS in these: it delivers a message of a standard queue once per visibility and
//! in order of age, a purge is done at once, and counts are exact unless asked to be stale. It
//! leaves out `StartMessageMoveTask`, permissions and tags.

mod fifo;
mod limits;
mod long_poll;
mod own;
mod queues;
mod redrive;
mod visibility;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};

use crate::target::unique;

/// A queue of its own for one check.
pub(crate) struct Queue {
    pub(crate) client: Client,
    pub(crate) url: String,
}

impl Queue {
    pub(crate) async fn standard(client: &Client) -> Self {
        Self::with(client, &unique("standard"), &[]).await
    }

    pub(crate) async fn fifo(client: &Client, attributes: &[(QueueAttributeName, &str)]) -> Self {
        let mut all = vec![(QueueAttributeName::FifoQueue, "true")];
        all.extend_from_slice(attributes);
        Self::with(client, &format!("{}.fifo", unique("fifo")), &all).await
    }

    pub(crate) async fn with(
        client: &Client,
        name: &str,
        attributes: &[(QueueAttributeName, &str)],
    ) -> Self {
        let mut create = client.create_queue().queue_name(name);
        for (attribute, value) in attributes {
            create = create.attributes(attribute.clone(), *value);
        }
        let url = create.send().await.unwrap().queue_url.unwrap();
        Self { client: client.clone(), url }
    }

    pub(crate) async fn send(&self, body: &str) -> String {
        let send = self.client.send_message().queue_url(&self.url).message_body(body);
        send.send().await.unwrap().message_id.unwrap()
    }

    /// Sends to a FIFO queue, the body being the deduplication id.
    pub(crate) async fn send_to_group(&self, group: &str, body: &str) -> String {
        let send = self.client.send_message().queue_url(&self.url).message_body(body);
        let send = send.message_group_id(group).message_deduplication_id(body);
        send.send().await.unwrap().message_id.unwrap()
    }

    /// Up to ten messages that are there now.
    pub(crate) async fn receive(&self) -> Vec<Message> {
        self.receive_for(0, None).await
    }

    pub(crate) async fn receive_for(&self, wait: i32, visibility: Option<i32>) -> Vec<Message> {
        let receive = self.client.receive_message().queue_url(&self.url);
        let receive = receive
            .max_number_of_messages(10)
            .wait_time_seconds(wait)
            .set_visibility_timeout(visibility)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All);
        receive.send().await.unwrap().messages.unwrap_or_default()
    }

    /// The one message that is there now.
    pub(crate) async fn receive_one(&self) -> Message {
        let mut messages = self.receive().await;
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0)
    }

    pub(crate) async fn delete(&self, message: &Message) {
        let delete = self.client.delete_message().queue_url(&self.url);
        delete.receipt_handle(handle(message)).send().await.unwrap();
    }

    pub(crate) async fn change_visibility(
        &self,
        message: &Message,
        seconds: i32,
    ) -> Result<(), String> {
        let change = self.client.change_message_visibility().queue_url(&self.url);
        let change = change.receipt_handle(handle(message)).visibility_timeout(seconds);
        change.send().await.map(drop).map_err(code)
    }

    pub(crate) async fn attribute(&self, name: QueueAttributeName) -> String {
        let get = self.client.get_queue_attributes().queue_url(&self.url);
        let attributes = get.attribute_names(name.clone()).send().await.unwrap().attributes;
        attributes.unwrap_or_default().get(&name).cloned().unwrap_or_default()
    }

    /// How many are visible, in flight and delayed.
    pub(crate) async fn counts(&self) -> [u32; 3] {
        use QueueAttributeName::*;
        let visible = self.attribute(ApproximateNumberOfMessages).await;
        let in_flight = self.attribute(ApproximateNumberOfMessagesNotVisible).await;
        let delayed = self.attribute(ApproximateNumberOfMessagesDelayed).await;
        [visible, in_flight, delayed].map(|count| count.parse().unwrap())
    }
}

pub(crate) fn handle(message: &Message) -> &str {
    message.receipt_handle.as_deref().unwrap()
}

pub(crate) fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body.as_deref().unwrap()).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "a name is as good as a constant here")]
pub(crate) fn system(message: &Message, name: MessageSystemAttributeName) -> Option<&str> {
    message.attributes.as_ref()?.get(&name).map(String::as_str)
}

pub(crate) fn receive_count(message: &Message) -> u32 {
    let count = system(message, MessageSystemAttributeName::ApproximateReceiveCount);
    count.unwrap().parse().unwrap()
}

/// The code of the service's error.
#[expect(clippy::needless_pass_by_value, reason = "so that `map_err` takes it by name")]
pub(crate) fn code<E: ProvideErrorMetadata>(error: SdkError<E>) -> String {
    error.code().unwrap_or("no code").to_owned()
}
