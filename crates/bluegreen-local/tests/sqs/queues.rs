//! Creating, finding, describing, purging and deleting queues.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName, MessageSystemAttributeNameForSends,
    MessageSystemAttributeValue, QueueAttributeName,
};

use super::{Queue, code, system};
use crate::target::{sqs, unique};

#[tokio::test(start_paused = true)]
async fn sqs_a_queue_is_created_found_listed_and_described() {
    use QueueAttributeName::*;
    let client = sqs();
    let name = unique("described");
    let attributes = [(VisibilityTimeout, "7"), (MaximumMessageSize, "2048")];
    let queue = Queue::with(&client, &name, &attributes).await;

    let again = Queue::with(&client, &name, &attributes).await;
    assert_eq!(again.url, queue.url, "creating it again finds it");
    let found = client.get_queue_url().queue_name(&name).send().await.unwrap();
    assert_eq!(found.queue_url, Some(queue.url.clone()));
    let listed = client.list_queues().queue_name_prefix(&name).send().await.unwrap();
    assert_eq!(listed.queue_urls(), std::slice::from_ref(&queue.url));

    let all = client.get_queue_attributes().queue_url(&queue.url).attribute_names(All);
    let all = all.send().await.unwrap().attributes.unwrap();
    let expected = [
        (VisibilityTimeout, "7"),
        (MaximumMessageSize, "2048"),
        (DelaySeconds, "0"),
        (MessageRetentionPeriod, "345600"),
        (ReceiveMessageWaitTimeSeconds, "0"),
        (ApproximateNumberOfMessages, "0"),
    ];
    for (attribute, value) in expected {
        assert_eq!(all.get(&attribute).map(String::as_str), Some(value), "{attribute}");
    }
    assert!(all.get(&QueueArn).unwrap().ends_with(&format!(":{name}")));
    assert!(all.contains_key(&CreatedTimestamp) && all.contains_key(&LastModifiedTimestamp));
    let one = client.get_queue_attributes().queue_url(&queue.url).attribute_names(DelaySeconds);
    let one = one.send().await.unwrap().attributes.unwrap();
    assert_eq!(one, HashMap::from([(DelaySeconds, "0".to_owned())]));
}

#[tokio::test(start_paused = true)]
async fn sqs_attributes_can_be_set_within_their_ranges_only() {
    use QueueAttributeName::*;
    let client = sqs();
    let queue = Queue::standard(&client).await;
    let set = |name, value: &str| {
        client.set_queue_attributes().queue_url(&queue.url).attributes(name, value).send()
    };
    set(VisibilityTimeout, "11").await.unwrap();
    assert_eq!(queue.attribute(VisibilityTimeout).await, "11");
    assert_eq!(code(set(VisibilityTimeout, "43201").await.unwrap_err()), "InvalidAttributeValue");
    assert_eq!(code(set(DelaySeconds, "901").await.unwrap_err()), "InvalidAttributeValue");
    let unknown = QueueAttributeName::from("Color");
    assert_eq!(code(set(unknown, "blue").await.unwrap_err()), "InvalidAttributeName");
    assert_eq!(queue.attribute(VisibilityTimeout).await, "11");
}

#[tokio::test(start_paused = true)]
async fn sqs_a_namesake_with_other_attributes_is_refused() {
    let client = sqs();
    let name = unique("namesake");
    Queue::with(&client, &name, &[(QueueAttributeName::VisibilityTimeout, "7")]).await;
    let other = client.create_queue().queue_name(&name);
    let other = other.attributes(QueueAttributeName::VisibilityTimeout, "8").send().await;
    assert!(other.unwrap_err().into_service_error().is_queue_name_exists());
}

#[tokio::test(start_paused = true)]
async fn sqs_a_missing_queue_is_a_typed_error() {
    let client = sqs();
    let missing = unique("missing");
    let found = client.get_queue_url().queue_name(&missing).send().await;
    assert!(found.unwrap_err().into_service_error().is_queue_does_not_exist());
    let present = Queue::standard(&client).await;
    let (base, _) = present.url.rsplit_once('/').unwrap();
    let url = format!("{base}/{missing}");
    let send = client.send_message().queue_url(&url).message_body("a").send().await;
    assert!(send.unwrap_err().into_service_error().is_queue_does_not_exist());
    let receive = client.receive_message().queue_url(&url).send().await;
    assert!(receive.unwrap_err().into_service_error().is_queue_does_not_exist());
}

#[tokio::test(start_paused = true)]
async fn sqs_queue_names_are_held_to_their_form() {
    let client = sqs();
    for name in ["a b", "", &"a".repeat(81), "color!", "orders.fifo"] {
        let created = client.create_queue().queue_name(name).send().await;
        assert!(created.is_err(), "{name:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn sqs_a_deleted_queue_is_gone() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    queue.send("a").await;
    client.delete_queue().queue_url(&queue.url).send().await.unwrap();
    let receive = client.receive_message().queue_url(&queue.url).send().await;
    assert!(receive.unwrap_err().into_service_error().is_queue_does_not_exist());
}

#[tokio::test(start_paused = true)]
async fn sqs_a_purge_empties_the_queue() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    for body in ["a", "b", "c"] {
        queue.send(body).await;
    }
    client.purge_queue().queue_url(&queue.url).send().await.unwrap();
    // AWS takes up to a minute.
    for _ in 0..60 {
        if queue.counts().await == [0, 0, 0] {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(queue.receive().await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn sqs_a_second_purge_within_a_minute_is_refused() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    client.purge_queue().queue_url(&queue.url).send().await.unwrap();
    let second = client.purge_queue().queue_url(&queue.url).send().await;
    assert!(second.unwrap_err().into_service_error().is_purge_queue_in_progress());
}

#[tokio::test(start_paused = true)]
async fn sqs_counts_tell_visible_in_flight_and_delayed_apart() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    for body in ["a", "b", "c"] {
        queue.send(body).await;
    }
    let late = client.send_message().queue_url(&queue.url).message_body("late");
    late.delay_seconds(900).send().await.unwrap();
    let receive = client.receive_message().queue_url(&queue.url).max_number_of_messages(1);
    receive.send().await.unwrap();
    assert_eq!(queue.counts().await, [2, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn sqs_a_message_arrives_with_its_attributes_and_digests() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    let text = MessageAttributeValue::builder().data_type("String").string_value("blue");
    let number = MessageAttributeValue::builder().data_type("Number.int").string_value("2");
    let bytes = aws_sdk_sqs::primitives::Blob::new([0, 1, 2, 255]);
    let binary = MessageAttributeValue::builder().data_type("Binary").binary_value(bytes);
    let trace = MessageSystemAttributeValue::builder().data_type("String");
    let trace = trace.string_value("Root=1-5759e988-bd862e3fe1be46a994272793").build().unwrap();
    let sent = client
        .send_message()
        .queue_url(&queue.url)
        .message_body("hello")
        .message_attributes("color", text.build().unwrap())
        .message_attributes("version", number.build().unwrap())
        .message_attributes("bytes", binary.build().unwrap())
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.md5_of_message_body(), Some("5d41402abc4b2a76b9719d911017c592"));

    let received = queue.receive_one().await;
    assert_eq!(received.body(), Some("hello"));
    assert_eq!(received.message_id(), sent.message_id());
    assert_eq!(received.md5_of_body(), sent.md5_of_message_body());
    assert_eq!(received.md5_of_message_attributes(), sent.md5_of_message_attributes());
    assert!(received.md5_of_message_attributes().is_some());
    let attributes = received.message_attributes().unwrap();
    assert_eq!(attributes["color"].string_value(), Some("blue"));
    assert_eq!(attributes["version"].string_value(), Some("2"));
    assert_eq!(attributes["version"].data_type(), "Number.int");
    assert_eq!(attributes["bytes"].binary_value().unwrap().as_ref(), [0, 1, 2, 255]);
    use MessageSystemAttributeName::*;
    for name in [SenderId, SentTimestamp, ApproximateFirstReceiveTimestamp] {
        assert!(system(&received, name.clone()).is_some(), "{name}");
    }
    assert_eq!(system(&received, ApproximateReceiveCount), Some("1"));
    assert!(system(&received, AwsTraceHeader).unwrap().starts_with("Root="));
}

#[tokio::test(start_paused = true)]
async fn sqs_attributes_are_returned_only_when_asked_for() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    let value = || {
        let value = MessageAttributeValue::builder().data_type("String").string_value("1");
        value.build().unwrap()
    };
    let send = client.send_message().queue_url(&queue.url).message_body("a");
    let send =
        send.message_attributes("bg.color", value()).message_attributes("bg.version", value());
    send.message_attributes("other", value()).send().await.unwrap();
    let receive = |names: &'static [&'static str]| {
        let receive = client.receive_message().queue_url(&queue.url).visibility_timeout(0);
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        receive.set_message_attribute_names(Some(names)).send()
    };
    let cases: [(&[&str], &[&str]); 5] = [
        (&[], &[]),
        (&["other"], &["other"]),
        (&["bg.*"], &["bg.color", "bg.version"]),
        (&["All"], &["bg.color", "bg.version", "other"]),
        (&[".*"], &["bg.color", "bg.version", "other"]),
    ];
    for (asked, expected) in cases {
        let received = receive(asked).await.unwrap().messages.unwrap_or_default();
        assert_eq!(received.len(), 1);
        let found = received[0].message_attributes.clone().unwrap_or_default();
        let mut found: Vec<_> = found.into_keys().collect();
        found.sort();
        assert_eq!(found, expected, "{asked:?}");
        assert!(received[0].attributes.clone().unwrap_or_default().is_empty());
    }
}
