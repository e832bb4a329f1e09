//! FIFO queues: groups one by one, beside each other.

use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::Stop;
use bluegreen_local::{Calls, Fault, Rule, Service};
use bluegreen_queue::{
    Consumer, ConsumerConfig, HandOver, Outcome, Producer, ProducerConfig, Queues, SendError,
    Subscription, UnknownPolicy,
};
use serde_json::json;

use crate::gates::{live, share};
use crate::partly_failing::{Failing, PartlyFailing, client};
use crate::shop::{Blue, Green, Log, Order, Shop, following, on, order, seconds, until};

const SOON: Duration = Duration::from_secs(5);

fn producer(shop: &Shop, queues: Queues) -> Producer {
    let config = ProducerConfig::default().with_clock(shop.world.clock());
    Producer::new(shop.world.sqs_as("producer"), queues, following(None), Blue, config).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_group_keeps_its_order_and_a_failure_holds_only_its_own_group() {
    let (shop, log) = (Shop::with(".fifo").await, Log::default());
    let producer = producer(&shop, shop.shared());
    for n in 0..5 {
        for group in ["a", "b"] {
            let order = Order { order: format!("{group}{n}") };
            producer.send(&order, group).await.unwrap();
        }
    }
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, context| {
        let log = seen.clone();
        async move {
            // The earlier takes longer: without order it would end last.
            let place = u64::from(order.order.as_bytes()[1] - b'0');
            tokio::time::sleep(Duration::from_millis(100 - 20 * place)).await;
            if order.order == "a2" && context.receive_count() == 1 {
                return Err("not yet".into());
            }
            log.add(order.order);
            Ok(Outcome::Done)
        }
    });
    let own = Subscription::own(&shop.shared(), Blue, &shop.dead);
    let running = shop.consume(own, following(None), dispatch, ConsumerConfig::default());
    log.reach(10).await;
    let report = running.stop(SOON).await;
    let of = |group| log.lines().into_iter().filter(move |line| line.starts_with(group));
    assert_eq!(of("a").collect::<Vec<_>>(), ["a0", "a1", "a2", "a3", "a4"]);
    assert_eq!(of("b").collect::<Vec<_>>(), ["b0", "b1", "b2", "b3", "b4"]);
    assert_eq!((report.failed, report.released, report.handled), (1, 2, 10));
}

#[tokio::test(start_paused = true)]
async fn at_a_stop_the_rest_of_a_group_is_released_unhandled() {
    let (shop, log) = (Shop::with(".fifo").await, Log::default());
    let producer = producer(&shop, shop.shared());
    for n in 0..4 {
        producer.send(&Order { order: n.to_string() }, "group").await.unwrap();
    }
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, _| {
        let log = seen.clone();
        async move {
            seconds(3).await;
            log.add(order.order);
            Ok(Outcome::Done)
        }
    });
    let own = Subscription::own(&shop.shared(), Blue, &shop.dead);
    let running = shop.consume(own, following(None), dispatch, ConsumerConfig::default());
    until(|| running.handle.report().received == 4).await;
    let report = running.stop(Duration::from_secs(30)).await;
    assert_eq!((report.handled, report.released), (1, 3));
    assert_eq!((log.lines(), shop.counts(&shop.urls.blue).await), (vec!["0".to_owned()], (3, 0)));
}

#[tokio::test(start_paused = true)]
async fn at_a_pause_the_rest_of_a_group_is_released_and_comes_again_behind_what_is_handled() {
    let (shop, log) = (Shop::with(".fifo").await, Log::default());
    let producer = producer(&shop, shop.shared());
    for n in 0..4 {
        producer.send(&Order { order: n.to_string() }, "group").await.unwrap();
    }
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, _| {
        let log = seen.clone();
        async move {
            log.add(format!("begun {}", order.order));
            seconds(100).await;
            log.add(format!("ended {}", order.order));
            Ok(Outcome::Done)
        }
    });
    let own = Subscription::own(&shop.shared(), Blue, &shop.dead);
    let running = shop.consume(own, following(None), dispatch, ConsumerConfig::default());
    log.reach(1).await;
    running.handle.pause();
    seconds(10).await;
    assert_eq!((running.handle.report().released, shop.counts(&shop.urls.blue).await), (3, (3, 1)));
    running.handle.resume();
    log.reach(8).await;
    running.stop(SOON).await;
    let turns = (0..4).flat_map(|n| [format!("begun {n}"), format!("ended {n}")]);
    assert_eq!(log.lines(), turns.collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_is_parked_or_passed_on_keeps_its_group() {
    let (shop, log) = (Shop::with(".fifo").await, Log::default());
    let sent = producer(&shop, shop.separate()).send(&Order { order: "a".to_owned() }, "g").await;
    assert_eq!(sent.unwrap().color, Some(Blue));
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, _| {
        seen.add(order.order);
        std::future::ready(Ok(Outcome::PassOn))
    });
    let running = shop.blue(dispatch, ConsumerConfig::default());
    until(|| running.handle.report().passed == 1).await;
    running.stop(SOON).await;
    assert_eq!(shop.counts(&shop.urls.green).await, (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_cannot_be_a_group_is_refused_by_name() {
    let shop = Shop::with(".fifo").await;
    let producer = producer(&shop, shop.shared());
    for key in ["", "a b", "\u{e4}", &"k".repeat(129)] {
        let error = producer.send(&Order { order: "a".to_owned() }, key).await.unwrap_err();
        assert!(matches!(&error, SendError::Key { found } if found == key), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_identifier_that_cannot_deduplicate_is_refused_by_name_where_it_has_to() {
    let order = Order { order: "a".to_owned() };
    let (fifo, standard) = (Shop::with(".fifo").await, Shop::open().await);
    for id in ["", "a b", "\u{e4}", &"i".repeat(129)] {
        let producer = producer(&fifo, fifo.shared());
        let error = producer.draft(&order, "k").with_id(id).send().await.unwrap_err();
        assert!(matches!(&error, SendError::Id { found } if found == id), "{error}");
        let producer = self::producer(&standard, standard.shared());
        assert!(producer.draft(&order, "k").with_id(id).send().await.is_ok(), "{id:?}");
    }
    let longest = "~".repeat(128);
    producer(&fifo, fifo.shared()).draft(&order, "k").with_id(&longest).send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_group_that_was_lost_while_it_waited_is_begun_anew_in_order() {
    let (shop, log) = (Shop::with(".fifo").await, Log::default());
    let producer = producer(&shop, shop.shared());
    for n in 0..3 {
        producer.send(&Order { order: n.to_string() }, "group").await.unwrap();
    }
    let extends = Calls::to(Service::Sqs).operation("ChangeMessageVisibilityBatch");
    let refused = shop.world.faults().inject(Rule::new(extends, Fault::AccessDenied));
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, context| {
        let log = seen.clone();
        async move {
            let lost = if context.is_lease_lost() { " lost" } else { "" };
            log.add(format!("{}{lost}", order.order));
            if context.receive_count() == 1 {
                seconds(40).await;
            }
            Ok(Outcome::Done)
        }
    });
    let own = Subscription::own(&shop.shared(), Blue, &shop.dead);
    let running = shop.consume(own, following(None), dispatch, ConsumerConfig::default());
    until(|| running.handle.report().lost_leases == 3).await;
    drop(refused);
    log.reach(4).await;
    seconds(100).await;
    running.stop(SOON).await;
    // The first was handled twice, as its lease was lost; the others never out of turn.
    assert_eq!(log.lines(), ["0", "0", "1", "2"]);
    assert_eq!(shop.counts(&shop.urls.blue).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_hangs_keeps_no_message_back_at_a_stop() {
    let (shop, log) = (Shop::with(".fifo").await, Log::default());
    let producer = producer(&shop, shop.shared());
    for n in 0..2 {
        producer.send(&Order { order: n.to_string() }, "group").await.unwrap();
    }
    let extends = Calls::to(Service::Sqs).operation("ChangeMessageVisibilityBatch");
    let hung = shop.world.faults().inject(Rule::new(extends, Fault::Hang).first(1));
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, _| {
        seen.add(order.order);
        std::future::pending()
    });
    let own = Subscription::own(&shop.shared(), Blue, &shop.dead);
    let running = shop.consume(own, following(None), dispatch, ConsumerConfig::default());
    until(|| hung.count() == 1).await;
    let report = running.stop(Duration::from_secs(4)).await;
    assert_eq!((log.lines(), report.released), (vec!["0".to_owned()], 2));
    assert_eq!(shop.counts(&shop.urls.blue).await, (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_single_lease_that_is_lost_puts_its_group_back_in_order() {
    // The first of the group while it is handled, then the second while it waits.
    for (place, expected) in [(0, vec!["0", "0", "1", "2"]), (1, vec!["0", "1", "2"])] {
        let (shop, log) = (Shop::with(".fifo").await, Log::default());
        let producer = producer(&shop, shop.shared());
        for n in 0..3 {
            producer.send(&Order { order: n.to_string() }, "group").await.unwrap();
        }
        let failing = Failing {
            operation: "ChangeMessageVisibilityBatch",
            place,
            times: 1,
            error: json!({ "SenderFault": true, "Code": "ReceiptHandleIsInvalid" }),
            refused: Arc::default(),
        };
        let client = client(PartlyFailing { world: shop.world.clone(), failing });
        let seen = log.clone();
        let dispatch = on(UnknownPolicy::Park, move |order, context| {
            let log = seen.clone();
            async move {
                let lost = if context.is_lease_lost() { " lost" } else { "" };
                log.add(format!("{}{lost}", order.order));
                if log.len() == 1 {
                    seconds(40).await;
                }
                Ok(Outcome::Done)
            }
        });
        let own = Subscription::own(&shop.shared(), Blue, &shop.dead);
        let config = ConsumerConfig::default();
        let (_, consumer) = Consumer::new(client, own, following(None), dispatch, config).unwrap();
        let (stopper, stop) = Stop::new();
        let driver = tokio::spawn(consumer.run(stop));
        log.reach(expected.len()).await;
        seconds(100).await;
        stopper.stop(SOON);
        let report = driver.await.unwrap().unwrap();
        assert_eq!((log.lines(), report.lost_leases), (lines(&expected), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn one_slow_message_never_starves_the_other_groups() {
    let (shop, log) = (Shop::with(".fifo").await, Log::default());
    let producer = producer(&shop, shop.shared());
    // A receive takes all it can of one group: ten messages, of which the first is slow.
    for (group, many) in [("a", 10), ("b", 10), ("c", 10)] {
        for n in 0..many {
            producer.send(&Order { order: format!("{group}{n}") }, group).await.unwrap();
        }
    }
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, _| {
        let log = seen.clone();
        async move {
            if order.order == "a0" {
                seconds(1_000).await;
            }
            log.add(order.order);
            Ok(Outcome::Done)
        }
    });
    let own = Subscription::own(&shop.shared(), Blue, &shop.dead);
    let begun = tokio::time::Instant::now();
    let running = shop.consume(own, following(None), dispatch, ConsumerConfig::default());
    log.reach(20).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    log.reach(30).await;
    let report = running.stop(SOON).await;
    assert_eq!((report.received, report.lost_leases, report.undeleted), (30, 0, 0));
}

/// Lets time pass that nobody notices, as when the process is stopped for a while.
fn stall(time: Duration) {
    use std::task::{Context, Waker};
    // The clock is moved by the first poll.
    let advanced = std::pin::pin!(tokio::time::advance(time));
    let _pending = advanced.poll(&mut Context::from_waker(Waker::noop()));
}

#[tokio::test(start_paused = true)]
async fn after_a_stall_nothing_is_begun_whose_lease_has_ended_meanwhile() {
    let (shop, log) = (Shop::with(".fifo").await, Log::default());
    let producer = producer(&shop, shop.shared());
    for n in 0..3 {
        producer.send(&Order { order: n.to_string() }, "group").await.unwrap();
    }
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, context| {
        seen.add(format!("{} {}", order.order, context.receive_count()));
        if seen.len() == 1 {
            stall(Duration::from_secs(40));
        }
        std::future::ready(Ok(Outcome::Done))
    });
    let own = Subscription::own(&shop.shared(), Blue, &shop.dead);
    let running = shop.consume(own, following(None), dispatch, ConsumerConfig::default());
    until(|| running.handle.report().handled == 4).await;
    seconds(100).await;
    // By then others may have the whole group: who goes on with the second could overtake them.
    assert_eq!(log.lines(), ["0 1", "0 2", "1 2", "2 2"]);
    let report = running.stop(SOON).await;
    assert_eq!((report.handled, report.lost_leases), (4, 3));
}

#[tokio::test(start_paused = true)]
async fn after_a_stall_nothing_that_was_kept_is_begun_whose_lease_has_ended_meanwhile() {
    let (shop, log) = (Shop::with(".fifo").await, Log::default());
    let asks = std::sync::atomic::AtomicU32::new(0);
    let hand_over = HandOver::new(
        |_| std::future::ready(Ok(())),
        move |_| {
            if asks.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
                stall(Duration::from_secs(40));
            }
            std::future::ready(Ok(true))
        },
    );
    let body = order("a").replacen('{', r#"{"bluegreen-after":"a marker","#, 1);
    shop.put_group(&shop.urls.blue, "group", &body).await;
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, context| {
        seen.add(format!("{} {}", order.order, context.receive_count()));
        std::future::ready(Ok(Outcome::Done))
    });
    let running = shop.blue(dispatch, ConsumerConfig::default().with_hand_over(hand_over));
    log.reach(1).await;
    seconds(100).await;
    running.stop(SOON).await;
    assert_eq!(log.lines(), ["a 2"]);
}

/// 2,000 here; set `BLUEGREEN_FIFO_MESSAGES` for more.
fn many() -> usize {
    std::env::var("BLUEGREEN_FIFO_MESSAGES").map_or(2_000, |many| many.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_shared_fifo_queue_keeps_the_order_of_its_groups_while_the_share_moves() {
    let (shop, log) = (Shop::with(".fifo").await, Log::default());
    let (store, following) = live();
    share(&store, 0).await;
    share(&store, 0).await;
    following.known().await;
    let running: Vec<_> = [Blue, Green]
        .into_iter()
        .map(|color| {
            let seen = log.clone();
            let dispatch = on(UnknownPolicy::Park, move |order, context| {
                let log = seen.clone();
                async move {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    let place: usize = order.order.rsplit('-').next().unwrap().parse().unwrap();
                    if place.is_multiple_of(97) && context.receive_count() == 1 {
                        return Err("one that holds its group".into());
                    }
                    log.add(format!("{color} {}", order.order));
                    Ok(Outcome::Done)
                }
            });
            let own = Subscription::own(&shop.shared(), color, &shop.dead);
            shop.consume(own, following.clone(), dispatch, ConsumerConfig::default())
        })
        .collect();
    let producer = producer(&shop, shop.shared());
    let (many, mut sent) = (many(), 0);
    for green in [0, 100, 500, 1000, 0] {
        share(&store, green).await;
        for _ in 0..many / 5 {
            let group = format!("g{}", sent % 20);
            let order = Order { order: format!("{group}-{sent}") };
            producer.send(&order, &group).await.unwrap();
            sent += 1;
        }
        // Long enough for all to follow, not to handle what was sent: a backlog is there at each
        // step.
        seconds(u64::try_from(many).unwrap().div_ceil(500)).await;
    }
    log.reach(sent).await;
    seconds(100).await;
    assert_eq!(shop.counts(&shop.urls.blue).await, (0, 0));
    let lines = log.lines();
    assert_eq!(lines.len(), sent, "each is handled once");
    let mut last = std::collections::HashMap::new();
    for line in &lines {
        let (group, place) = line.split_once(' ').unwrap().1.split_once('-').unwrap();
        let place: usize = place.parse().unwrap();
        if let Some(before) = last.insert(group, place) {
            assert!(before < place, "{group}: {before} before {place}");
        }
    }
    for color in ["blue", "green"] {
        let had = lines.iter().filter(|line| line.starts_with(color)).count();
        assert!(had > sent / 100, "{color} had {had} of {sent}");
    }
    for one in running {
        one.stop(SOON).await;
    }
}

fn lines(of: &[&str]) -> Vec<String> {
    of.iter().map(|&line| line.to_owned()).collect()
}
