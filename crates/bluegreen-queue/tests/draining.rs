//! When a queue counts as drained.

use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::{
    Deployment, Member, MemoryStore, Reads, Release, Revision, ServiceIdentity, Store as _,
};
use bluegreen_local::{Calls, Fault, Rule, Service};
use bluegreen_queue::{ConsumerConfig, DrainConfig, DrainError, Drained, UnknownPolicy, drained};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::shop::{Blue, Green, Log, Shop, key, on, seconds, until};

const SEVEN: Revision = Revision::new(7);

fn member(seen: u64, shop: &Shop) -> Member {
    let identity = ServiceIdentity::new(key(), Blue, Release::new("1").unwrap(), "one");
    let member = Member::new(&identity, Reads::default(), Duration::from_secs(10_000));
    member.announced(Some(Revision::new(seen)), shop.world.clock().now())
}

fn drain(
    shop: &Shop,
    store: &Arc<MemoryStore>,
    config: DrainConfig,
) -> JoinHandle<(Result<Drained, DrainError>, Instant)> {
    let (client, url) = (shop.world.sqs_as("green"), shop.urls.blue.clone());
    let (store, config) = (Arc::clone(store), config.with_clock(shop.world.clock()));
    tokio::spawn(async move {
        let answer = drained(client, &url, &store, &key(), SEVEN, config).await;
        (answer, Instant::now())
    })
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_drained_when_nobody_sends_any_more_and_it_was_empty_for_long_enough() {
    let (shop, store) = (Shop::open().await, Arc::new(MemoryStore::new()));
    store.announce(&key(), &member(6, &shop)).await.unwrap();
    let draining = drain(&shop, &store, DrainConfig::default());
    seconds(1_000).await;
    assert!(!draining.is_finished(), "a producer has not followed the revision yet");
    shop.put_orders(&shop.urls.blue, 1).await;
    store.announce(&key(), &member(7, &shop)).await.unwrap();
    seconds(1_000).await;
    assert!(!draining.is_finished(), "a message is left");
    shop.clear(&shop.urls.blue).await;
    let emptied = Instant::now();
    let (answer, at) = draining.await.unwrap();
    let answer = answer.unwrap();
    assert_eq!((answer.settled.followed, answer.quiet.as_secs()), (vec!["one".to_owned()], 75));
    assert!(at - emptied >= Duration::from_secs(75));
}

#[tokio::test(start_paused = true)]
async fn messages_in_hand_and_delayed_ones_count() {
    let (shop, store) = (Shop::open().await, Arc::new(MemoryStore::new()));
    let sqs = shop.world.sqs_as("observer");
    let delayed = sqs.send_message().queue_url(&shop.urls.blue).message_body("later");
    delayed.delay_seconds(600).send().await.unwrap();
    let draining = drain(&shop, &store, DrainConfig::default());
    seconds(599).await;
    assert!(!draining.is_finished(), "it is delayed");
    let log = Log::default();
    let seen = log.clone();
    shop.put_orders(&shop.urls.blue, 1).await;
    shop.clear(&shop.urls.blue).await;
    shop.put_orders(&shop.urls.blue, 1).await;
    let dispatch = on(UnknownPolicy::Park, move |order, _| {
        let log = seen.clone();
        async move {
            seconds(600).await;
            log.add(order.order);
            Ok(bluegreen_queue::Outcome::Done)
        }
    });
    let running = shop.blue(dispatch, ConsumerConfig::default());
    seconds(590).await;
    assert!(!draining.is_finished(), "it is in hand");
    log.reach(1).await;
    draining.await.unwrap().0.unwrap();
    running.stop(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn stale_counts_never_make_it_early_unless_it_is_told_to_be_hasty() {
    // How late AWS's counts may be, as its documentation says.
    let lag = Duration::from_secs(60);
    let hasty = DrainConfig::default()
        .with_settle(Duration::from_secs(10))
        .with_interval(Duration::from_secs(1));
    for (config, is_early) in [(DrainConfig::default(), false), (hasty, true)] {
        let (shop, store) = (Shop::open().await, Arc::new(MemoryStore::new()));
        let log = Log::default();
        // The counts are those of this moment, when the queue is empty, for the next minute …
        shop.world.sqs_service().stale_counts(lag);
        shop.put_orders(&shop.urls.blue, 50).await;
        let draining = drain(&shop, &store, config);
        // … while its consumer works on a message every two seconds.
        let seen = log.clone();
        let dispatch = on(UnknownPolicy::Park, move |order, _| {
            let log = seen.clone();
            async move {
                seconds(2).await;
                log.add(order.order);
                Ok(bluegreen_queue::Outcome::Done)
            }
        });
        let running = shop.blue(dispatch, ConsumerConfig::default().with_concurrency(1));
        let (answer, _) = draining.await.unwrap();
        answer.unwrap();
        assert_eq!(log.len() < 50, is_early, "{} of 50 were handled", log.len());
        running.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn looks_that_fail_are_no_evidence_and_a_missing_queue_is_an_error() {
    let (shop, store) = (Shop::open().await, Arc::new(MemoryStore::new()));
    let looks = Calls::to(Service::Sqs).operation("GetQueueAttributes").access_key("green");
    let outage =
        shop.world.faults().inject(Rule::new(looks.clone(), Fault::AccessDenied).after(10));
    let draining = drain(&shop, &store, DrainConfig::default());
    until(|| outage.count() > 100).await;
    assert!(!draining.is_finished());
    drop(outage);
    let ended = Instant::now();
    let (answer, at) = draining.await.unwrap();
    assert!(answer.is_ok() && at - ended >= Duration::from_secs(75), "{:?}", at - ended);

    let sqs = shop.world.sqs_as("observer");
    sqs.delete_queue().queue_url(&shop.urls.blue).send().await.unwrap();
    let (answer, _) = drain(&shop, &store, DrainConfig::default()).await.unwrap();
    assert!(matches!(answer, Err(DrainError::QueueMissing { .. })), "{answer:?}");
    let config = DrainConfig::default().with_settle(Duration::ZERO);
    let (answer, _) = drain(&shop, &store, config).await.unwrap();
    let error = answer.unwrap_err().to_string();
    assert_eq!(
        error,
        "interval of 5s does not fit: it must be above zero, and at most a fifth of settle"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_moves_on_ends_the_wait_by_saying_so() {
    let (shop, store) = (Shop::open().await, Arc::new(MemoryStore::new()));
    let live = |revision: Revision| {
        let store = Arc::clone(&store);
        async move {
            while store.load(&key()).await.unwrap().is_none_or(|now| now.revision() < revision) {
                let next = |now: Option<&Deployment>| match now {
                    None => Ok(crate::shop::deployment(None)),
                    Some(now) if now.phase().candidate().is_none() => {
                        Ok(now.begin(Green, Release::new("2").unwrap())?)
                    }
                    Some(now) => Ok::<_, bluegreen_core::UpdateError>(now.abandon()?),
                };
                bluegreen_core::update(&*store, &key(), next).await.unwrap();
            }
        }
    };
    live(SEVEN).await;
    for seen in [6, 7] {
        // It waits for a producer, and then for a message.
        store.announce(&key(), &member(seen, &shop)).await.unwrap();
        shop.put_orders(&shop.urls.blue, 1).await;
        let draining = drain(&shop, &store, DrainConfig::default());
        seconds(1_000).await;
        assert!(!draining.is_finished());
        draining.abort();
    }
    let draining = drain(&shop, &store, DrainConfig::default());
    seconds(30).await;
    live(SEVEN.next()).await;
    let told = async |draining: JoinHandle<(Result<Drained, DrainError>, Instant)>| {
        let told = tokio::time::timeout(Duration::from_secs(1_000), draining).await;
        told.expect("it would wait without end").unwrap().0.unwrap_err()
    };
    let error = told(draining).await;
    assert_eq!(error.to_string(), "the deployment has moved from revision 7 to 8");
    assert!(matches!(error, DrainError::Moved { revision: SEVEN, found } if found == SEVEN.next()));
    // Asked too late it is no answer about that revision either, however empty the queue is.
    shop.clear(&shop.urls.blue).await;
    let error = told(drain(&shop, &store, DrainConfig::default())).await;
    assert!(matches!(error, DrainError::Moved { .. }), "{error}");
}
