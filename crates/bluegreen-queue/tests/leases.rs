//! Visibility: extended while a handler runs, not a moment longer, and said when it is lost.

use std::time::Duration;

use bluegreen_local::{Calls, Fault, Rule, Service};
use bluegreen_queue::{ConsumerConfig, Outcome, UnknownPolicy};

use crate::shop::{Blue, Log, Shop, on, seconds, until};

const SOON: Duration = Duration::from_secs(5);
const EXTEND: &str = "ChangeMessageVisibilityBatch";

#[tokio::test(start_paused = true)]
async fn slow_messages_are_handled_once_with_one_heartbeat_for_all() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 10).await;
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, context| {
        let log = seen.clone();
        async move {
            seconds(600).await;
            assert!(!context.is_lease_lost());
            log.add(order.order);
            Ok(Outcome::Done)
        }
    });
    let running = shop.blue(dispatch, ConsumerConfig::default());
    log.reach(10).await;
    let extensions = shop.calls(Blue, EXTEND);
    // Every 12 s one call for all ten.
    assert!((48..=52).contains(&extensions), "{extensions}");
    seconds(60).await;
    let report = running.stop(SOON).await;
    assert_eq!((report.received, report.handled, report.lost_leases), (10, 10, 0));
}

#[tokio::test(start_paused = true)]
async fn the_heartbeat_stops_with_the_message() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 2).await;
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, context| {
        let log = seen.clone();
        async move {
            seconds(20).await;
            log.add(&*order.order);
            match (&*order.order, context.receive_count()) {
                ("0", 1) => Ok(Outcome::RetryAfter(Duration::from_secs(1000))),
                _ => Ok(Outcome::Done),
            }
        }
    });
    let running = shop.blue(dispatch, ConsumerConfig::default());
    log.reach(2).await;
    seconds(1).await;
    let calls = (shop.calls(Blue, EXTEND), shop.calls(Blue, "DeleteMessageBatch"));
    seconds(900).await;
    // Neither the deleted message nor the one that waits is touched again, nor does it appear.
    assert_eq!((shop.calls(Blue, EXTEND), shop.calls(Blue, "DeleteMessageBatch")), calls);
    assert_eq!(log.len(), 2);
    log.reach(3).await;
    running.stop(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_has_lost_its_lease_leaves_the_message_alone() {
    for parks in [true, false] {
        let (shop, log) = (Shop::open().await, Log::default());
        shop.put_orders(&shop.urls.blue, 1).await;
        let extends = Calls::to(Service::Sqs).operation(EXTEND).access_key("blue");
        let _refused = shop.world.faults().inject(Rule::new(extends, Fault::AccessDenied));
        let seen = log.clone();
        let dispatch = on(UnknownPolicy::Park, move |order, context| {
            let log = seen.clone();
            async move {
                log.add(order.order);
                match context.receive_count() {
                    1 => context.lease_lost().await,
                    _ => return Ok(Outcome::Done),
                }
                if parks { Ok(Outcome::Park("poison".to_owned())) } else { Err("too late".into()) }
            }
        });
        let running = shop.blue(dispatch, ConsumerConfig::default().with_concurrency(1));
        until(|| running.handle.report().failed == 1).await;
        let calls = shop.calls(Blue, EXTEND);
        log.reach(2).await;
        seconds(1).await;
        assert_eq!((shop.calls(Blue, EXTEND), shop.calls(Blue, "SendMessage")), (calls, 0));
        running.stop(SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_under_way_never_overtakes_what_the_handler_asked_for() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 1).await;
    let extends = Calls::to(Service::Sqs).operation(EXTEND).access_key("blue");
    let late = shop.world.faults().hold(extends, 1);
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |_, context| {
        let log = seen.clone();
        async move {
            log.add(context.receive_count().to_string());
            seconds(13).await;
            Ok(match context.receive_count() {
                1 => Outcome::RetryAfter(Duration::from_secs(1000)),
                _ => Outcome::Done,
            })
        }
    });
    let running = shop.blue(dispatch, ConsumerConfig::default());
    late.reached().await;
    until(|| running.handle.report().retried == 1).await;
    seconds(1).await;
    late.release();
    seconds(900).await;
    assert_eq!(log.lines(), ["1"]);
    log.reach(2).await;
    running.stop(Duration::from_secs(30)).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_told_when_its_lease_is_lost() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 1).await;
    let extends = Calls::to(Service::Sqs).operation(EXTEND).access_key("blue");
    let refused = shop.world.faults().inject(Rule::new(extends, Fault::AccessDenied));
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |_, context| {
        let log = seen.clone();
        async move {
            let begun = tokio::time::Instant::now();
            tokio::select! {
                () = context.lease_lost() => log.add(format!("lost {}", begun.elapsed().as_secs())),
                () = seconds(35) => log.add("finished"),
            }
            Ok(Outcome::Done)
        }
    });
    // Room for one message, so that the second receive comes after the first handler has left.
    let running = shop.blue(dispatch, ConsumerConfig::default().with_concurrency(1));
    log.reach(1).await;
    assert_eq!(log.lines(), ["lost 30"]);
    assert!(refused.count() >= 3, "tried {} times", refused.count());
    assert_eq!(running.handle.report().lost_leases, 1);
    drop(refused);
    running.stop(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_has_its_message_for_twelve_hours_and_is_told_when_they_are_over() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 1).await;
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |_, context| {
        let log = seen.clone();
        async move {
            let begun = tokio::time::Instant::now();
            context.lease_lost().await;
            log.add(begun.elapsed().as_secs().to_string());
            // By then somebody else may have it: to fail changes nothing any more.
            Err("it takes longer than SQS allows".into())
        }
    });
    let config = ConsumerConfig::default().with_visibility(Duration::from_secs(600));
    let running = shop.blue(dispatch, config.with_concurrency(1));
    seconds(12 * 3_600 - 20).await;
    log.reach(1).await;
    let held: u64 = log.lines()[0].parse().unwrap();
    assert!((12 * 3_600 - 10..=12 * 3_600).contains(&held), "{held} s");
    seconds(60).await;
    let report = running.handle.report();
    assert_eq!((report.received, report.failed, report.lost_leases), (2, 1, 1));
    running.stop(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_hangs_is_tried_again_before_the_lease_ends() {
    for visibility in [30, 10, 2] {
        let (shop, log) = (Shop::open().await, Log::default());
        shop.put_orders(&shop.urls.blue, 1).await;
        let extends = Calls::to(Service::Sqs).operation(EXTEND).access_key("blue");
        let hung = shop.world.faults().inject(Rule::new(extends, Fault::Hang).first(1));
        let seen = log.clone();
        let dispatch = on(UnknownPolicy::Park, move |order, _| {
            let log = seen.clone();
            async move {
                seconds(100).await;
                log.add(order.order);
                Ok(Outcome::Done)
            }
        });
        let config = ConsumerConfig::default().with_visibility(Duration::from_secs(visibility));
        let running = shop.blue(dispatch, config);
        log.reach(1).await;
        assert_eq!(hung.count(), 1);
        until(|| shop.calls(Blue, "DeleteMessageBatch") == 1).await;
        let report = running.stop(SOON).await;
        let found = (report.received, report.handled, report.lost_leases);
        assert_eq!(found, (1, 1, 0), "visibility of {visibility} s");
    }
}
