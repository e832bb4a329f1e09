//! What becomes of the claim to a message when something goes wrong beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_dynamodb::types::AttributeValue;
use bluegreen_core::{ContractVersion, Share, Stop};
use bluegreen_local::{Calls, Fault, Rule, Service as Aws};
use bluegreen_queue::{
    Bodies, Consumer, ConsumerConfig, Context, Dispatch, Envelope, HandlerError, IdempotencyConfig,
    Outcome, Subscription, UnknownPolicy,
};
use tokio::sync::Semaphore;
use tower::{Service, ServiceExt};
use tower_layer::Layer;

use crate::idempotent::{handle, layer, table};
use crate::shop::{Blue, Log, Shop, following, on, seconds, until};

/// Writes each message down by its type and payload, whatever it is.
fn any(log: &Log) -> Dispatch {
    let log = log.clone();
    let policy = UnknownPolicy::fallback(move |context: Context| {
        let envelope = context.envelope();
        log.add(format!("{} {}", envelope.kind(), envelope.payload()));
        std::future::ready(Ok(Outcome::Done))
    });
    Dispatch::builder().unknown(policy).build().unwrap()
}

fn message(kind: &str, payload: &str, id: &str) -> Envelope {
    let version = ContractVersion::new(9, 0);
    Envelope::from_json(kind, version, payload, UNIX_EPOCH).unwrap().with_id(id)
}

async fn put<S>(service: &S, envelope: Envelope) -> Result<Outcome, HandlerError>
where
    S: Service<Context, Response = Outcome, Error = HandlerError> + Clone,
{
    service.clone().oneshot(Context::new("m", 1, envelope)).await
}

/// Handlers that each wait for a word: done after the first, a failure after the second.
fn waiting(log: &Log, first: &Arc<Semaphore>, second: &Arc<Semaphore>) -> Dispatch {
    let (log, words) = (log.clone(), [Arc::clone(first), Arc::clone(second)]);
    on(UnknownPolicy::Park, move |order, _| {
        log.add(order.order);
        let (place, words) = (log.len() - 1, words.clone());
        async move {
            words[place].acquire().await.unwrap().forget();
            if place == 0 { Ok(Outcome::Done) } else { Err("not today".into()) }
        }
    })
}

#[tokio::test(start_paused = true)]
async fn what_was_done_is_remembered_although_its_claim_had_run_out_and_was_taken_over() {
    let (shop, log) = (Shop::open().await, Log::default());
    table(&shop).await;
    let words = [Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0))];
    let service = layer(&shop).layer(waiting(&log, &words[0], &words[1]));
    let spawn = || {
        let service = service.clone();
        tokio::spawn(async move { handle(&service, "a").await })
    };
    let slow = spawn();
    log.reach(1).await;
    seconds(62).await;
    let second = spawn();
    log.reach(2).await;
    words[0].add_permits(1);
    assert_eq!(slow.await.unwrap().unwrap(), Outcome::Done);
    words[1].add_permits(1);
    assert!(second.await.unwrap().is_err());
    assert_eq!(handle(&service, "a").await.unwrap(), Outcome::Done);
    assert_eq!(log.len(), 2, "the first has done it");
}

#[tokio::test(start_paused = true)]
async fn what_was_done_is_remembered_although_the_time_to_live_has_removed_its_claim() {
    let (shop, log) = (Shop::open().await, Log::default());
    table(&shop).await;
    let words = [Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0))];
    let service = layer(&shop).layer(waiting(&log, &words[0], &words[1]));
    let slow = tokio::spawn({
        let service = service.clone();
        async move { handle(&service, "a").await }
    });
    log.reach(1).await;
    let dynamodb = shop.world.dynamodb();
    for item in dynamodb.scan().table_name("handled").send().await.unwrap().items.unwrap() {
        let gone = dynamodb.delete_item().table_name("handled").key("id", item["id"].clone());
        gone.send().await.unwrap();
    }
    words[0].add_permits(1);
    assert_eq!(slow.await.unwrap().unwrap(), Outcome::Done);
    words[1].add_permits(1);
    assert_eq!(handle(&service, "a").await.unwrap(), Outcome::Done);
    assert_eq!(log.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_record_of_long_ago_that_nobody_has_removed_yet_holds_nothing_up() {
    let (shop, log) = (Shop::open().await, Log::default());
    table(&shop).await;
    let service = layer(&shop).layer(any(&log));
    put(&service, message("Placed", "1", "a")).await.unwrap();
    // DynamoDB removes what has run out within days, not at once.
    seconds(3_700).await;
    let records = shop.world.dynamodb().scan().table_name("handled").send().await.unwrap();
    assert_eq!(records.count, 1);
    let expires = records.items.unwrap()[0]["expires"].clone();
    assert!(matches!(expires, AttributeValue::N(_)), "what time to live reads: {expires:?}");
    put(&service, message("Placed", "1", "a")).await.unwrap();
    assert_eq!(log.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_id_of_two_types_or_two_sources_is_two_messages() {
    let (shop, log) = (Shop::open().await, Log::default());
    table(&shop).await;
    let service = layer(&shop).layer(any(&log));
    let event = |source: &str| {
        let text = format!(
            r#"{{"specversion":"1.0","id":"7","source":"{source}","type":"Event.v9","data":1}}"#
        );
        Bodies::default().read(&text, UNIX_EPOCH).unwrap()
    };
    for _ in 0..2 {
        for envelope in
            [message("Placed", "1", "7"), message("Paid", "1", "7"), event("/a"), event("/b")]
        {
            assert_eq!(put(&service, envelope).await.unwrap(), Outcome::Done);
        }
    }
    assert_eq!(log.lines(), ["Placed 1", "Paid 1", "Event 1", "Event 1"]);
}

#[tokio::test(start_paused = true)]
async fn another_message_under_the_same_id_is_parked_and_never_taken_for_handled() {
    let (shop, log) = (Shop::open().await, Log::default());
    table(&shop).await;
    let service = layer(&shop).layer(any(&log));
    put(&service, message("Placed", "1", "7")).await.unwrap();
    let other = put(&service, message("Placed", "2", "7")).await.unwrap();
    let Outcome::Park(reason) = other else { panic!("{other:?}") };
    assert_eq!(reason, "another message of this type has the id \"7\"");
    // In another version the same message has another payload.
    let older = ContractVersion::new(8, 0);
    let older = Envelope::from_json("Placed", older, "[1]", UNIX_EPOCH).unwrap().with_id("7");
    assert_eq!(put(&service, older).await.unwrap(), Outcome::Done);
    assert_eq!(log.lines(), ["Placed 1"]);
}

#[tokio::test(start_paused = true)]
async fn an_id_that_no_table_takes_neither_fails_for_ever_nor_is_handled_unclaimed() {
    let (shop, log) = (Shop::open().await, Log::default());
    table(&shop).await;
    let service = layer(&shop).layer(any(&log));
    for _ in 0..2 {
        let found = put(&service, message("Placed", "1", "")).await.unwrap();
        assert_eq!(found, Outcome::Done, "SQS's own identifier names it");
    }
    assert_eq!(log.len(), 1);
    let found = put(&service, message("Placed", "1", &"é".repeat(2_000))).await.unwrap();
    assert!(matches!(found, Outcome::Park(_)), "{found:?}");
    assert_eq!(log.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_gives_its_claim_back() {
    let (shop, log) = (Shop::open().await, Log::default());
    table(&shop).await;
    let seen = log.clone();
    let service = layer(&shop).layer(on(UnknownPolicy::Park, move |order, _| {
        seen.add(order.order);
        assert!(seen.len() > 1, "the first time");
        std::future::ready(Ok(Outcome::Done))
    }));
    let first = tokio::spawn({
        let service = service.clone();
        async move { handle(&service, "a").await }
    });
    assert!(first.await.unwrap_err().is_panic(), "who is told of panics is told of this one");
    assert_eq!(handle(&service, "a").await.unwrap(), Outcome::Done);
    assert_eq!(log.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_never_answers_holds_nobody() {
    let (shop, log) = (Shop::open().await, Log::default());
    table(&shop).await;
    let service = layer(&shop).layer(any(&log));
    let puts = || Calls::to(Aws::DynamoDb).operation("PutItem");
    let soon = Duration::from_secs(60);
    let silence = shop.world.faults().inject(Rule::new(puts(), Fault::Hang));
    let unclaimed = tokio::time::timeout(soon, put(&service, message("Placed", "1", "a"))).await;
    assert!(unclaimed.expect("it waits for ever").is_err());
    assert_eq!(log.len(), 0, "nothing is handled that could not be claimed");
    drop(silence);
    let _silence = shop.world.faults().inject(Rule::new(puts(), Fault::Hang).after(1));
    let done = tokio::time::timeout(soon, put(&service, message("Placed", "1", "b"))).await;
    let done = done.expect("it waits for ever").unwrap();
    assert_eq!((done, log.len()), (Outcome::Done, 1), "what was done stands");
}

#[tokio::test(start_paused = true)]
async fn a_claim_holds_for_all_of_its_time_wherever_in_a_second_it_begins() {
    let (shop, log) = (Shop::open().await, Log::default());
    table(&shop).await;
    let seen = log.clone();
    let config = IdempotencyConfig::default()
        .with_in_progress(Duration::from_secs(1))
        .with_clock(shop.world.clock());
    let once = crate::idempotent::with(&shop, config);
    let service = once.layer(on(UnknownPolicy::Park, move |order, _| {
        seen.add(order.order);
        let log = seen.clone();
        async move {
            if log.len() == 1 {
                std::future::pending::<()>().await;
            }
            Ok(Outcome::Done)
        }
    }));
    let millis = || shop.world.clock().now_millis() % 1_000;
    until(|| millis() >= 940).await;
    let _working = tokio::spawn({
        let service = service.clone();
        async move { handle(&service, "a").await }
    });
    log.reach(1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let found = handle(&service, "a").await.unwrap();
    assert!(matches!(found, Outcome::RetryAfter(_)), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_dropped_at_a_stop_waits_for_what_is_left_of_its_claim() {
    let (shop, log) = (Shop::open().await, Log::default());
    table(&shop).await;
    shop.put_orders(&shop.urls.blue, 1).await;
    let seen = log.clone();
    let service = layer(&shop).layer(on(UnknownPolicy::Park, move |_, context| {
        seen.add(context.receive_count().to_string());
        let is_first = seen.len() == 1;
        async move {
            if is_first {
                std::future::pending::<()>().await;
            }
            Ok(Outcome::Done)
        }
    }));
    let consume = || {
        let own = Subscription::own(&shop.separate(), Blue, &shop.dead);
        let (client, config) = (shop.world.sqs_as("blue"), ConsumerConfig::default());
        let (handle, consumer) =
            Consumer::new(client, own, following(None), service.clone(), config).unwrap();
        let (stopper, stop) = Stop::new();
        (handle, stopper, tokio::spawn(consumer.run(stop)))
    };
    let (_handle, stopper, driver) = consume();
    log.reach(1).await;
    let begun = tokio::time::Instant::now();
    stopper.stop(Duration::from_secs(4));
    assert_eq!(driver.await.unwrap().unwrap().released, 1);
    let (handle, stopper, driver) = consume();
    log.reach(2).await;
    let waited = begun.elapsed();
    assert!((59..=63).contains(&waited.as_secs()), "its claim is for a minute: {waited:?}");
    until(|| handle.report().handled == 1).await;
    stopper.stop(Duration::from_secs(4));
    assert_eq!((driver.await.unwrap().unwrap().retried, log.lines()[1].as_str()), (1, "3"));
}

/// What a life full of accidents has seen.
#[derive(Debug, Default)]
struct Seen {
    begun: AtomicU32,
    running: AtomicU32,
    is_done: AtomicBool,
    overlaps: AtomicU32,
    repeats: AtomicU32,
}

/// A handler at work, until it ends in whatever way.
struct AtWork(Arc<Seen>);

impl AtWork {
    fn begin(seen: &Arc<Seen>) -> Self {
        seen.begun.fetch_add(1, Ordering::SeqCst);
        seen.overlaps.fetch_add(seen.running.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
        let is_done = seen.is_done.load(Ordering::SeqCst);
        seen.repeats.fetch_add(u32::from(is_done), Ordering::SeqCst);
        Self(Arc::clone(seen))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_dies_and_whatever_reply_is_lost_no_two_handlers_overlap_and_none_follows_a_done() {
    let (mut begun, mut done) = (0, 0);
    for seed in 0..20 {
        let (shop, seen) = (Shop::open().await, Arc::new(Seen::default()));
        table(&shop).await;
        let lost = Rule::new(Calls::to(Aws::DynamoDb), Fault::LostReply);
        let _lost = shop.world.faults().inject(lost.some(Share::percent(30).unwrap(), seed));
        let handled = Arc::clone(&seen);
        let service = layer(&shop).layer(on(UnknownPolicy::Park, move |_, context| {
            let at_work = AtWork::begin(&handled);
            let seed = seed * 1_000 + u64::from(context.receive_count());
            let mut random = fastrand::Rng::with_seed(seed);
            async move {
                tokio::time::sleep(Duration::from_millis(random.u64(1..10_000))).await;
                drop(at_work);
                match random.u8(..8) {
                    0 => Ok(Outcome::Done),
                    1 => panic!("an accident"),
                    2 => Ok(Outcome::PassOn),
                    _ => Err("not today".into()),
                }
            }
        }));
        let workers = (0..4).map(|worker| {
            let (service, seen) = (service.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let mut random = fastrand::Rng::with_seed(seed * 10 + u64::from(worker));
                for receive in 0..40 {
                    let context = Context::new("m", worker * 100 + receive, message_of("a"));
                    let life = Duration::from_millis(random.u64(1..30_000));
                    let call = tokio::spawn(service.clone().oneshot(context));
                    let abort = call.abort_handle();
                    match tokio::time::timeout(life, call).await {
                        Ok(Ok(Ok(Outcome::Done))) => seen.is_done.store(true, Ordering::SeqCst),
                        Ok(_) => {}
                        Err(_) => abort.abort(),
                    }
                    tokio::time::sleep(Duration::from_millis(random.u64(1..20_000))).await;
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
        let count = |count: &AtomicU32| count.load(Ordering::SeqCst);
        assert_eq!((count(&seen.overlaps), count(&seen.repeats)), (0, 0), "seed {seed}");
        begun += count(&seen.begun);
        done += u32::from(seen.is_done.load(Ordering::SeqCst));
    }
    assert!(begun > 60 && done > 10, "{begun} {done}");
}

fn message_of(id: &str) -> Envelope {
    crate::shop::order(id).parse::<Envelope>().unwrap().with_id(id)
}
