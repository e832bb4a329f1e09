//! What only our stand-in can show: long times, its switches, and futures dropped at any point.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use bluegreen_local::Service;
use bluegreen_local::sqs::Event;
use tokio::time::{Instant, sleep, timeout};

use super::{Queue, bodies, code, system};
use crate::target::{unique, world};

#[tokio::test(start_paused = true)]
async fn a_name_is_taken_for_a_minute_after_its_queue_was_deleted() {
    let client = world().sqs();
    let name = unique("again");
    let queue = Queue::with(&client, &name, &[]).await;
    client.delete_queue().queue_url(&queue.url).send().await.unwrap();
    let create = || client.create_queue().queue_name(&name).send();
    let error = create().await.unwrap_err().into_service_error();
    assert!(error.is_queue_deleted_recently(), "{error:?}");
    sleep(Duration::from_secs(61)).await;
    create().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_purge_is_allowed_again_after_a_minute() {
    let client = world().sqs();
    let queue = Queue::standard(&client).await;
    client.purge_queue().queue_url(&queue.url).send().await.unwrap();
    sleep(Duration::from_secs(61)).await;
    client.purge_queue().queue_url(&queue.url).send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_deduplication_id_is_forgotten_after_five_minutes() {
    let queue = Queue::fifo(&world().sqs(), &[]).await;
    let first = queue.send_to_group("g", "a").await;
    sleep(Duration::from_secs(299)).await;
    assert_eq!(queue.send_to_group("g", "a").await, first);
    sleep(Duration::from_secs(2)).await;
    assert_ne!(queue.send_to_group("g", "a").await, first, "the window counts from the first send");
}

#[tokio::test(start_paused = true)]
async fn a_queue_can_deduplicate_within_each_group() {
    let by_group = [(QueueAttributeName::DeduplicationScope, "messageGroup")];
    let queue = Queue::fifo(&world().sqs(), &by_group).await;
    let first = queue.send_to_group("g", "a").await;
    assert_ne!(queue.send_to_group("h", "a").await, first);
    assert_eq!(queue.send_to_group("g", "a").await, first);
}

#[tokio::test(start_paused = true)]
async fn a_message_stays_in_flight_for_twelve_hours_at_most() {
    let queue = Queue::standard(&world().sqs()).await;
    queue.send("a").await;
    let message = queue.receive_one().await;
    queue.change_visibility(&message, 43_200).await.unwrap();
    sleep(Duration::from_secs(3_600)).await;
    let refused = queue.change_visibility(&message, 43_200).await;
    assert_eq!(refused, Err("InvalidParameterValue".to_owned()));
    queue.change_visibility(&message, 39_600).await.unwrap();
    sleep(Duration::from_secs(39_601)).await;
    assert_eq!(bodies(&queue.receive().await), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_goes_when_its_retention_is_over() {
    let client = world().sqs();
    let minute = [(QueueAttributeName::MessageRetentionPeriod, "60")];
    let queue = Queue::with(&client, &unique("short"), &minute).await;
    queue.send("a").await;
    sleep(Duration::from_secs(59)).await;
    assert_eq!(queue.counts().await, [1, 0, 0]);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(queue.counts().await, [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_delete_with_a_superseded_handle_keeps_the_message() {
    let queue = Queue::standard(&world().sqs()).await;
    queue.send("a").await;
    let first = queue.receive_for(0, Some(1)).await.remove(0);
    sleep(Duration::from_secs(1)).await;
    let second = queue.receive_one().await;
    queue.delete(&first).await;
    assert_eq!(queue.counts().await, [0, 1, 0]);
    let refused = queue.change_visibility(&first, 5).await;
    assert_eq!(refused, Err("InvalidParameterValue".to_owned()));
    queue.delete(&second).await;
    assert_eq!(queue.counts().await, [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_change_after_the_visibility_ended_says_not_in_flight() {
    let queue = Queue::standard(&world().sqs()).await;
    queue.send("a").await;
    let message = queue.receive_for(0, Some(1)).await.remove(0);
    sleep(Duration::from_secs(1)).await;
    let refused = queue.change_visibility(&message, 5).await;
    assert_eq!(refused, Err("AWS.SimpleQueueService.MessageNotInflight".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_handle_of_another_queue_is_refused() {
    let client = world().sqs();
    let (one, other) = (Queue::standard(&client).await, Queue::standard(&client).await);
    one.send("a").await;
    other.send("b").await;
    let message = one.receive_one().await;
    let delete = client.delete_message().queue_url(&other.url);
    let delete = delete.receipt_handle(super::handle(&message)).send().await;
    assert_eq!(code(delete.unwrap_err()), "ReceiptHandleIsInvalid");
    assert_eq!(other.counts().await, [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn counts_lag_when_asked_to() {
    let world = world();
    let queue = Queue::standard(&world.sqs()).await;
    queue.send("a").await;
    world.sqs_service().stale_counts(Duration::from_secs(60));
    queue.send("b").await;
    sleep(Duration::from_secs(59)).await;
    assert_eq!(queue.counts().await, [1, 0, 0], "as of a minute ago");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(queue.counts().await, [2, 0, 0]);
    queue.receive_for(0, Some(10)).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(queue.counts().await, [2, 0, 0], "visible again at that moment");
    queue.receive().await;
    world.sqs_service().stale_counts(Duration::ZERO);
    assert_eq!(queue.counts().await, [0, 2, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_receive_loses_nothing() {
    let queue = Arc::new(Queue::standard(&world().sqs()).await);
    for round in 0..50u64 {
        let waiting = timeout(Duration::from_millis(round % 7), queue.receive_for(20, None));
        let (received, _) = tokio::join!(waiting, async {
            sleep(Duration::from_millis(3)).await;
            queue.send("a").await;
        });
        let mut count = received.map_or(0, |messages| messages.len());
        count += queue.receive().await.len();
        assert_eq!(count, 1, "round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_waiter_passes_its_word_on() {
    let queue = Arc::new(Queue::standard(&world().sqs()).await);
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move { queue.receive_for(20, None).await.len() })
        })
        .collect();
    sleep(Duration::from_millis(1)).await;
    queue.send("a").await;
    // Before any of them has run, the first is gone.
    waiters[0].abort();
    let started = Instant::now();
    let mut received = 0;
    for waiter in waiters {
        received += waiter.await.unwrap_or(0);
    }
    let rest = queue.receive().await.len();
    assert_eq!(received + rest, 1);
    assert!(started.elapsed() <= Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_nearer_visibility_wakes_those_who_wait_for_a_later_one() {
    let queue = Arc::new(Queue::standard(&world().sqs()).await);
    queue.send("a").await;
    let message = queue.receive_for(0, Some(15)).await.remove(0);
    let started = Instant::now();
    let waiting = {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move { queue.receive_for(20, None).await })
    };
    sleep(Duration::from_secs(1)).await;
    queue.change_visibility(&message, 2).await.unwrap();
    assert_eq!(bodies(&waiting.await.unwrap()), ["a"]);
    assert_eq!(started.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_on_a_deleted_queue_ends_at_once() {
    let client = world().sqs();
    let queue = Queue::standard(&client).await;
    let started = Instant::now();
    let receive = client.receive_message().queue_url(&queue.url).wait_time_seconds(20).send();
    let delete = async {
        sleep(Duration::from_secs(1)).await;
        client.delete_queue().queue_url(&queue.url).send().await.unwrap();
    };
    let (received, ()) = tokio::join!(receive, delete);
    assert!(received.unwrap_err().into_service_error().is_queue_does_not_exist());
    assert_eq!(started.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_costs_one_call() {
    let world = world();
    let queue = Queue::standard(&world.sqs()).await;
    assert!(queue.receive_for(20, None).await.is_empty());
    assert_eq!(world.calls(Service::Sqs, "ReceiveMessage"), 1);
}

#[tokio::test(start_paused = true)]
async fn timestamps_follow_the_clock_of_the_world() {
    let world = world();
    let queue = Queue::standard(&world.sqs()).await;
    sleep(Duration::from_secs(100)).await;
    queue.send("a").await;
    sleep(Duration::from_secs(5)).await;
    let message = queue.receive_one().await;
    use MessageSystemAttributeName::{ApproximateFirstReceiveTimestamp, SentTimestamp};
    assert_eq!(system(&message, SentTimestamp), Some("1790000100000"));
    assert_eq!(system(&message, ApproximateFirstReceiveTimestamp), Some("1790000105000"));
}

#[tokio::test(start_paused = true)]
async fn the_sender_is_the_access_key() {
    let world = world();
    let queue = Queue::standard(&world.sqs_as("green")).await;
    queue.send("a").await;
    let message = queue.receive_one().await;
    assert_eq!(system(&message, MessageSystemAttributeName::SenderId), Some("green"));
}

#[tokio::test(start_paused = true)]
async fn the_journal_tells_how_each_receive_of_a_message_ended() {
    let world = world();
    let name = unique("told");
    let queue = Queue::with(&world.sqs_as("blue"), &name, &[]).await;
    let before = queue.send("before").await;
    let message = queue.receive_one().await;
    queue.delete(&message).await;
    world.sqs_service().keep_journal(&name);
    let id = queue.send("a").await;
    let message = queue.receive_one().await;
    queue.change_visibility(&message, 40).await.unwrap();
    sleep(Duration::from_secs(41)).await;
    let late = message;
    let message = queue.receive_one().await;
    queue.delete(&late).await;
    queue.change_visibility(&message, 0).await.unwrap();
    let message = queue.receive_one().await;
    queue.delete(&message).await;

    let received = || Event::Received { by: "blue".to_owned() };
    let expected = [
        (1, received()),
        (1, Event::Hidden(Duration::from_secs(40))),
        (1, Event::Expired),
        (2, received()),
        (1, Event::DeletedTooLate),
        (2, Event::Released),
        (3, received()),
        (3, Event::Deleted),
    ];
    let told = world.sqs_service().journal(&name);
    assert!(told.iter().all(|happening| happening.message_id == id && id != before));
    let told = told.into_iter().map(|happening| (happening.receive, happening.event));
    assert_eq!(told.collect::<Vec<_>>(), expected);
}
