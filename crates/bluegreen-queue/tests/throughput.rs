//! How many calls and permits messages cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bluegreen_queue::{ConsumerConfig, Outcome, UnknownPolicy};

use crate::shop::{Blue, Log, Shop, on, seconds, until, writing};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn at_saturation_a_message_costs_a_fifth_of_a_call() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 500).await;
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    log.reach(500).await;
    let report = running.stop(SOON).await;
    let calls = shop.calls(Blue, "");
    assert!(calls <= 105, "{calls} calls for 500 messages");
    assert_eq!((report.handled, shop.counts(&shop.urls.blue).await), (500, (0, 0)));
}

#[tokio::test(start_paused = true)]
async fn handlers_that_take_their_time_still_share_calls() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 300).await;
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, _| {
        let log = seen.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            log.add(order.order);
            Ok(Outcome::Done)
        }
    });
    let running = shop.blue(dispatch, ConsumerConfig::default().with_concurrency(50));
    log.reach(300).await;
    running.stop(SOON).await;
    let calls = shop.calls(Blue, "");
    assert!(calls <= 90, "{calls} calls for 300 messages");
}

#[tokio::test(start_paused = true)]
async fn one_slow_message_never_starves_the_rest() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 100).await;
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, _| {
        let log = seen.clone();
        async move {
            if order.order == "0" {
                seconds(100).await;
            }
            log.add(order.order);
            Ok(Outcome::Done)
        }
    });
    let begun = tokio::time::Instant::now();
    let running = shop.blue(dispatch, ConsumerConfig::default());
    log.reach(99).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    log.reach(100).await;
    running.stop(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn no_more_messages_are_received_than_there_is_room_for() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 20).await;
    let peak = Arc::new(AtomicUsize::new(0));
    let now = Arc::new(AtomicUsize::new(0));
    let (seen, highest) = (log.clone(), Arc::clone(&peak));
    let dispatch = on(UnknownPolicy::Park, move |order, _| {
        let (log, now, highest) = (seen.clone(), Arc::clone(&now), Arc::clone(&highest));
        async move {
            highest.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            seconds(10).await;
            now.fetch_sub(1, Ordering::SeqCst);
            log.add(order.order);
            Ok(Outcome::Done)
        }
    });
    let running = shop.blue(dispatch, ConsumerConfig::default().with_concurrency(3));
    until(|| running.handle.report().received == 3).await;
    seconds(5).await;
    assert_eq!(shop.counts(&shop.urls.blue).await, (17, 3));
    log.reach(20).await;
    let report = running.stop(SOON).await;
    assert_eq!((peak.load(Ordering::SeqCst), report.released), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn an_idle_consumer_makes_three_calls_a_minute() {
    let (shop, log) = (Shop::open().await, Log::default());
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    seconds(600).await;
    let calls = shop.calls(Blue, "");
    assert!((29..=31).contains(&calls), "{calls}");
    running.stop(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_consumer_that_does_not_wait_makes_five_calls_a_second() {
    let (shop, log) = (Shop::open().await, Log::default());
    let config = ConsumerConfig::default().with_wait(Duration::ZERO);
    let running = shop.blue(writing(&log, UnknownPolicy::Park), config);
    // A hot loop would stop the paused clock, so it is looked for without one.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    // One asks for the redrive policy.
    assert!(shop.calls(Blue, "") <= 2, "{} calls in no time", shop.calls(Blue, ""));
    seconds(60).await;
    let calls = shop.calls(Blue, "");
    assert!((290..=310).contains(&calls), "{calls}");
    running.stop(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_more_is_received_while_deletes_are_far_behind() {
    use bluegreen_local::{Calls, Fault, Rule, Service};
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 300).await;
    let deletes = Calls::to(Service::Sqs).operation("DeleteMessageBatch").access_key("blue");
    let outage = shop.world.faults().inject(Rule::new(deletes, Fault::AccessDenied));
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    seconds(20).await;
    assert_eq!(log.len(), 110, "ten times what it handles at once, and one receive");
    drop(outage);
    log.reach(300).await;
    running.stop(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn receives_go_beside_each_other_only_while_they_come_back_full() {
    use bluegreen_local::{Calls, Fault, Rule, Service};
    let (shop, log) = (Shop::open().await, Log::default());
    // Each receive takes 100 ms: one after another would fetch 100 messages a second.
    let receives = Calls::to(Service::Sqs).operation("ReceiveMessage").access_key("blue");
    let delay = Fault::Delay(Duration::from_millis(100));
    let _slow = shop.world.faults().inject(Rule::new(receives, delay));
    shop.put_orders(&shop.urls.blue, 2_000).await;
    let begun = tokio::time::Instant::now();
    let config = ConsumerConfig::default().with_concurrency(200).with_max_receives(8);
    let running = shop.blue(writing(&log, UnknownPolicy::Park), config);
    log.reach(2_000).await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}, as if one after another");
    // Idle again, one receive waits and not eight.
    seconds(60).await;
    let before = shop.calls(Blue, "ReceiveMessage");
    seconds(600).await;
    let idle = shop.calls(Blue, "ReceiveMessage") - before;
    assert!((28..=31).contains(&idle), "{idle} receives in ten idle minutes");
    let report = running.stop(SOON).await;
    assert_eq!((report.handled, report.released, report.lost_leases), (2_000, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn receives_beside_each_other_never_take_more_than_there_is_room_for() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 300).await;
    let dispatch = on(UnknownPolicy::Park, |_, _| std::future::pending());
    let config = ConsumerConfig::default().with_concurrency(73);
    let running = shop.blue(dispatch, config);
    seconds(60).await;
    assert_eq!((shop.counts(&shop.urls.blue).await, log.len()), ((227, 73), 0));
    let report = running.stop(SOON).await;
    assert_eq!((report.received, report.released), (73, 73));
}
