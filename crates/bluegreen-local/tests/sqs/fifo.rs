//! FIFO queues.

use std::time::Duration;

use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use tokio::time::sleep;

use super::{Queue, bodies, code, system};
use crate::target::sqs;

#[tokio::test(start_paused = true)]
async fn sqs_fifo_keeps_the_order_of_a_group() {
    let queue = Queue::fifo(&sqs(), &[]).await;
    for n in 0..5 {
        queue.send_to_group("g", &n.to_string()).await;
    }
    let messages = queue.receive().await;
    assert_eq!(bodies(&messages), ["0", "1", "2", "3", "4"]);
    let numbers: Vec<_> = messages
        .iter()
        .map(|message| system(message, MessageSystemAttributeName::SequenceNumber).unwrap())
        .collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    let group = system(&messages[0], MessageSystemAttributeName::MessageGroupId);
    assert_eq!(group, Some("g"));
    let id = system(&messages[0], MessageSystemAttributeName::MessageDeduplicationId);
    assert_eq!(id, Some("0"));
}

#[tokio::test(start_paused = true)]
async fn sqs_fifo_locks_a_group_while_a_message_of_it_is_in_flight() {
    let client = sqs();
    let queue = Queue::fifo(&client, &[]).await;
    queue.send_to_group("a", "a1").await;
    queue.send_to_group("a", "a2").await;
    queue.send_to_group("b", "b1").await;
    let one = client.receive_message().queue_url(&queue.url).max_number_of_messages(1);
    let first = one.send().await.unwrap().messages.unwrap().remove(0);
    assert_eq!(first.body(), Some("a1"));
    assert_eq!(bodies(&queue.receive().await), ["b1"]);
    queue.delete(&first).await;
    assert_eq!(bodies(&queue.receive().await), ["a2"]);
}

#[tokio::test(start_paused = true)]
async fn sqs_fifo_gives_a_message_back_at_its_old_place() {
    let queue = Queue::fifo(&sqs(), &[]).await;
    for body in ["1", "2"] {
        queue.send_to_group("g", body).await;
    }
    assert_eq!(bodies(&queue.receive_for(0, Some(1)).await), ["1", "2"]);
    queue.send_to_group("g", "3").await;
    sleep(Duration::from_millis(1_300)).await;
    assert_eq!(bodies(&queue.receive_for(2, None).await), ["1", "2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn sqs_fifo_takes_a_deduplication_id_once_even_after_a_delete() {
    let client = sqs();
    let queue = Queue::fifo(&client, &[]).await;
    let first = queue.send_to_group("g", "a").await;
    let again = queue.send_to_group("g", "a").await;
    assert_eq!(again, first);
    let message = queue.receive_one().await;
    queue.delete(&message).await;
    assert_eq!(queue.send_to_group("g", "a").await, first);
    assert!(queue.receive().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn sqs_fifo_can_deduplicate_by_content() {
    let client = sqs();
    let by_content = [(QueueAttributeName::ContentBasedDeduplication, "true")];
    let queue = Queue::fifo(&client, &by_content).await;
    for body in ["a", "a", "b"] {
        let send = client.send_message().queue_url(&queue.url).message_body(body);
        send.message_group_id("g").send().await.unwrap();
    }
    assert_eq!(bodies(&queue.receive().await), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn sqs_fifo_asks_for_group_and_deduplication_id() {
    let client = sqs();
    let queue = Queue::fifo(&client, &[]).await;
    let send = || client.send_message().queue_url(&queue.url).message_body("a");
    let without_group = send().message_deduplication_id("1").send().await.unwrap_err();
    assert_eq!(code(without_group), "MissingParameter");
    let without_id = send().message_group_id("g").send().await.unwrap_err();
    assert_eq!(code(without_id), "InvalidParameterValue");
}

#[tokio::test(start_paused = true)]
async fn sqs_fifo_refuses_a_delay_of_one_message() {
    let client = sqs();
    let queue = Queue::fifo(&client, &[]).await;
    let send = client.send_message().queue_url(&queue.url).message_body("a");
    let send = send.message_group_id("g").message_deduplication_id("1").delay_seconds(5);
    assert_eq!(code(send.send().await.unwrap_err()), "InvalidParameterValue");
}

#[tokio::test(start_paused = true)]
async fn sqs_fifo_refuses_an_expired_handle() {
    let client = sqs();
    let queue = Queue::fifo(&client, &[]).await;
    queue.send_to_group("g", "a").await;
    let message = queue.receive_for(0, Some(1)).await.remove(0);
    sleep(Duration::from_millis(1_300)).await;
    let delete = client.delete_message().queue_url(&queue.url);
    let delete = delete.receipt_handle(super::handle(&message)).send().await;
    assert!(delete.is_err());
    assert_eq!(bodies(&queue.receive().await), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn sqs_a_group_on_a_standard_queue_is_a_tenant_and_locks_nothing() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    for body in ["a", "b"] {
        let send = client.send_message().queue_url(&queue.url).message_body(body);
        send.message_group_id("tenant").send().await.unwrap();
        let message = queue.receive_one().await;
        let group = system(&message, MessageSystemAttributeName::MessageGroupId);
        assert_eq!(group, Some("tenant"));
    }
}
