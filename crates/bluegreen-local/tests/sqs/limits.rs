//! What AWS refuses.

use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, MessageAttributeValue, QueueAttributeName,
    SendMessageBatchRequestEntry,
};

use super::{Queue, bodies, code, handle};
use crate::target::{sqs, unique};

fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
}

async fn send_batch(
    queue: &Queue,
    entries: Vec<SendMessageBatchRequestEntry>,
) -> Result<(usize, Vec<String>), String> {
    let batch = queue.client.send_message_batch().queue_url(&queue.url);
    let sent = batch.set_entries(Some(entries)).send().await.map_err(code)?;
    let failed = sent.failed().iter().map(|failed| failed.id().to_owned()).collect();
    Ok((sent.successful().len(), failed))
}

#[tokio::test(start_paused = true)]
async fn sqs_a_batch_has_one_to_ten_distinct_entries() {
    let queue = Queue::standard(&sqs()).await;
    let prefixed = |code: &str| Err(format!("AWS.SimpleQueueService.{code}"));
    let ten = (0..10).map(|n| entry(&format!("n-{n}"), "a")).collect();
    assert_eq!(send_batch(&queue, ten).await, Ok((10, vec![])));
    let eleven = (0..11).map(|n| entry(&n.to_string(), "a")).collect();
    assert_eq!(send_batch(&queue, eleven).await, prefixed("TooManyEntriesInBatchRequest"));
    assert_eq!(send_batch(&queue, vec![]).await, prefixed("EmptyBatchRequest"));
    let twice = vec![entry("1", "a"), entry("1", "b")];
    assert_eq!(send_batch(&queue, twice).await, prefixed("BatchEntryIdsNotDistinct"));
    for id in ["a b", "a.b", &"a".repeat(81)] {
        let sent = send_batch(&queue, vec![entry(id, "a")]).await;
        assert_eq!(sent, prefixed("InvalidBatchEntryId"), "{id:?}");
    }
    assert_eq!(queue.counts().await, [10, 0, 0], "a refused batch sends nothing");
}

#[tokio::test(start_paused = true)]
async fn sqs_a_batch_as_a_whole_ends_at_one_mebibyte() {
    let large = [(QueueAttributeName::MaximumMessageSize, "1048576")];
    let queue = Queue::with(&sqs(), &unique("large"), &large).await;
    let half = "a".repeat(524_288);
    let fits = vec![entry("1", &half), entry("2", &half)];
    assert_eq!(send_batch(&queue, fits).await, Ok((2, vec![])));
    let exceeds = vec![entry("1", &half), entry("2", &half), entry("3", "a")];
    let expected = Err("AWS.SimpleQueueService.BatchRequestTooLong".to_owned());
    assert_eq!(send_batch(&queue, exceeds).await, expected);
}

#[tokio::test(start_paused = true)]
async fn sqs_a_bad_entry_fails_alone() {
    let queue = Queue::standard(&sqs()).await;
    let entries = vec![entry("good", "a"), entry("bad", "\u{1}"), entry("fine", "b")];
    assert_eq!(send_batch(&queue, entries).await, Ok((2, vec!["bad".to_owned()])));
    assert_eq!(bodies(&queue.receive_for(1, None).await).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn sqs_a_bad_handle_in_a_batch_fails_alone() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    queue.send("a").await;
    let message = queue.receive_one().await;
    let entry = |id: &str, handle: &str| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle);
        entry.build().unwrap()
    };
    let delete = client.delete_message_batch().queue_url(&queue.url);
    let delete = delete.entries(entry("good", handle(&message))).entries(entry("bad", "nonsense"));
    let deleted = delete.send().await.unwrap();
    assert_eq!(deleted.successful().len(), 1);
    assert_eq!(deleted.failed().len(), 1);
    assert_eq!(deleted.failed()[0].id(), "bad");
    assert_eq!(deleted.failed()[0].code(), "ReceiptHandleIsInvalid");
    assert!(deleted.failed()[0].sender_fault());
    assert_eq!(queue.counts().await, [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn sqs_a_message_ends_at_the_size_of_its_queue() {
    let client = sqs();
    let size = [(QueueAttributeName::MaximumMessageSize, "1024")];
    let queue = Queue::with(&client, &unique("small"), &size).await;
    let send =
        |bytes: usize| client.send_message().queue_url(&queue.url).message_body("a".repeat(bytes));
    send(1_024).send().await.unwrap();
    assert_eq!(code(send(1_025).send().await.unwrap_err()), "InvalidParameterValue");
    let value = MessageAttributeValue::builder().data_type("String").string_value("12345");
    let value = value.build().unwrap();
    // Name, type and value count: 4 + 6 + 5.
    send(1_009).message_attributes("name", value.clone()).send().await.unwrap();
    let refused = send(1_010).message_attributes("name", value).send().await;
    assert_eq!(code(refused.unwrap_err()), "InvalidParameterValue");
}

#[tokio::test(start_paused = true)]
async fn sqs_a_message_can_have_one_mebibyte_and_no_more() {
    let client = sqs();
    let large = [(QueueAttributeName::MaximumMessageSize, "1048576")];
    let queue = Queue::with(&client, &unique("large"), &large).await;
    let send = |bytes: usize| {
        client.send_message().queue_url(&queue.url).message_body("a".repeat(bytes)).send()
    };
    send(1_048_576).await.unwrap();
    assert!(send(1_048_577).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn sqs_characters_that_xml_lacks_are_refused() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    let send = |body: &str| client.send_message().queue_url(&queue.url).message_body(body).send();
    send("tab\t line\n 日本 🦀").await.unwrap();
    for body in ["\u{0}", "a\u{b}b", "\u{FFFF}"] {
        let error = send(body).await.unwrap_err().into_service_error();
        assert!(error.is_invalid_message_contents(), "{body:?}: {error:?}");
    }
    assert!(send("").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn sqs_a_message_has_ten_attributes_at_most() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    let send = |attributes: usize| {
        (0..attributes).fold(
            client.send_message().queue_url(&queue.url).message_body("a"),
            |send, n| {
                let value = MessageAttributeValue::builder().data_type("String").string_value("1");
                send.message_attributes(format!("a{n}"), value.build().unwrap())
            },
        )
    };
    send(10).send().await.unwrap();
    assert_eq!(code(send(11).send().await.unwrap_err()), "InvalidParameterValue");
}

#[tokio::test(start_paused = true)]
async fn sqs_parameters_are_held_to_their_ranges() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    let receive = || client.receive_message().queue_url(&queue.url);
    let refused = [
        receive().max_number_of_messages(11),
        receive().max_number_of_messages(0),
        receive().wait_time_seconds(21),
        receive().wait_time_seconds(-1),
        receive().visibility_timeout(43_201),
    ];
    for receive in refused {
        let text = format!("{receive:?}");
        assert_eq!(code(receive.send().await.unwrap_err()), "InvalidParameterValue", "{text}");
    }
    for delay in [901, -1] {
        let send = client.send_message().queue_url(&queue.url).message_body("a");
        let error = send.delay_seconds(delay).send().await.unwrap_err();
        assert_eq!(code(error), "InvalidParameterValue", "{delay}");
    }
}

#[tokio::test(start_paused = true)]
async fn sqs_an_attribute_that_no_message_has_cannot_be_asked_for() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    queue.send("a").await;
    let receive = |name: &str| {
        let receive = client.receive_message().queue_url(&queue.url);
        receive.message_system_attribute_names(name.into()).send()
    };
    assert_eq!(code(receive("Color").await.unwrap_err()), "InvalidAttributeName");
    assert_eq!(receive("ApproximateReceiveCount").await.unwrap().messages().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn sqs_a_nonsense_handle_is_a_typed_error() {
    let client = sqs();
    let queue = Queue::standard(&client).await;
    let delete = client.delete_message().queue_url(&queue.url).receipt_handle("nonsense");
    let error = delete.send().await.unwrap_err().into_service_error();
    assert!(error.is_receipt_handle_is_invalid(), "{error:?}");
    let change = client.change_message_visibility().queue_url(&queue.url);
    let change = change.receipt_handle("nonsense").visibility_timeout(1).send().await;
    let error = change.unwrap_err().into_service_error();
    assert!(error.is_receipt_handle_is_invalid(), "{error:?}");
}
