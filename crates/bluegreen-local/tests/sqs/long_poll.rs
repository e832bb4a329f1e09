//! Long polling.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Queue, bodies};
use crate::target::sqs;

#[tokio::test(start_paused = true)]
async fn sqs_an_empty_long_poll_waits_its_time() {
    let queue = Queue::standard(&sqs()).await;
    let started = Instant::now();
    assert!(queue.receive_for(2, None).await.is_empty());
    assert!(started.elapsed() >= Duration::from_millis(1_900), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn sqs_a_send_wakes_a_long_poll() {
    let queue = Queue::standard(&sqs()).await;
    let send = async {
        sleep(Duration::from_millis(500)).await;
        queue.send("a").await;
        Instant::now()
    };
    let receive = async {
        let received = queue.receive_for(20, None).await;
        assert_eq!(bodies(&received), ["a"]);
        Instant::now()
    };
    let (sent, received) = tokio::join!(send, receive);
    assert!(received - sent < Duration::from_secs(2), "{:?}", received - sent);
}

#[tokio::test(start_paused = true)]
async fn sqs_the_end_of_a_visibility_wakes_a_long_poll() {
    let queue = Queue::standard(&sqs()).await;
    queue.send("a").await;
    queue.receive_for(0, Some(1)).await;
    let started = Instant::now();
    assert_eq!(bodies(&queue.receive_for(20, None).await), ["a"]);
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(700) && waited < Duration::from_secs(4), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn sqs_the_end_of_a_delay_wakes_a_long_poll() {
    let queue = Queue::standard(&sqs()).await;
    let send = queue.client.send_message().queue_url(&queue.url).message_body("a");
    send.delay_seconds(1).send().await.unwrap();
    let started = Instant::now();
    assert_eq!(bodies(&queue.receive_for(20, None).await), ["a"]);
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(700) && waited < Duration::from_secs(4), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn sqs_eight_consumers_receive_four_hundred_messages_once_each() {
    let client = sqs();
    let queue = std::sync::Arc::new(Queue::standard(&client).await);
    let consumers: Vec<_> = (0..8)
        .map(|_| {
            let queue = std::sync::Arc::clone(&queue);
            tokio::spawn(async move {
                let mut seen = Vec::new();
                loop {
                    let messages = queue.receive_for(3, Some(600)).await;
                    if messages.is_empty() {
                        return seen;
                    }
                    for message in messages {
                        queue.delete(&message).await;
                        seen.push(message.body.unwrap());
                    }
                }
            })
        })
        .collect();
    for n in 0..400 {
        queue.send(&n.to_string()).await;
    }
    let mut seen = Vec::new();
    for consumer in consumers {
        seen.extend(consumer.await.unwrap());
    }
    seen.sort_by_key(|body| body.parse::<u32>().unwrap());
    let expected: Vec<_> = (0..400).map(|n| n.to_string()).collect();
    assert_eq!(seen, expected);
    assert_eq!(queue.counts().await, [0, 0, 0]);
}
