//! Delays, visibility, and what receipt handles are good for.

use std::time::Duration;

use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, QueueAttributeName};
use tokio::time::sleep;

use super::{Queue, bodies, handle, receive_count};
use crate::target::{sqs, unique};

#[tokio::test(start_paused = true)]
async fn sqs_a_delayed_message_comes_after_its_delay() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    let send = client.send_message().queue_url(&queue.url).message_body("late");
    send.delay_seconds(2).send().await.unwrap();
    queue.send("now").await;
    assert_eq!(bodies(&queue.receive().await), ["now"]);
    sleep(Duration::from_millis(2_300)).await;
    assert_eq!(bodies(&queue.receive().await), ["late"]);
}

#[tokio::test(start_paused = true)]
async fn sqs_the_delay_of_a_queue_holds_for_messages_without_their_own() {
    let client = sqs();
    let delay = [(QueueAttributeName::DelaySeconds, "2")];
    let queue = Queue::with(&client, &unique("delayed"), &delay).await;
    queue.send("late").await;
    let send = client.send_message().queue_url(&queue.url).message_body("now");
    send.delay_seconds(0).send().await.unwrap();
    assert_eq!(bodies(&queue.receive().await), ["now"]);
    sleep(Duration::from_millis(2_300)).await;
    assert_eq!(bodies(&queue.receive().await), ["late"]);
}

#[tokio::test(start_paused = true)]
async fn sqs_an_undeleted_message_comes_back_after_its_visibility() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    queue.send("a").await;
    let first = queue.receive_for(0, Some(2)).await.remove(0);
    assert_eq!(receive_count(&first), 1);
    assert!(queue.receive().await.is_empty(), "in flight");
    sleep(Duration::from_millis(2_300)).await;
    let second = queue.receive_one().await;
    assert_eq!(receive_count(&second), 2);
    assert_eq!(second.message_id, first.message_id);
    assert_ne!(second.receipt_handle, first.receipt_handle);
}

#[tokio::test(start_paused = true)]
async fn sqs_a_deleted_message_never_comes_back() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    queue.send("a").await;
    let message = queue.receive_for(0, Some(1)).await.remove(0);
    queue.delete(&message).await;
    queue.delete(&message).await;
    sleep(Duration::from_millis(1_300)).await;
    assert!(queue.receive().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn sqs_a_receive_with_no_visibility_leaves_the_message_visible() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    queue.send("a").await;
    for count in 1..=3 {
        let message = queue.receive_for(0, Some(0)).await.remove(0);
        assert_eq!(receive_count(&message), count);
    }
}

#[tokio::test(start_paused = true)]
async fn sqs_visibility_can_be_ended_and_extended() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    queue.send("a").await;
    let first = queue.receive_for(0, Some(2)).await.remove(0);
    queue.change_visibility(&first, 0).await.unwrap();
    let second = queue.receive_for(0, Some(2)).await.remove(0);
    queue.change_visibility(&second, 30).await.unwrap();
    sleep(Duration::from_millis(2_500)).await;
    assert!(queue.receive().await.is_empty(), "extended");
}

#[tokio::test(start_paused = true)]
async fn sqs_visibility_changes_in_a_batch_entry_by_entry() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    queue.send("a").await;
    let message = queue.receive_one().await;
    let entry = |id: &str, handle: &str| {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(id);
        entry.receipt_handle(handle).visibility_timeout(0).build().unwrap()
    };
    let change = client.change_message_visibility_batch().queue_url(&queue.url);
    let change = change.entries(entry("good", handle(&message))).entries(entry("bad", "nonsense"));
    let changed = change.send().await.unwrap();
    assert_eq!(changed.successful().len(), 1);
    assert_eq!(changed.failed().len(), 1);
    assert_eq!(changed.failed()[0].id(), "bad");
    assert_eq!(queue.receive().await.len(), 1);
}

/// AWS documents `MessageNotInflight` for this; what it answers in practice has varied, so any
/// refusal conforms.
#[tokio::test(start_paused = true)]
async fn sqs_visibility_cannot_be_changed_after_it_ended() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    queue.send("a").await;
    let message = queue.receive_for(0, Some(1)).await.remove(0);
    sleep(Duration::from_millis(1_300)).await;
    queue.change_visibility(&message, 30).await.unwrap_err();
    assert_eq!(queue.receive().await.len(), 1, "still visible");
}

#[tokio::test(start_paused = true)]
async fn sqs_visibility_cannot_be_changed_after_a_delete() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    queue.send("a").await;
    let message = queue.receive_one().await;
    queue.delete(&message).await;
    queue.change_visibility(&message, 30).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn sqs_a_delete_after_the_visibility_ended_still_works_on_a_standard_queue() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    queue.send("a").await;
    let message = queue.receive_for(0, Some(1)).await.remove(0);
    sleep(Duration::from_millis(1_300)).await;
    queue.delete(&message).await;
    assert!(queue.receive().await.is_empty());
}

/// "If you don't provide the most recent receipt handle, the request succeeds, but the message
/// might not be deleted": ours keeps it, the outcome a consumer must be ready for.
#[tokio::test(start_paused = true)]
async fn sqs_a_delete_with_a_superseded_handle_succeeds() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    queue.send("a").await;
    let first = queue.receive_for(0, Some(1)).await.remove(0);
    sleep(Duration::from_millis(1_300)).await;
    queue.receive_one().await;
    queue.delete(&first).await;
}
