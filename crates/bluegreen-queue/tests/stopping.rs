//! The end of a run: in good order, at the deadline, and without any order.

use std::time::Duration;

use bluegreen_local::{Calls, Service};
use bluegreen_queue::{ConsumerConfig, Outcome, UnknownPolicy};
use tokio::time::Instant;

use crate::shop::{Blue, Log, Shop, on, seconds, until, writing};

/// Takes so long over each order.
fn slow(log: &Log, takes: u64) -> bluegreen_queue::Dispatch {
    let log = log.clone();
    on(UnknownPolicy::Park, move |order, _| {
        let log = log.clone();
        async move {
            log.add(format!("begun {}", order.order));
            seconds(takes).await;
            log.add(format!("ended {}", order.order));
            Ok(Outcome::Done)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn from_the_request_on_nothing_is_received_and_handlers_finish() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 2).await;
    let running = shop.blue(slow(&log, 8), ConsumerConfig::default().with_concurrency(2));
    log.reach(2).await;
    let before = shop.calls(Blue, "ReceiveMessage");
    running.stopper.stop(Duration::from_secs(20));
    shop.put_orders(&shop.urls.blue, 5).await;
    let begun = Instant::now();
    let report = running.driver.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(9), "no longer than needed");
    assert_eq!(shop.calls(Blue, "ReceiveMessage"), before);
    assert_eq!((report.handled, report.released, report.undeleted), (2, 0, 0));
    assert_eq!(shop.counts(&shop.urls.blue).await, (5, 0));
}

#[tokio::test(start_paused = true)]
async fn what_an_open_receive_returns_after_the_request_is_released_at_once() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 4).await;
    let receives = Calls::to(Service::Sqs).operation("ReceiveMessage").access_key("blue");
    let hold = shop.world.faults().hold_reply(receives, 1);
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    hold.reached().await;
    running.stopper.stop(Duration::from_secs(20));
    tokio::time::sleep(Duration::from_millis(500)).await;
    hold.release();
    let report = running.driver.await.unwrap().unwrap();
    assert_eq!((report.received, report.released, log.len()), (4, 4, 0));
    assert_eq!(shop.counts(&shop.urls.blue).await, (4, 0));
}

#[tokio::test(start_paused = true)]
async fn an_idle_consumer_stops_within_its_grace() {
    let (shop, log) = (Shop::open().await, Log::default());
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    seconds(1).await;
    let begun = Instant::now();
    running.stop(Duration::from_secs(30)).await;
    assert!(begun.elapsed() <= Duration::from_millis(1_100), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn handlers_that_do_not_finish_are_dropped_and_their_messages_released_before_the_deadline() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 3).await;
    let running = shop.blue(slow(&log, 3600), ConsumerConfig::default());
    log.reach(3).await;
    let begun = Instant::now();
    let report = running.stop(Duration::from_secs(10)).await;
    assert!(begun.elapsed() <= Duration::from_secs(9), "{:?}", begun.elapsed());
    assert_eq!((report.handled, report.released), (0, 3));
    assert_eq!(shop.counts(&shop.urls.blue).await, (3, 0));
    seconds(7200).await;
    assert_eq!(log.len(), 3, "a dropped handler does not go on");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_brought_nearer_is_kept() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 1).await;
    let running = shop.blue(slow(&log, 3600), ConsumerConfig::default());
    log.reach(1).await;
    running.stopper.stop(Duration::from_secs(60));
    seconds(1).await;
    let begun = Instant::now();
    let report = running.stop(Duration::from_secs(4)).await;
    assert!(begun.elapsed() <= Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(report.released, 1);
}

#[tokio::test(start_paused = true)]
async fn deletes_are_flushed_at_the_stop() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 3).await;
    let config = ConsumerConfig::default().with_flush_age(Duration::from_secs(1));
    let running = shop.blue(writing(&log, UnknownPolicy::Park), config);
    until(|| running.handle.report().handled == 3).await;
    assert_eq!(shop.calls(Blue, "DeleteMessageBatch"), 0);
    running.stop(Duration::from_secs(20)).await;
    assert_eq!(shop.calls(Blue, "DeleteMessageBatch"), 1);
    assert_eq!(shop.counts(&shop.urls.blue).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stop_with_sqs_out_of_reach_ends_at_its_deadline_and_counts_what_is_open() {
    use bluegreen_local::{Fault, Rule};
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 3).await;
    let deletes = Calls::to(Service::Sqs).operation("DeleteMessageBatch").access_key("blue");
    let outage = shop.world.faults().inject(Rule::new(deletes, Fault::Hang));
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    until(|| outage.count() > 0).await;
    let begun = Instant::now();
    let report = running.stop(Duration::from_secs(8)).await;
    assert_eq!(begun.elapsed().as_secs(), 8);
    assert_eq!((report.handled, report.undeleted), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_run_loses_nothing_and_leaves_no_handler_behind() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 3).await;
    let running = shop.blue(slow(&log, 60), ConsumerConfig::default());
    log.reach(3).await;
    running.driver.abort();
    seconds(20).await;
    assert_eq!(shop.counts(&shop.urls.blue).await, (0, 3));
    seconds(11).await;
    assert_eq!(shop.counts(&shop.urls.blue).await, (3, 0));
    let second = Log::default();
    let running = shop.blue(writing(&second, UnknownPolicy::Park), ConsumerConfig::default());
    second.reach(3).await;
    running.stop(Duration::from_secs(5)).await;
    seconds(600).await;
    assert_eq!(log.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_begins_after_the_request_receives_nothing() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 3).await;
    // On this runtime the driver has not begun to run yet.
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    let report = running.stop(Duration::from_secs(20)).await;
    assert_eq!((shop.calls(Blue, ""), report.received, log.len()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn only_what_sqs_was_told_counts_as_released() {
    use bluegreen_local::{Fault, Rule};
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 3).await;
    let hides = Calls::to(Service::Sqs).operation("ChangeMessageVisibilityBatch");
    let _outage = shop.world.faults().inject(Rule::new(hides, Fault::AccessDenied));
    let running = shop.blue(slow(&log, 3600), ConsumerConfig::default());
    log.reach(3).await;
    let report = running.stop(Duration::from_secs(8)).await;
    assert_eq!((report.received, report.released), (3, 0));
    assert_eq!(shop.counts(&shop.urls.blue).await, (0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_stop_amid_the_pause_after_a_throttled_receive_ends_at_once() {
    use bluegreen_local::{Fault, Rule};
    let (shop, log) = (Shop::open().await, Log::default());
    let receives = Calls::to(Service::Sqs).operation("ReceiveMessage").access_key("blue");
    let _throttled = shop.world.faults().inject(Rule::new(receives, Fault::Throttle));
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    until(|| running.handle.report().receive_errors > 5).await;
    seconds(300).await;
    let (errors, begun) = (running.handle.report().receive_errors, Instant::now());
    assert!(errors < 40, "{errors} tries in five minutes");
    let report = running.stop(Duration::from_secs(30)).await;
    assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!((report.received, log.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_pause_and_its_end_amid_a_stop_change_nothing() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 1).await;
    let running = shop.blue(slow(&log, 5), ConsumerConfig::default());
    log.reach(1).await;
    let handle = running.handle.clone();
    running.stopper.stop(Duration::from_secs(60));
    shop.put_orders(&shop.urls.blue, 5).await;
    handle.pause();
    seconds(1).await;
    handle.resume();
    let report = running.driver.await.unwrap().unwrap();
    // What the open receive brought went back.
    assert_eq!((report.received - report.released, report.handled), (1, 1));
    assert_eq!(shop.counts(&shop.urls.blue).await, (5, 0));
}
