//! Dead-letter queues.

use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName};

use super::{Queue, bodies, system};
use crate::target::{sqs, unique};

fn policy(arn: &str, max_receives: u32) -> String {
    format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"{max_receives}"}}"#)
}

#[tokio::test(start_paused = true)]
async fn sqs_a_message_received_too_often_dies() {
    let client = sqs();
    let dead = Queue::standard(&client).await;
    let arn = dead.attribute(QueueAttributeName::QueueArn).await;
    let redrive = policy(&arn, 2);
    let attributes = [(QueueAttributeName::RedrivePolicy, redrive.as_str())];
    let queue = Queue::with(&client, &unique("source"), &attributes).await;
    let color = MessageAttributeValue::builder().data_type("String").string_value("blue");
    let send = client.send_message().queue_url(&queue.url).message_body("poison");
    let sent = send.message_attributes("color", color.build().unwrap()).send().await.unwrap();
    for _ in 0..2 {
        assert_eq!(bodies(&queue.receive_for(0, Some(0)).await), ["poison"]);
    }
    assert!(queue.receive_for(0, Some(0)).await.is_empty());
    let message = dead.receive_for(2, None).await.remove(0);
    assert_eq!(message.body(), Some("poison"));
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(message.message_attributes().unwrap()["color"].string_value(), Some("blue"));
}

#[tokio::test(start_paused = true)]
async fn sqs_a_dead_message_names_the_queue_it_died_on() {
    let client = sqs();
    let dead = Queue::standard(&client).await;
    let redrive = policy(&dead.attribute(QueueAttributeName::QueueArn).await, 1);
    let attributes = [(QueueAttributeName::RedrivePolicy, redrive.as_str())];
    let queue = Queue::with(&client, &unique("source"), &attributes).await;
    queue.send("poison").await;
    queue.receive_for(0, Some(0)).await;
    assert!(queue.receive().await.is_empty());
    let message = dead.receive_for(2, None).await.remove(0);
    let source = queue.attribute(QueueAttributeName::QueueArn).await;
    let named = system(&message, MessageSystemAttributeName::DeadLetterQueueSourceArn);
    assert_eq!(named, Some(source.as_str()));
}

#[tokio::test(start_paused = true)]
async fn sqs_a_redrive_policy_names_a_queue_that_exists() {
    let client = sqs();
    let missing = "arn:aws:sqs:us-east-1:000000000000:no-such-queue";
    let create = client.create_queue().queue_name(unique("source"));
    let create = create.attributes(QueueAttributeName::RedrivePolicy, policy(missing, 2));
    assert!(create.send().await.is_err());
}
