//! Payloads that are too large for SQS, kept elsewhere.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bluegreen_core::{ContractVersion, Members, Roster, Stop, Store as _};
use bluegreen_queue::{
    ClaimCheck, ConsumerConfig, Envelope, Message, Outcome, Producer, ProducerConfig, SendError,
    UnknownPolicy, WriteGate, attributes,
};

use crate::gates::{live, share};
use crate::shop::{
    Blue, Green, Log, Order, Shop, following, key, on, seconds, text, until, writing,
};

const SOON: Duration = Duration::from_secs(5);
const LARGE: usize = 3 << 20;

/// A place for payloads, as a bucket is.
#[derive(Clone, Debug, Default)]
struct Bucket {
    kept: Arc<Mutex<BTreeMap<String, String>>>,
    is_away: Arc<AtomicBool>,
}

impl Bucket {
    fn claims(&self) -> ClaimCheck {
        let (writer, reader) = (self.clone(), self.clone());
        let away = || Err::<(), _>("the bucket is away".into());
        ClaimCheck::new(
            move |key, payload| {
                let is_away = writer.is_away.load(Ordering::SeqCst);
                if !is_away {
                    writer.kept.lock().unwrap().insert(key, payload);
                }
                async move { if is_away { away() } else { Ok(()) } }
            },
            move |key| {
                let found = reader.kept.lock().unwrap().get(&key).cloned();
                let is_away = reader.is_away.load(Ordering::SeqCst);
                async move { if is_away { away().map(|()| None) } else { Ok(found) } }
            },
        )
    }

    fn len(&self) -> usize {
        self.kept.lock().unwrap().len()
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, String>)) {
        change(&mut self.kept.lock().unwrap());
    }
}

fn config(shop: &Shop, bucket: &Bucket) -> ProducerConfig {
    let config = ProducerConfig::default().with_clock(shop.world.clock());
    config.with_claim_check(bucket.claims())
}

fn producer(shop: &Shop, bucket: &Bucket) -> Producer {
    let (client, config) = (shop.world.sqs_as("producer"), config(shop, bucket));
    Producer::new(client, shop.separate(), following(None), Blue, config).unwrap()
}

fn an(bytes: usize) -> Order {
    Order { order: "x".repeat(bytes) }
}

/// A handler that writes down how large orders are.
fn measuring(log: &Log) -> bluegreen_queue::Dispatch {
    let seen = log.clone();
    on(UnknownPolicy::Park, move |order, context| {
        seen.add(format!("{} {}", order.order.len(), context.envelope().payload().len()));
        std::future::ready(Ok(Outcome::Done))
    })
}

fn consuming(bucket: &Bucket) -> ConsumerConfig {
    ConsumerConfig::default().with_claim_check(bucket.claims())
}

#[tokio::test(start_paused = true)]
async fn a_payload_above_the_limit_is_kept_elsewhere_and_handlers_do_not_notice() {
    let (shop, log, bucket) = (Shop::open().await, Log::default(), Bucket::default());
    let producer = producer(&shop, &bucket);
    producer.send(&an(10), "k").await.unwrap();
    producer.send(&an(200_000), "k").await.unwrap();
    assert_eq!(bucket.len(), 0, "a queue takes them as they are");
    producer.send(&an(LARGE), "k").await.unwrap();
    producer.draft(&an(LARGE), "k").with_attribute("a", "v").send().await.unwrap();
    assert_eq!(bucket.len(), 2);
    let running = shop.blue(measuring(&log), consuming(&bucket));
    log.reach(4).await;
    let mut found = log.lines();
    found.sort();
    let line = |bytes: usize| format!("{bytes} {}", bytes + r#"{"order":""}"#.len());
    assert_eq!(found, [line(10), line(200_000), line(LARGE), line(LARGE)]);
    running.stop(SOON).await;
    assert_eq!(bucket.len(), 2, "whoever receives a message again needs it again");
}

#[tokio::test(start_paused = true)]
async fn a_batching_producer_puts_payloads_away_as_well() {
    let (shop, log, bucket) = (Shop::open().await, Log::default(), Bucket::default());
    let config = config(&shop, &bucket);
    let (producer, courier) =
        Producer::batching(shop.world.sqs(), shop.separate(), following(None), Blue, config)
            .unwrap();
    tokio::spawn(courier.run(Stop::never()));
    let large = an(LARGE);
    let sends = (0..10).map(|_| producer.send(&large, "k"));
    for sent in futures_util::future::join_all(sends).await {
        sent.unwrap();
    }
    assert_eq!(
        (bucket.len(), shop.world.calls(bluegreen_local::Service::Sqs, "SendMessageBatch")),
        (10, 1)
    );
    let running = shop.blue(measuring(&log), consuming(&bucket));
    log.reach(10).await;
    running.stop(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_goes_where_the_deployment_stands_once_its_payload_is_away() {
    let (shop, bucket) = (Shop::open().await, Bucket::default());
    let (store, following) = live();
    share(&store, 0).await;
    share(&store, 0).await;
    following.known().await;
    let puts = bucket.clone();
    let slow = ClaimCheck::new(
        move |key, payload| {
            puts.kept.lock().unwrap().insert(key, payload);
            async {
                seconds(60).await;
                Ok(())
            }
        },
        |_| async { Ok(None) },
    );
    let config = ProducerConfig::default().with_claim_check(slow);
    let client = shop.world.sqs_as("producer");
    let producer = Producer::new(client, shop.separate(), following, Blue, config).unwrap();
    let sending = tokio::spawn(async move { producer.send(&an(LARGE), "k").await });
    until(|| bucket.len() == 1).await;
    share(&store, 1000).await;
    // Whoever waits for all to follow that, and then for the longest send, takes blue's queue for
    // one that nobody sends to any more.
    assert_eq!(sending.await.unwrap().unwrap().color, Some(Green));
    assert_eq!(shop.counts(&shop.urls.blue).await, (0, 0));
    let found = shop.look(&shop.urls.green).await;
    let envelope: Envelope = found[0].body().unwrap().parse().unwrap();
    assert_eq!(envelope.revision(), store.load(&key()).await.unwrap().map(|now| now.revision()));
    assert_eq!(bucket.len(), 1, "it is put away once");
}

/// How much there is of each article, in the newer version and in the one before.
#[derive(serde::Serialize, serde::Deserialize)]
struct Stock<const MAJOR: u16>(HashMap<String, u32>);

impl<const MAJOR: u16> Message for Stock<MAJOR> {
    const TYPE: &str = "StockCounted";
    const VERSION: ContractVersion = ContractVersion::new(MAJOR, 0);
}

#[tokio::test(start_paused = true)]
async fn a_payload_whose_text_is_another_each_time_it_is_written_is_put_away_once() {
    let shop = Shop::open().await;
    let puts = AtomicUsize::new(0);
    let once = ClaimCheck::new(
        move |_, _| {
            let again = puts.fetch_add(1, Ordering::SeqCst) > 0;
            std::future::ready(if again { Err("it is put away again".into()) } else { Ok(()) })
        },
        |_| std::future::ready(Ok(None)),
    );
    // Each step down reads a map anew, and each map has an order of its own.
    let sample = Stock::<2>(HashMap::from([("article".to_owned(), 1)]));
    let gate = WriteGate::builder(Roster::fixed(Members::default()))
        .newest::<Stock<2>>()
        .step_down(&sample, &[], |Stock(newer): Stock<2>| Ok(Stock::<1>(newer)));
    let config = ProducerConfig::default()
        .with_claim_check(once.with_threshold(1_024))
        .with_write_gate(gate.build().unwrap());
    let client = shop.world.sqs_as("producer");
    let producer = Producer::new(client, shop.separate(), following(None), Blue, config).unwrap();
    let stock = Stock::<2>((0..1_000).map(|n| (format!("article {n}"), n)).collect());
    let sent = producer.send(&stock, "k").await.unwrap();
    assert_eq!(sent.version, Stock::<1>::VERSION);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_put_away_is_not_sent() {
    let (shop, bucket) = (Shop::open().await, Bucket::default());
    bucket.is_away.store(true, Ordering::SeqCst);
    let error = producer(&shop, &bucket).send(&an(LARGE), "k").await.unwrap_err();
    assert!(matches!(error, SendError::Claim { .. }) && error.is_retryable(), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        (cause.as_str(), shop.counts(&shop.urls.blue).await),
        ("the bucket is away", (0, 0))
    );
    let tight = config(&shop, &bucket).with_max_size(1_000);
    let error = Producer::new(shop.world.sqs(), shop.separate(), following(None), Blue, tight);
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("claim_check of 262144 does not fit"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_cannot_be_got_at_the_moment_comes_again() {
    let (shop, log, bucket) = (Shop::open().await, Log::default(), Bucket::default());
    producer(&shop, &bucket).send(&an(LARGE), "k").await.unwrap();
    bucket.is_away.store(true, Ordering::SeqCst);
    let running = shop.blue(measuring(&log), consuming(&bucket));
    until(|| running.handle.report().failed == 2).await;
    bucket.is_away.store(false, Ordering::SeqCst);
    log.reach(1).await;
    assert_eq!(running.stop(SOON).await.parked, 0);
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_is_gone_or_another_is_poison_and_its_message_keeps_the_claim() {
    type Change = fn(&mut BTreeMap<String, String>);
    let longer: Change = |kept| kept.values_mut().for_each(|text| text.push(' '));
    let other: Change = |kept| kept.values_mut().for_each(|text| text.replace_range(..1, "["));
    let changes: [(Change, &str); 3] = [
        (BTreeMap::clear, "there is no payload kept as "),
        (longer, "the payload kept as "),
        (other, "the field \"payload\" does not fit"),
    ];
    for (change, expected) in changes {
        let (shop, log, bucket) = (Shop::open().await, Log::default(), Bucket::default());
        producer(&shop, &bucket).send(&an(LARGE), "k").await.unwrap();
        let whole = bucket.kept.lock().unwrap().clone();
        bucket.change(change);
        let running = shop.blue(measuring(&log), consuming(&bucket));
        until(|| running.handle.report().parked == 1).await;
        running.stop(SOON).await;
        let parked = shop.look(&shop.dead).await.remove(0);
        let reason = text(&parked, attributes::REASON).unwrap();
        assert!(reason.starts_with(expected), "{reason}");
        // Sent back once the payload is there again, it is handled.
        *bucket.kept.lock().unwrap() = whole;
        shop.put(&shop.urls.blue, parked.body().unwrap()).await;
        let running = shop.blue(measuring(&log), consuming(&bucket));
        log.reach(1).await;
        running.stop(SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_claim_check_a_claim_is_parked_and_a_large_payload_refused() {
    let (shop, log, bucket) = (Shop::open().await, Log::default(), Bucket::default());
    producer(&shop, &bucket).send(&an(LARGE), "k").await.unwrap();
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    until(|| running.handle.report().parked == 1).await;
    running.stop(SOON).await;
    let parked = shop.look(&shop.dead).await.remove(0);
    let reason = text(&parked, attributes::REASON);
    assert_eq!(reason, Some("its payload is kept elsewhere, and there is no claim check"));
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_panics_is_a_place_that_is_away() {
    let (shop, log, bucket) = (Shop::open().await, Log::default(), Bucket::default());
    let panics = || {
        ClaimCheck::new(
            |_, _| async { panic!("no bucket to put into") },
            |_| async { panic!("no bucket to get from") },
        )
    };
    let config = ProducerConfig::default().with_claim_check(panics());
    let client = shop.world.sqs_as("producer");
    let panicking = Producer::new(client, shop.separate(), following(None), Blue, config).unwrap();
    let error = panicking.send(&an(LARGE), "k").await.unwrap_err();
    assert!(matches!(error, SendError::Claim { .. }), "{error}");
    producer(&shop, &bucket).send(&an(LARGE), "k").await.unwrap();
    let config = ConsumerConfig::default().with_claim_check(panics());
    let running = shop.blue(measuring(&log), config);
    until(|| running.handle.report().failed == 2).await;
    assert_eq!(running.stop(SOON).await.parked, 0);
    let running = shop.blue(measuring(&log), consuming(&bucket));
    log.reach(1).await;
    running.stop(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_that_panics_when_it_is_written_fails_its_message_and_holds_its_group_no_longer() {
    let (shop, log, bucket) = (Shop::with(".fifo").await, Log::default(), Bucket::default());
    crate::failures::allow(&shop, 2).await;
    let producer = producer(&shop, &bucket);
    producer.send(&an(LARGE), "k").await.unwrap();
    producer.send(&an(10), "k").await.unwrap();
    let unspeakable = ClaimCheck::new(
        |_, _| std::future::ready(Ok(())),
        |_| std::future::ready(Err(crate::failures::Unspeakable.into())),
    );
    let config = ConsumerConfig::default().with_claim_check(unspeakable);
    let running = shop.blue(measuring(&log), config);
    let begun = tokio::time::Instant::now();
    log.reach(1).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "not for as long as a lease");
    let report = running.stop(SOON).await;
    assert_eq!((report.failed, report.parked), (1, 1));
    let parked = shop.look(&shop.dead).await.remove(0);
    let reason = text(&parked, attributes::REASON).unwrap();
    assert!(reason.ends_with(": the closure's error cannot be written"), "{reason}");
}

#[cfg(feature = "dynamodb")]
#[tokio::test(start_paused = true)]
async fn a_repetition_is_told_by_the_payload_and_not_by_its_claim() {
    use bluegreen_queue::{Consumer, Idempotency, IdempotencyConfig, Subscription};
    use tower_layer::Layer as _;
    let (shop, log, bucket) = (Shop::open().await, Log::default(), Bucket::default());
    crate::idempotent::table(&shop).await;
    let config = IdempotencyConfig::default().with_clock(shop.world.clock());
    let once = Idempotency::new(shop.world.dynamodb(), "handled", "orders", config).unwrap();
    let own = Subscription::own(&shop.separate(), Blue, &shop.dead);
    let service = once.layer(measuring(&log));
    let client = shop.world.sqs_as("blue");
    let (handle, consumer) =
        Consumer::new(client, own, following(None), service, consuming(&bucket)).unwrap();
    let (stopper, stop) = Stop::new();
    let driver = tokio::spawn(consumer.run(stop));
    let producer = producer(&shop, &bucket);
    for _ in 0..2 {
        producer.draft(&an(LARGE), "k").with_id("7").send().await.unwrap();
    }
    assert_eq!(bucket.len(), 2, "each has a claim of its own");
    until(|| handle.report().handled == 2).await;
    let other = Order { order: "y".repeat(LARGE) };
    producer.draft(&other, "k").with_id("7").send().await.unwrap();
    until(|| handle.report().parked == 1).await;
    stopper.stop(SOON);
    driver.await.unwrap().unwrap();
    assert_eq!(log.len(), 1);
    let parked = shop.look(&shop.dead).await.remove(0);
    let reason = text(&parked, attributes::REASON);
    assert_eq!(reason, Some("another message of this type has the id \"7\""));
}
