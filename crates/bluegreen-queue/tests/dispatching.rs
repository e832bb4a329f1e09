//! What becomes of messages that a release does not handle.

use std::time::Duration;

use bluegreen_queue::{ConsumerConfig, Envelope, Parked, Subscription, UnknownPolicy, attributes};

use crate::shop::{
    Blue, Green, Log, Shop, following, on, order, seconds, text, until, versioned, writing,
};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn an_unknown_version_is_never_handled_as_v1_but_parked_with_its_reason() {
    let (shop, log) = (Shop::open().await, Log::default());
    let body = versioned("2.0", "a");
    let id = shop.put(&shop.urls.blue, &body).await;
    shop.put(&shop.urls.blue, &order("b")).await;
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    until(|| running.handle.report().parked == 1).await;
    log.reach(1).await;
    let report = running.stop(SOON).await;
    assert_eq!(log.lines(), ["b"]);
    assert_eq!((report.handled, report.parked, report.undeleted), (1, 1, 0));
    let parked = shop.look(&shop.dead).await;
    assert_eq!(parked[0].body(), Some(&*body));
    assert_eq!(
        text(&parked[0], attributes::REASON),
        Some("OrderPlaced 2.0 is unknown: known are 1.0")
    );
    assert_eq!(text(&parked[0], attributes::ORIGINAL_ID), Some(&*id));
    assert_eq!(shop.counts(&shop.urls.blue).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn poison_is_parked_with_its_body_intact() {
    let (shop, log) = (Shop::open().await, Log::default());
    let poison = [" {\"version\": \"1.0\", \"type\":", "not JSON \u{e9}\u{1f980}", "[]", "{}\n"];
    for body in poison {
        shop.put_with(&shop.urls.blue, body, 2).await;
    }
    let running = shop.blue(writing(&log, UnknownPolicy::Fail), ConsumerConfig::default());
    until(|| running.handle.report().parked == 4).await;
    running.stop(SOON).await;
    let mut parked = shop.look(&shop.dead).await;
    parked.sort_by_key(|message| poison.iter().position(|body| message.body() == Some(body)));
    assert_eq!(parked.iter().filter_map(|message| message.body()).collect::<Vec<_>>(), poison);
    for message in &parked {
        assert!(text(message, attributes::REASON).is_some_and(|reason| !reason.is_empty()));
        assert_eq!(text(message, "a1"), Some("v"));
    }
    assert_eq!(log.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_ten_attributes_are_used_is_parked_with_its_reason_around_it() {
    let (shop, log) = (Shop::open().await, Log::default());
    let id = shop.put_with(&shop.urls.blue, &versioned("2.0", "a"), 10).await;
    let policy = UnknownPolicy::PassToOtherColor;
    let running = shop.blue(writing(&log, policy), ConsumerConfig::default());
    until(|| running.handle.report().parked == 1).await;
    running.stop(SOON).await;
    let parked = shop.look(&shop.dead).await;
    assert_eq!(parked[0].message_attributes.as_ref().unwrap().len(), 10);
    assert_eq!(shop.counts(&shop.urls.green).await, (0, 0));
    let around: Envelope = parked[0].body().unwrap().parse().unwrap();
    let around: Parked = around.read().unwrap();
    assert_eq!((&*around.body, &*around.original_id), (&*versioned("2.0", "a"), &*id));
    assert!(around.reason.starts_with("it cannot be passed on"), "{}", around.reason);
}

#[tokio::test(start_paused = true)]
async fn what_was_parked_with_its_reason_around_it_can_be_sent_back_and_is_handled() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_with(&shop.urls.blue, &versioned("2.0", "a"), 10).await;
    shop.put_with(&shop.urls.blue, "poison \u{7f}", 10).await;
    for _ in 0..2 {
        let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
        until(|| running.handle.report().parked == 2).await;
        running.stop(SOON).await;
        // Parked again it has one wrapping still, and the body is what it was.
        let mut bodies = Vec::new();
        for message in shop.look(&shop.dead).await {
            let envelope: Envelope = message.body().unwrap().parse().unwrap();
            bodies.push(envelope.read::<Parked>().unwrap().body);
            shop.put_with(&shop.urls.blue, message.body().unwrap(), 10).await;
        }
        bodies.sort();
        assert_eq!(bodies, ["poison \u{7f}", &versioned("2.0", "a")]);
        shop.clear(&shop.dead).await;
        seconds(61).await;
    }
    let seen = log.clone();
    let dispatch = bluegreen_queue::Dispatch::builder()
        .on::<Later, _>(move |order, context| {
            seen.add(format!("{} {}", order.order, context.envelope().version()));
            std::future::ready(Ok(bluegreen_queue::Outcome::Done))
        })
        .unknown(UnknownPolicy::Park)
        .build()
        .unwrap();
    let running = shop.blue(dispatch, ConsumerConfig::default());
    log.reach(1).await;
    until(|| running.handle.report().parked == 1).await;
    running.stop(SOON).await;
    assert_eq!(log.lines(), ["a 2.0"]);
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Later {
    order: String,
}

impl bluegreen_queue::Message for Later {
    const TYPE: &str = "OrderPlaced";
    const VERSION: bluegreen_core::ContractVersion = bluegreen_core::ContractVersion::new(2, 0);
}

#[tokio::test(start_paused = true)]
async fn a_reason_of_any_length_and_characters_finds_its_place_around_a_body() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_with(&shop.urls.blue, &order("a"), 10).await;
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, _| {
        seen.add(order.order);
        let reason = format!("\u{fffe}no stock\u{0}{}", "ä".repeat(1 << 20));
        std::future::ready(Ok(bluegreen_queue::Outcome::Park(reason)))
    });
    let running = shop.blue(dispatch, ConsumerConfig::default());
    log.reach(1).await;
    seconds(60).await;
    assert_eq!(running.stop(SOON).await.parked, 1);
    let parked = shop.look(&shop.dead).await;
    let around: Envelope = parked[0].body().unwrap().parse().unwrap();
    let around: Parked = around.read().unwrap();
    assert_eq!(around.body, order("a"));
    assert!(around.reason.starts_with("no stockä"), "{:.20}", around.reason);
}

#[tokio::test(start_paused = true)]
async fn messages_in_every_form_reach_their_handler() {
    let (shop, log) = (Shop::open().await, Log::default());
    let cloud_event = r#"{"specversion":"1.0","id":"1","source":"/s","type":"OrderPlaced.v1","data":{"order":"b"}}"#;
    let notification = serde_json::json!({
        "Type": "Notification", "MessageId": "2", "TopicArn": "arn:aws:sns:eu-central-1:1:orders",
        "Message": order("c"), "Timestamp": "2026-11-22T10:00:00.000Z",
    });
    let event = r#"{"version":"0","id":"3","detail-type":"OrderPlaced.v1","source":"shop","account":"1","time":"2026-11-22T10:00:00Z","region":"eu-central-1","resources":[],"detail":{"order":"d"}}"#;
    for body in [&*order("a"), cloud_event, &*notification.to_string(), event, r#"{"order":"e"}"#] {
        shop.put(&shop.urls.blue, body).await;
    }
    let bodies = bluegreen_queue::Bodies::default()
        .with_raw("OrderPlaced", bluegreen_core::ContractVersion::new(1, 0));
    let config = ConsumerConfig::default().with_bodies(bodies);
    let running = shop.blue(writing(&log, UnknownPolicy::Park), config);
    log.reach(5).await;
    running.stop(SOON).await;
    let mut lines = log.lines();
    lines.sort();
    assert_eq!(lines, ["a", "b", "c", "d", "e"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_too_large_for_another_attribute_is_parked_as_it_is() {
    let (shop, log) = (Shop::open().await, Log::default());
    // What queues take that were not told otherwise.
    let limit = 262_144;
    let unknown = versioned("2.0", &"x".repeat(limit - versioned("2.0", "").len()));
    for body in ["poison".repeat(limit / 6 + 1)[..limit].to_owned(), unknown] {
        shop.put(&shop.urls.blue, &body).await;
        let policy = UnknownPolicy::PassToOtherColor;
        let running = shop.blue(writing(&log, policy), ConsumerConfig::default());
        seconds(60).await;
        let report = running.stop(SOON).await;
        assert_eq!((report.parked, report.failed, report.passed), (1, 0, 0));
        let parked = shop.look(&shop.dead).await;
        assert!(parked[0].body() == Some(&*body) && parked[0].message_attributes.is_none());
        shop.clear(&shop.dead).await;
    }
    assert_eq!(shop.counts(&shop.urls.green).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn with_two_queues_a_message_is_passed_to_the_other_color_which_handles_it() {
    let (shop, log) = (Shop::open().await, Log::default());
    let id = shop.put(&shop.urls.blue, &versioned("2.0", "a")).await;
    let policy = UnknownPolicy::PassToOtherColor;
    let running = shop.blue(writing(&log, policy), ConsumerConfig::default());
    until(|| running.handle.report().passed == 1).await;
    running.stop(SOON).await;
    let passed = shop.look(&shop.urls.green).await;
    assert_eq!(passed[0].body(), Some(&*versioned("2.0", "a")));
    assert_eq!(text(&passed[0], attributes::ORIGINAL_ID), Some(&*id));
    assert_eq!(text(&passed[0], attributes::PASSES), Some("1"));
    assert_eq!(shop.counts(&shop.urls.blue).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_passed_on_to_a_color_of_which_no_process_lives() {
    use bluegreen_core::{Members, Roster};
    // Where not even this process is seen, nobody knows who else lives.
    for (living, passed) in [(vec![Blue], 0), (vec![Blue, Green], 1), (vec![], 1)] {
        let (shop, log) = (Shop::open().await, Log::default());
        shop.put(&shop.urls.blue, &versioned("2.0", "a")).await;
        let roster =
            Roster::fixed(Members::living(living.into_iter().map(crate::gates::living).collect()));
        let own = Subscription::own(&shop.separate(), Blue, &shop.dead).with_roster(roster);
        let dispatch = writing(&log, UnknownPolicy::PassToOtherColor);
        let running = shop.consume(own, following(None), dispatch, ConsumerConfig::default());
        until(|| running.handle.report().passed + running.handle.report().parked == 1).await;
        assert_eq!(running.stop(SOON).await.passed, passed);
        assert_eq!(shop.look(&shop.urls.green).await.len() as u64, passed);
        for parked in shop.look(&shop.dead).await {
            assert_eq!(text(&parked, attributes::REASON), Some("no process of green lives"));
            assert_eq!(parked.body(), Some(&*versioned("2.0", "a")));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_colors_never_play_ping_pong() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put(&shop.urls.blue, &versioned("3.0", "a")).await;
    let [blue, green] = [Blue, Green].map(|color| {
        let own = Subscription::own(&shop.separate(), color, &shop.dead);
        let dispatch = writing(&log, UnknownPolicy::PassToOtherColor);
        shop.consume(own, following(Some(500)), dispatch, ConsumerConfig::default())
    });
    seconds(600).await;
    let (blue, green) = (blue.stop(SOON).await, green.stop(SOON).await);
    assert_eq!((blue.passed, green.passed, blue.parked + green.parked), (1, 1, 1));
    let parked = shop.look(&shop.dead).await;
    let reason = text(&parked[0], attributes::REASON);
    assert_eq!(reason, Some("neither color knows it: passed on 2 times"));
    assert_eq!(parked[0].body(), Some(&*versioned("3.0", "a")));
}

#[tokio::test(start_paused = true)]
async fn what_was_parked_after_all_its_passes_may_be_passed_on_anew_when_it_is_sent_back() {
    let (shop, log) = (Shop::open().await, Log::default());
    let body = versioned("3.0", "a");
    let id = shop.put_with(&shop.urls.blue, &body, 8).await;
    let consume = |color| {
        let own = Subscription::own(&shop.separate(), color, &shop.dead);
        let dispatch = writing(&log, UnknownPolicy::PassToOtherColor);
        shop.consume(own, following(Some(500)), dispatch, ConsumerConfig::default())
    };
    let [blue, green] = [Blue, Green].map(consume);
    until(|| blue.handle.report().parked + green.handle.report().parked == 1).await;
    blue.stop(SOON).await;
    green.stop(SOON).await;
    let parked = shop.look(&shop.dead).await.remove(0);
    let reason = text(&parked, attributes::REASON).expect("there is room beside the sender's");
    assert_eq!(reason, "neither color knows it: passed on 2 times");
    assert_eq!(text(&parked, attributes::ORIGINAL_ID), Some(&*id));
    // A release that knows it is on green now. SQS's redrive keeps all attributes.
    let back = shop.world.sqs_as("observer").send_message().queue_url(&shop.urls.blue);
    let back = back.set_message_attributes(parked.message_attributes.clone());
    back.message_body(&body).send().await.unwrap();
    let blue = consume(Blue);
    until(|| blue.handle.report().passed + blue.handle.report().parked == 1).await;
    assert_eq!(blue.stop(SOON).await.passed, 1);
    assert_eq!(shop.look(&shop.urls.green).await[0].body(), Some(&*body));
}

#[tokio::test(start_paused = true)]
async fn on_a_shared_queue_a_message_waits_for_the_other_color_and_is_parked_at_last() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put(&shop.urls.blue, &versioned("2.0", "a")).await;
    let own = Subscription::own(&shop.shared(), Blue, &shop.dead);
    let dispatch = writing(&log, UnknownPolicy::PassToOtherColor);
    let running = shop.consume(own, following(None), dispatch, ConsumerConfig::default());
    // Four times it is hidden for 30 s, the fifth receive is the last.
    seconds(115).await;
    assert_eq!((running.handle.report().awaited, running.handle.report().parked), (4, 0));
    seconds(10).await;
    let report = running.stop(SOON).await;
    assert_eq!((report.received, report.awaited, report.parked), (5, 4, 1));
    let parked = shop.look(&shop.dead).await;
    let reason = text(&parked[0], attributes::REASON);
    assert_eq!(reason, Some("the other color did not take it in 5 receives"));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_parked_stays_in_its_queue() {
    use bluegreen_local::{Calls, Fault, Rule, Service};
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put(&shop.urls.blue, "poison").await;
    let sends = Calls::to(Service::Sqs).operation("SendMessage").access_key("blue");
    let refused = shop.world.faults().inject(Rule::new(sends, Fault::AccessDenied));
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    until(|| running.handle.report().failed == 3).await;
    drop(refused);
    until(|| running.handle.report().parked == 1).await;
    let report = running.stop(SOON).await;
    assert_eq!((report.failed, report.parked), (3, 1));
    assert_eq!(shop.look(&shop.dead).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_queue_that_is_gone_holds_up_no_other_message_and_loses_none() {
    let (shop, log) = (Shop::open().await, Log::default());
    let sqs = shop.world.sqs_as("observer");
    sqs.delete_queue().queue_url(&shop.dead).send().await.unwrap();
    shop.put(&shop.urls.blue, "poison").await;
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    until(|| running.handle.report().failed == 2).await;
    shop.put(&shop.urls.blue, &order("a")).await;
    log.reach(1).await;
    seconds(61).await;
    let (visible, hidden) = shop.counts(&shop.urls.blue).await;
    assert_eq!(visible + hidden, 1, "the poison is still there");
    sqs.create_queue().queue_name("dead").send().await.unwrap();
    until(|| running.handle.report().parked == 1).await;
    running.stop(SOON).await;
    assert_eq!(shop.look(&shop.dead).await[0].body(), Some("poison"));
}

#[tokio::test(start_paused = true)]
async fn what_the_other_colors_queue_does_not_take_is_parked_with_that_reason() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put(&shop.urls.blue, &versioned("2.0", "a")).await;
    let sqs = shop.world.sqs_as("observer");
    sqs.delete_queue().queue_url(&shop.urls.green).send().await.unwrap();
    let policy = UnknownPolicy::PassToOtherColor;
    let running = shop.blue(writing(&log, policy), ConsumerConfig::default());
    seconds(5).await;
    let report = running.stop(SOON).await;
    assert_eq!((report.parked, report.failed, report.passed), (1, 0, 0));
    let parked = shop.look(&shop.dead).await;
    let reason = text(&parked[0], attributes::REASON);
    assert_eq!(reason, Some("it cannot be passed on: the other color's queue does not exist"));
    assert_eq!(parked[0].body(), Some(&*versioned("2.0", "a")));
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_ask_for_any_outcome() {
    use bluegreen_queue::Outcome;
    let (shop, log) = (Shop::open().await, Log::default());
    for name in ["done", "later", "park", "pass"] {
        shop.put(&shop.urls.blue, &order(name)).await;
    }
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, context| {
        seen.add(format!("{} {}", order.order, context.receive_count()));
        std::future::ready(Ok(match (&*order.order, context.receive_count()) {
            ("later", 1) => Outcome::RetryAfter(Duration::from_secs(100)),
            ("park", _) => Outcome::Park("no stock".to_owned()),
            ("pass", _) => Outcome::PassOn,
            _ => Outcome::Done,
        }))
    });
    let running = shop.blue(dispatch, ConsumerConfig::default());
    seconds(90).await;
    assert_eq!(log.len(), 4);
    seconds(20).await;
    let report = running.stop(SOON).await;
    assert_eq!(log.lines().last().unwrap(), "later 2");
    assert_eq!((report.handled, report.retried, report.parked, report.passed), (2, 1, 1, 1));
    let parked = shop.look(&shop.dead).await;
    assert_eq!(text(&parked[0], attributes::REASON), Some("no stock"));
}

#[tokio::test(start_paused = true)]
async fn a_tower_layer_fits_around_the_dispatch() {
    use bluegreen_core::Stop;
    use bluegreen_queue::{Consumer, Outcome};
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put(&shop.urls.blue, &order("a")).await;
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, context| {
        let log = seen.clone();
        async move {
            seconds(if context.receive_count() == 1 { 100 } else { 1 }).await;
            log.add(format!("{} {}", order.order, context.receive_count()));
            Ok(Outcome::Done)
        }
    });
    let layered = tower::timeout::Timeout::new(dispatch, Duration::from_secs(3));
    let own = Subscription::own(&shop.separate(), Blue, &shop.dead);
    let client = shop.world.sqs_as("blue");
    let config = ConsumerConfig::default();
    let (handle, consumer) = Consumer::new(client, own, following(None), layered, config).unwrap();
    let (stopper, stop) = Stop::new();
    let driver = tokio::spawn(consumer.run(stop));
    log.reach(1).await;
    stopper.stop(SOON);
    driver.await.unwrap().unwrap();
    assert_eq!((log.lines(), handle.report().failed), (vec!["a 2".to_owned()], 1));
}
