//! A producer whose messages share calls.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::Stop;
use bluegreen_local::{Calls, Fault, Rule, Service};
use bluegreen_queue::{
    Courier, CourierReport, Envelope, Producer, ProducerConfig, Queues, SendError, TraceContext,
};
use futures_util::future::join_all;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::partly_failing::{Failing, PartlyFailing, client};
use crate::shop::{Blue, Order, Shop, following, seconds, text};

const SOON: Duration = Duration::from_secs(5);

fn an(order: impl Into<String>) -> Order {
    Order { order: order.into() }
}

fn batching(shop: &Shop, queues: Queues, config: ProducerConfig) -> (Producer, Courier) {
    let config = config.with_clock(shop.world.clock()).with_seed(3);
    Producer::batching(shop.world.sqs_as("blue"), queues, following(None), Blue, config).unwrap()
}

type Driver = JoinHandle<Result<CourierReport, Infallible>>;

fn run(courier: Courier) -> (bluegreen_core::Stopper, Driver) {
    let (stopper, stop) = Stop::new();
    (stopper, tokio::spawn(courier.run(stop)))
}

async fn bodies(shop: &Shop, url: &str) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let some = shop.look(url).await;
        if some.is_empty() {
            return found;
        }
        for message in some {
            let envelope: Envelope = message.body().unwrap().parse().unwrap();
            found.push(envelope.read::<Order>().unwrap().order);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn messages_share_calls_by_ten_and_wait_no_longer_than_the_linger() {
    let shop = Shop::open().await;
    let (producer, courier) = batching(&shop, shop.separate(), ProducerConfig::default());
    let (stopper, driver) = run(courier);
    let orders: Vec<_> = (0..100).map(|n| an(n.to_string())).collect();
    let sent = join_all(orders.iter().map(|order| producer.send(order, "k"))).await;
    assert!(sent.iter().all(Result::is_ok));
    assert_eq!(shop.calls(Blue, ""), 10);
    let begun = tokio::time::Instant::now();
    let last = producer.send(&an("last"), "k").await.unwrap();
    assert_eq!((begun.elapsed(), last.color), (Duration::from_millis(5), Some(Blue)));
    stopper.stop(SOON);
    let report = driver.await.unwrap().unwrap();
    assert_eq!((report.calls, report.sent, report.failed), (11, 101, 0));
    assert_eq!(bodies(&shop, &shop.urls.blue).await.len(), 101);
    assert!(matches!(producer.send(&an("late"), "k").await, Err(SendError::Stopped)));
}

#[tokio::test(start_paused = true)]
async fn a_call_never_exceeds_a_mebibyte() {
    let shop = Shop::open().await;
    let sqs = shop.world.sqs_as("observer");
    let set = sqs.set_queue_attributes().queue_url(&shop.urls.blue);
    let set = set.attributes(aws_sdk_sqs::types::QueueAttributeName::MaximumMessageSize, "1048576");
    set.send().await.unwrap();
    let (producer, courier) = batching(&shop, shop.separate(), ProducerConfig::default());
    let (_stopper, _driver) = run(courier);
    let large = an("x".repeat(400_000));
    let sent = join_all((0..5).map(|_| producer.send(&large, "k"))).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!(shop.calls(Blue, "SendMessageBatch"), 3);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_refused_is_tried_again_alone_or_told_to_its_sender() {
    for (fault, code, comes) in
        [(false, "InternalError", true), (true, "InvalidMessageContents", false)]
    {
        let shop = Shop::open().await;
        let failing = Failing {
            operation: "SendMessageBatch",
            place: 2,
            times: 2,
            error: json!({ "SenderFault": fault, "Code": code }),
            refused: Arc::default(),
        };
        let client = client(PartlyFailing { world: shop.world.clone(), failing });
        let config = ProducerConfig::default().with_seed(3);
        let (producer, courier) =
            Producer::batching(client, shop.separate(), following(None), Blue, config).unwrap();
        let (stopper, driver) = run(courier);
        let orders: Vec<_> = (0..5).map(|n| an(n.to_string())).collect();
        let sent = join_all(orders.iter().map(|order| producer.send(order, "k"))).await;
        let failed: Vec<_> = (0..5).filter(|n| sent[*n].is_err()).collect();
        assert_eq!(failed, if comes { vec![] } else { vec![2] });
        stopper.stop(SOON);
        let report = driver.await.unwrap().unwrap();
        assert_eq!(report.retried, u64::from(comes));
        assert_eq!(bodies(&shop, &shop.urls.blue).await.len(), if comes { 5 } else { 4 });
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_fifo_queue_a_refused_message_is_not_overtaken_by_its_group() {
    let shop = Shop::with(".fifo").await;
    let failing = Failing {
        operation: "SendMessageBatch",
        place: 0,
        times: 3,
        error: json!({ "SenderFault": false, "Code": "InternalError" }),
        refused: Arc::default(),
    };
    let client = client(PartlyFailing { world: shop.world.clone(), failing });
    let config = ProducerConfig::default().with_seed(3);
    let (producer, courier) =
        Producer::batching(client, shop.shared(), following(None), Blue, config).unwrap();
    let (_stopper, _driver) = run(courier);
    let keyed = ["a", "b", "c"].into_iter().flat_map(|key| (0..6).map(move |n| (key, n)));
    let orders: Vec<_> = keyed.map(|(key, n)| (key, an(format!("{key}{n}")))).collect();
    let sent = join_all(orders.iter().map(|(key, order)| producer.send(order, key))).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    let mut found = Vec::new();
    while found.len() < 18 {
        // A group is locked while one of its messages is in hand.
        for message in shop.look(&shop.urls.blue).await {
            let envelope: Envelope = message.body().unwrap().parse().unwrap();
            found.push(envelope.read::<Order>().unwrap().order);
            let sqs = shop.world.sqs_as("observer");
            let delete = sqs.delete_message().queue_url(&shop.urls.blue);
            delete.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
        }
    }
    for key in ["a", "b", "c"] {
        let group: Vec<_> = found.iter().filter(|order| order.starts_with(key)).collect();
        assert!(group.is_sorted(), "{group:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_posted_before_a_stop_is_sent_and_everybody_is_told() {
    let shop = Shop::open().await;
    let config = ProducerConfig::default().with_linger(Duration::from_secs(1));
    let (producer, courier) = batching(&shop, shop.separate(), config.clone());
    let (stopper, driver) = run(courier);
    let waiting = tokio::spawn({
        let producer = producer.clone();
        async move { producer.send(&an("a"), "k").await }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    stopper.stop(SOON);
    let begun = tokio::time::Instant::now();
    assert_eq!(driver.await.unwrap().unwrap().sent, 1);
    assert!(begun.elapsed() < Duration::from_secs(1), "no longer than needed");
    assert!(waiting.await.unwrap().is_ok());

    // A courier that SQS keeps waiting, one that is dropped, and one that never ran.
    let sends = Calls::to(Service::Sqs).operation("SendMessageBatch");
    let _hang = shop.world.faults().inject(Rule::new(sends, Fault::Hang));
    for end in ["deadline", "drop", "never"] {
        let (producer, courier) = batching(&shop, shop.separate(), config.clone());
        let waiting = tokio::spawn(async move { producer.send(&an("b"), "k").await });
        match end {
            "deadline" => {
                let (stopper, driver) = run(courier);
                seconds(2).await;
                stopper.stop(Duration::from_secs(1));
                let report = driver.await.unwrap().unwrap();
                assert_eq!((report.sent, report.failed), (0, 1), "its call is under way");
            }
            "drop" => {
                let (_stopper, driver) = run(courier);
                seconds(2).await;
                driver.abort();
            }
            _ => {
                let error = waiting.await.unwrap().unwrap_err();
                assert!(error.is_retryable(), "{error}");
                continue;
            }
        }
        let error = waiting.await.unwrap().unwrap_err();
        assert!(matches!(error, SendError::Stopped), "{end}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_a_stop_without_any_time_whatever_was_posted_is_told_and_counted() {
    let shop = Shop::open().await;
    let (producer, courier) = batching(&shop, shop.separate(), ProducerConfig::default());
    let (stopper, stop) = Stop::new();
    let orders: Vec<_> = (0..30).map(|n| an(n.to_string())).collect();
    let sends = join_all(orders.iter().map(|order| producer.send(order, "k")));
    let (sent, report) = tokio::join!(sends, async {
        stopper.stop(Duration::ZERO);
        courier.run(stop).await.unwrap()
    });
    assert!(sent.iter().all(|sent| matches!(sent, Err(SendError::Stopped))), "{sent:?}");
    assert_eq!((report.calls, report.sent, report.failed), (0, 0, 30));
}

#[tokio::test(start_paused = true)]
async fn what_waits_too_long_for_its_turn_is_never_sent_after_its_sender_was_told() {
    let shop = Shop::with(".fifo").await;
    let (producer, courier) = batching(&shop, shop.shared(), ProducerConfig::default());
    let (stopper, driver) = run(courier);
    // Messages of one group go one after another; each call takes almost all of its time.
    let sends = Calls::to(Service::Sqs).operation("SendMessageBatch");
    let slow = Rule::new(sends, Fault::Delay(Duration::from_secs(4)));
    let _slow = shop.world.faults().inject(slow);
    let orders: Vec<_> = (0..6).map(|n| an(n.to_string())).collect();
    let sent = join_all(orders.iter().map(|order| producer.send(order, "k"))).await;
    let told: Vec<_> = (0..6).filter(|n| sent[*n].is_ok()).map(|n| n.to_string()).collect();
    assert_eq!(told, ["0", "1"]);
    assert!(sent[2..].iter().all(|sent| sent.as_ref().is_err_and(SendError::is_retryable)));
    seconds(60).await;
    assert_eq!(bodies(&shop, &shop.urls.blue).await, told);
    stopper.stop(SOON);
    let report = driver.await.unwrap().unwrap();
    assert_eq!((report.calls, report.sent, report.failed), (2, 2, 4));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_is_not_sent_later() {
    let shop = Shop::with(".fifo").await;
    let (producer, courier) = batching(&shop, shop.shared(), ProducerConfig::default());
    let (_stopper, _driver) = run(courier);
    let sends = Calls::to(Service::Sqs).operation("SendMessageBatch");
    let hold = shop.world.faults().hold(sends, 1);
    let send = |order: &'static str| {
        let producer = producer.clone();
        tokio::spawn(async move { producer.send(&an(order), "k").await })
    };
    let first = send("0");
    hold.reached().await;
    let second = send("1");
    tokio::time::sleep(Duration::from_millis(100)).await;
    second.abort();
    assert!(second.await.unwrap_err().is_cancelled());
    hold.release();
    first.await.unwrap().unwrap();
    send("2").await.unwrap().unwrap();
    seconds(60).await;
    assert_eq!(bodies(&shop, &shop.urls.blue).await, ["0", "2"]);
}

#[tokio::test(start_paused = true)]
async fn a_draft_carries_id_trace_and_attributes_and_is_measured_with_them() {
    let shop = Shop::with(".fifo").await;
    let (producer, courier) = batching(&shop, shop.shared(), ProducerConfig::default());
    let (_stopper, _driver) = run(courier);
    let trace = TraceContext::new("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let (trace, order) = (trace.unwrap(), an("a"));
    for _ in 0..2 {
        // The caller tries again what it got no answer for.
        let draft = producer.draft(&order, "k").with_id("order-7").with_trace(trace.clone());
        draft.with_attribute("tenant", "acme").send().await.unwrap();
    }
    let found = shop.look(&shop.urls.blue).await;
    assert_eq!((found.len(), text(&found[0], "tenant")), (1, Some("acme")));
    let envelope: Envelope = found[0].body().unwrap().parse().unwrap();
    assert_eq!((envelope.id(), envelope.trace()), (Some("order-7"), Some(&trace)));
    let error = producer.draft(&order, "k").with_attribute("AWS.x", "v").send().await.unwrap_err();
    assert!(matches!(&error, SendError::Attribute { name } if name == "AWS.x"), "{error}");
    let full = an("x".repeat((1 << 20) - 1_000));
    let draft = producer.draft(&full, "k").with_attribute("long", "y".repeat(1_000));
    let error = draft.send().await.unwrap_err();
    assert!(matches!(error, SendError::TooLarge { .. }), "{error}");
}
