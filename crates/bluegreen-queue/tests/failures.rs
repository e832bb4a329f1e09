//! Failing handlers, failing calls: nothing spins, nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use bluegreen_core::{ByColor, Stop};
use bluegreen_local::{Calls, Fault, Rule, Service};
use bluegreen_queue::{
    Consumer, ConsumerConfig, ConsumerError, Outcome, Producer, ProducerConfig, Queues,
    Subscription, UnknownPolicy,
};
use serde_json::json;

use crate::partly_failing::{Failing, PartlyFailing, client};
use crate::shop::{
    Blue, Log, Order, Shop, following, on, order, seconds, text, until, versioned, writing,
};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn a_failing_message_comes_back_later_and_later_and_never_at_once() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 1).await;
    let seen = log.clone();
    let begun = tokio::time::Instant::now();
    let dispatch = on(UnknownPolicy::Park, move |_, context| {
        seen.add(begun.elapsed().as_secs().to_string());
        let log = seen.clone();
        async move {
            if log.len() > 100 {
                // A hot loop would stop the paused clock: let it go on, and the test fail.
                std::future::pending::<()>().await;
            }
            assert_ne!(context.receive_count() % 2, 0, "every second time it panics");
            Err("not today".into())
        }
    });
    let running = shop.blue(dispatch, ConsumerConfig::default());
    seconds(3600).await;
    let report = running.stop(SOON).await;
    let times: Vec<u64> = log.lines().iter().map(|line| line.parse().unwrap()).collect();
    assert!((4..60).contains(&times.len()), "{times:?}");
    assert!(times.windows(2).all(|pair| pair[1] > pair[0]), "{times:?}");
    assert!(times[times.len() - 1] - times[times.len() - 2] > times[1] - times[0], "{times:?}");
    assert_eq!(report.failed, report.received);
    assert_eq!(report.handled, 0);
}

#[tokio::test(start_paused = true)]
async fn failing_receives_do_not_spin_and_end_with_the_outage() {
    for fault in [Fault::AccessDenied, Fault::Throttle, Fault::Reset, Fault::Hang] {
        let (shop, log) = (Shop::open().await, Log::default());
        shop.put_orders(&shop.urls.blue, 1).await;
        let receives = Calls::to(Service::Sqs).operation("ReceiveMessage").access_key("blue");
        let outage = shop.world.faults().inject(Rule::new(receives, fault));
        let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
        seconds(600).await;
        let errors = running.handle.report().receive_errors;
        assert!((10..80).contains(&errors), "{fault:?}: {errors}");
        drop(outage);
        log.reach(1).await;
        running.stop(SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_exist_is_said_at_once() {
    let shop = Shop::open().await;
    let url = format!("{}-nowhere", shop.urls.blue);
    let own = Subscription::own(&Queues::Shared(url.clone()), Blue, &shop.dead);
    let dispatch = writing(&Log::default(), UnknownPolicy::Park);
    let running = shop.consume(own, following(None), dispatch, ConsumerConfig::default());
    let error = running.driver.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), format!("the queue {url} does not exist"));
    assert!(matches!(error, ConsumerError::QueueMissing { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_call_timeout_without_end_is_one() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 1).await;
    let config = ConsumerConfig::default().with_call_timeout(Duration::MAX);
    let running = shop.blue(writing(&log, UnknownPolicy::Park), config);
    log.reach(1).await;
    running.stop(SOON).await;
    let config = ProducerConfig::default().with_call_timeout(Duration::MAX);
    let (queues, client) = (shop.separate(), shop.world.sqs_as("blue"));
    let (producer, courier) =
        Producer::batching(client, queues, following(None), Blue, config).unwrap();
    tokio::spawn(courier.run(Stop::never()));
    producer.send(&Order { order: "a".to_owned() }, "k").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn urls_that_cannot_be_meant_are_refused_by_name() {
    let shop = Shop::open().await;
    let (blue, green, dead) = (&*shop.urls.blue, &*shop.urls.green, &*shop.dead);
    let table = [
        (blue, green, blue, "dead_letters"),
        (blue, green, green, "dead_letters"),
        (blue, green, "", "dead_letters"),
        (blue, blue, dead, "queues"),
        ("", green, dead, "queues"),
        (blue, "", dead, "queues"),
    ];
    for (blue, green, dead, field) in table {
        let queues = Queues::Separate(ByColor { blue: blue.to_owned(), green: green.to_owned() });
        let own = Subscription::own(&queues, Blue, dead);
        let dispatch = writing(&Log::default(), UnknownPolicy::Park);
        let config = ConsumerConfig::default();
        let made = Consumer::new(shop.world.sqs(), own, following(None), dispatch, config);
        let error = made.unwrap_err().to_string();
        assert!(error.starts_with(field), "{error}");
        if field == "queues" {
            let config = ProducerConfig::default();
            let made = Producer::new(shop.world.sqs(), queues, following(None), Blue, config);
            assert!(made.unwrap_err().to_string().starts_with(field));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_whose_reply_is_lost_or_that_fails_is_made_again() {
    for fault in [Fault::LostReply, Fault::Throttle, Fault::AccessDenied, Fault::Hang] {
        let (shop, log) = (Shop::open().await, Log::default());
        shop.put_orders(&shop.urls.blue, 3).await;
        let deletes = Calls::to(Service::Sqs).operation("DeleteMessageBatch").access_key("blue");
        let outage = shop.world.faults().inject(Rule::new(deletes, fault).first(4));
        let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
        log.reach(3).await;
        seconds(120).await;
        let struck = outage.count();
        let report = running.stop(SOON).await;
        assert_eq!((report.received, report.undeleted), (3, 0), "{fault:?} struck {struck} times");
        assert!(struck >= 3, "{fault:?}");
        assert_eq!(shop.counts(&shop.urls.blue).await, (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_deleted_while_its_lease_lasts_is_counted_and_comes_again() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 1).await;
    let deletes = Calls::to(Service::Sqs).operation("DeleteMessageBatch").access_key("blue");
    let outage = shop.world.faults().inject(Rule::new(deletes, Fault::AccessDenied));
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    log.reach(2).await;
    assert_eq!(running.handle.report().undeleted, 1);
    // Between two tries it waits longer and longer: half a minute is a few of them.
    assert!(outage.count() < 30, "{}", outage.count());
    drop(outage);
    running.stop(SOON).await;
    assert_eq!(shop.counts(&shop.urls.blue).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_delete_is_tried_again_as_long_as_its_lease_lasts() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 30).await;
    let deletes = Calls::to(Service::Sqs).operation("DeleteMessageBatch").access_key("blue");
    let outage = shop.world.faults().inject(Rule::new(deletes, Fault::AccessDenied));
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    seconds(25).await;
    drop(outage);
    seconds(60).await;
    let report = running.stop(SOON).await;
    assert_eq!((report.received, report.undeleted), (30, 0));
}

#[tokio::test(start_paused = true)]
async fn entries_of_a_delete_that_fail_are_deleted_again() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 10).await;
    let refused = Arc::new(AtomicU64::new(0));
    let failing = Failing {
        operation: "DeleteMessageBatch",
        place: 0,
        times: 2,
        error: json!({ "SenderFault": false, "Code": "InternalError" }),
        refused: Arc::clone(&refused),
    };
    let client = client(PartlyFailing { world: shop.world.clone(), failing });
    let own = Subscription::own(&shop.separate(), Blue, &shop.dead);
    let dispatch = writing(&log, UnknownPolicy::Park);
    let config = ConsumerConfig::default();
    let (handle, consumer) = Consumer::new(client, own, following(None), dispatch, config).unwrap();
    let (stopper, stop) = Stop::new();
    let driver = tokio::spawn(consumer.run(stop));
    log.reach(10).await;
    until(|| refused.load(Ordering::SeqCst) == 2).await;
    seconds(60).await;
    assert_eq!((handle.report().handled, handle.report().undeleted), (10, 0));
    stopper.stop(SOON);
    driver.await.unwrap().unwrap();
    assert_eq!((log.len(), shop.counts(&shop.urls.blue).await), (10, (0, 0)));
}

#[tokio::test(start_paused = true)]
async fn on_the_last_receive_that_the_queue_allows_a_message_is_parked_with_its_reason() {
    use aws_sdk_sqs::types::QueueAttributeName::{QueueArn, RedrivePolicy};
    let (shop, log) = (Shop::open().await, Log::default());
    let sqs = shop.world.sqs_as("observer");
    let arn = sqs.get_queue_attributes().queue_url(&shop.dead).attribute_names(QueueArn);
    let arn = arn.send().await.unwrap().attributes.unwrap().remove(&QueueArn).unwrap();
    let policy = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": "3" }).to_string();
    let set = sqs.set_queue_attributes().queue_url(&shop.urls.blue);
    set.attributes(RedrivePolicy, policy).send().await.unwrap();
    shop.put_orders(&shop.urls.blue, 1).await;
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |_, context| {
        seen.add(context.receive_count().to_string());
        std::future::ready(Err("no stock".into()))
    });
    let running = shop.blue(dispatch, ConsumerConfig::default());
    until(|| running.handle.report().parked == 1).await;
    seconds(1_000).await;
    let report = running.stop(SOON).await;
    assert_eq!((log.lines().join(" "), report.failed), ("1 2 3".to_owned(), 2));
    let parked = shop.look(&shop.dead).await;
    let reason = text(&parked[0], bluegreen_queue::attributes::REASON);
    assert_eq!(reason, Some("its handler failed, the last of 3 times: no stock"));
}

/// Blue's queue hands a message out so often.
pub(crate) async fn allow(shop: &Shop, most: u32) {
    let sqs = shop.world.sqs_as("observer");
    let dead = sqs.get_queue_attributes().queue_url(&shop.dead);
    let dead = dead.attribute_names(QueueAttributeName::QueueArn).send().await.unwrap();
    let arn = &dead.attributes.unwrap()[&QueueAttributeName::QueueArn];
    let policy = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": most }).to_string();
    let set = sqs.set_queue_attributes().queue_url(&shop.urls.blue);
    set.attributes(QueueAttributeName::RedrivePolicy, policy).send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whatever_would_hide_a_message_on_its_last_receive_parks_it_with_the_reason() {
    let (shop, log) = (Shop::open().await, Log::default());
    allow(&shop, 2).await;
    let reason = async || {
        let parked = shop.look(&shop.dead).await;
        assert_eq!(parked.len(), 1);
        let reason = text(&parked[0], bluegreen_queue::attributes::REASON).map(str::to_owned);
        shop.clear(&shop.dead).await;
        reason.expect("it is not SQS that moved it")
    };
    shop.put_orders(&shop.urls.blue, 1).await;
    let again = on(UnknownPolicy::Park, |_, _| {
        std::future::ready(Ok(Outcome::RetryAfter(Duration::from_secs(9))))
    });
    let running = shop.blue(again, ConsumerConfig::default());
    seconds(60).await;
    let report = running.stop(SOON).await;
    assert_eq!((report.retried, report.parked), (1, 1));
    assert_eq!(reason().await, "its handler wished to see it again, the last of 2 times");

    shop.put(&shop.urls.blue, &versioned("2.0", "a")).await;
    let sends = Calls::to(Service::Sqs).operation("SendMessage").access_key("blue");
    let sends = Rule::new(sends, Fault::AccessDenied).first(2);
    let _refused = shop.world.faults().inject(sends);
    let running =
        shop.blue(writing(&log, UnknownPolicy::PassToOtherColor), ConsumerConfig::default());
    seconds(60).await;
    let report = running.stop(SOON).await;
    assert_eq!((report.failed, report.passed, report.parked), (1, 0, 1));
    let reason = reason().await;
    assert!(reason.starts_with("it could not be passed on, the last of 2 times: "), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_redrive_policy_that_is_changed_at_run_time_is_obeyed() {
    let (shop, log) = (Shop::open().await, Log::default());
    allow(&shop, 10).await;
    shop.put(&shop.urls.blue, &order("1")).await;
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |_, context| {
        seen.add(context.receive_count().to_string());
        async {
            // Longer than an answer about the policy holds.
            seconds(70).await;
            Err("no stock".into())
        }
    });
    let running = shop.blue(dispatch, ConsumerConfig::default());
    log.reach(2).await;
    allow(&shop, 3).await;
    log.reach(3).await;
    seconds(75).await;
    let parked = shop.look(&shop.dead).await;
    assert_eq!(parked.len(), 1, "{:?}", log.lines());
    let reason = text(&parked[0], "bluegreen-reason").unwrap();
    assert_eq!(reason, "its handler failed, the last of 3 times: no stock");
    running.stop(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn the_redrive_policy_is_asked_for_once_a_minute_at_most_and_done_without() {
    let shop = Shop::open().await;
    let asks = Calls::to(Service::Sqs).operation("GetQueueAttributes").access_key("blue");
    let _denied = shop.world.faults().inject(Rule::new(asks.clone(), Fault::AccessDenied));
    shop.put_orders(&shop.urls.blue, 30).await;
    let failing = on(UnknownPolicy::Park, |_, _| std::future::ready(Err("no stock".into())));
    let running = shop.blue(failing, ConsumerConfig::default());
    until(|| running.handle.report().failed >= 60).await;
    seconds(300).await;
    let calls = shop.world.calls_in(&asks);
    assert!((2..=7).contains(&calls), "{calls} in some six minutes");
    assert_eq!(running.stop(SOON).await.parked, 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_too_large_for_its_reason_in_any_place_is_parked_as_it_is() {
    let (shop, log) = (Shop::open().await, Log::default());
    // As much as a queue takes.
    let body = "x".repeat(262_144);
    shop.put(&shop.urls.blue, &body).await;
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    until(|| running.handle.report().parked == 1).await;
    running.stop(SOON).await;
    let parked = shop.look(&shop.dead).await.remove(0);
    assert_eq!((parked.body(), parked.message_attributes()), (Some(&*body), None));
}

/// An error that cannot be written.
#[derive(Debug)]
pub(crate) struct Unspeakable;

impl std::fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("there are no words for it")
    }
}

impl std::error::Error for Unspeakable {}

#[tokio::test(start_paused = true)]
async fn a_message_whose_error_panics_when_it_is_written_is_let_go() {
    let (shop, log) = (Shop::open().await, Log::default());
    allow(&shop, 1).await;
    shop.put_orders(&shop.urls.blue, 1).await;
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, _| {
        seen.add(order.order);
        // It was the last receive: the error goes into the reason.
        std::future::ready(Err(Unspeakable.into()))
    });
    let running = shop.blue(dispatch, ConsumerConfig::default());
    until(|| running.handle.report().failed == 1).await;
    assert_eq!(shop.counts(&shop.urls.blue).await, (0, 1), "not shown at once");
    seconds(60).await;
    assert_eq!(shop.look(&shop.dead).await.len(), 1, "nobody keeps its lease");
    running.stop(SOON).await;
    assert_eq!(log.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_is_confirmed_after_its_lease_has_ended_is_not_believed() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 1).await;
    let deletes = || Calls::to(Service::Sqs).operation("DeleteMessageBatch").access_key("blue");
    let denied = shop.world.faults().inject(Rule::new(deletes(), Fault::AccessDenied));
    let config = ConsumerConfig::default().with_call_timeout(Duration::from_secs(60));
    let running = shop.blue(writing(&log, UnknownPolicy::Park), config);
    log.reach(1).await;
    // The next try is made before the lease has ended, and arrives afterwards.
    seconds(26).await;
    drop(denied);
    let late = Rule::new(deletes(), Fault::Delay(Duration::from_millis(5_500))).first(1);
    let _late = shop.world.faults().inject(late);
    log.reach(2).await;
    seconds(20).await;
    let report = running.stop(SOON).await;
    assert_eq!((report.handled, report.undeleted), (2, 1));
    assert_eq!(shop.counts(&shop.urls.blue).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_hangs_is_made_again_before_a_short_lease_ends() {
    for visibility in [2, 4, 10] {
        let (shop, log) = (Shop::open().await, Log::default());
        shop.put_orders(&shop.urls.blue, 1).await;
        let deletes = Calls::to(Service::Sqs).operation("DeleteMessageBatch").access_key("blue");
        let hung = shop.world.faults().inject(Rule::new(deletes, Fault::Hang).first(1));
        let config = ConsumerConfig::default().with_visibility(Duration::from_secs(visibility));
        let running = shop.blue(writing(&log, UnknownPolicy::Park), config);
        log.reach(1).await;
        seconds(60).await;
        let report = running.stop(SOON).await;
        let found = (report.received, report.undeleted, hung.count());
        assert_eq!(found, (1, 0, 1), "visibility of {visibility} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_deleted_and_made_anew_at_run_time_is_consumed_again() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 1).await;
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    log.reach(1).await;
    let sqs = shop.world.sqs_as("observer");
    sqs.delete_queue().queue_url(&shop.urls.blue).send().await.unwrap();
    seconds(600).await;
    let errors = running.handle.report().receive_errors;
    assert!((10..80).contains(&errors), "{errors}");
    sqs.create_queue().queue_name("orders").send().await.unwrap();
    shop.put_orders(&shop.urls.blue, 1).await;
    log.reach(2).await;
    running.stop(SOON).await;
}
