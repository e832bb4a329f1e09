//! What a producer sends, and where to.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bluegreen_core::{
    ContractVersion, Deployment, FollowConfig, Following, MemoryStore, Reads, Release, Revision,
    Roster, RosterConfig, ServiceIdentity, Stop, update,
};
use bluegreen_local::{Calls, Fault, Rule, Service};
use bluegreen_queue::{Envelope, Message, Producer, ProducerConfig, Queues, SendError, WriteGate};

use crate::shop::{Blue, Green, Order, Shop, following, key};

fn producer(shop: &Shop, queues: Queues, following: Following) -> Producer {
    let config = ProducerConfig::default().with_clock(shop.world.clock()).with_seed(3);
    Producer::new(shop.world.sqs_as("blue"), queues, following, Blue, config).unwrap()
}

fn an(order: &str) -> Order {
    Order { order: order.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn an_envelope_says_who_sent_it_and_when() {
    let shop = Shop::open().await;
    let producer = producer(&shop, shop.separate(), following(Some(0)));
    let sent = producer.send(&an("a"), "customer-1").await.unwrap();
    let received = shop.look(&shop.urls.blue).await;
    assert_eq!(received[0].message_id(), Some(&*sent.message_id));
    let envelope: Envelope = received[0].body().unwrap().parse().unwrap();
    assert_eq!(
        (envelope.kind(), envelope.version().to_string()),
        ("OrderPlaced", "1.0".to_owned())
    );
    assert_eq!((envelope.color(), envelope.revision()), (Some(Blue), Some(Revision::new(3))));
    assert_eq!(envelope.timestamp(), UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    assert_eq!(envelope.id().map(str::len), Some(32));
    assert_eq!(envelope.read::<Order>().unwrap(), an("a"));
    assert!(received[0].message_attributes.is_none(), "all ten are the application's");
}

#[tokio::test(start_paused = true)]
async fn messages_go_by_share_and_stick_to_their_key() {
    let shop = Shop::open().await;
    let half = producer(&shop, shop.separate(), following(Some(500)));
    let mut green = 0;
    for n in 0..100 {
        let key = format!("customer-{n}");
        let first = half.send(&an("a"), &key).await.unwrap();
        assert_eq!(half.send(&an("b"), &key).await.unwrap().color, first.color);
        green += u32::from(first.color == Some(Green));
    }
    assert!((30..=70).contains(&green), "{green}");
    assert_eq!(shop.counts(&shop.urls.green).await.0, green * 2);

    let shared = producer(&shop, shop.shared(), following(Some(1000)));
    assert_eq!(shared.send(&an("a"), "k").await.unwrap().color, None);
}

#[tokio::test(start_paused = true)]
async fn without_a_known_deployment_the_own_color_is_the_target() {
    let shop = Shop::open().await;
    let me = ServiceIdentity::new(key(), Blue, Release::new("1").unwrap(), "one");
    let (unknown, _follower) =
        Following::new(MemoryStore::new(), me, FollowConfig::default()).unwrap();
    let sent = producer(&shop, shop.separate(), unknown).send(&an("a"), "k").await.unwrap();
    assert_eq!(sent.color, Some(Blue));
    let body = shop.look(&shop.urls.blue).await.remove(0).body.unwrap();
    assert_eq!(body.parse::<Envelope>().unwrap().revision(), None);
}

/// The same with a currency, which version 1 has no room for.
#[derive(serde::Serialize, serde::Deserialize)]
struct OrderWithCurrency {
    order: String,
    currency: String,
}

impl Message for OrderWithCurrency {
    const TYPE: &str = "OrderPlaced";
    const VERSION: ContractVersion = ContractVersion::new(2, 0);
}

#[tokio::test(start_paused = true)]
async fn a_producer_returns_to_the_old_version_at_once_when_the_old_release_may_come_back() {
    let shop = Shop::open().await;
    let store = Arc::new(MemoryStore::new());
    let alone = Deployment::first(key(), Green, Release::new("2").unwrap());
    update(&store, &key(), |_| Ok(alone.clone())).await.unwrap();
    let green = ServiceIdentity::new(key(), Green, Release::new("2").unwrap(), "green-1");
    let reads = Reads::default().with("OrderPlaced", ContractVersion::new(2, 0));
    let config = FollowConfig::default().with_reads(reads).with_clock(shop.world.clock());
    let (following, follower) = Following::new(Arc::clone(&store), green, config).unwrap();
    let config = RosterConfig::default().with_clock(shop.world.clock());
    let (roster, lookout) = Roster::new(Arc::clone(&store), key(), config).unwrap();
    tokio::spawn(follower.run(Stop::never()));
    let sample = || OrderWithCurrency { order: "a".to_owned(), currency: "EUR".to_owned() };
    let gate = WriteGate::builder(roster)
        .newest::<OrderWithCurrency>()
        .step_down(&sample(), &["currency"], |new: OrderWithCurrency| Ok(an(&new.order)))
        .build()
        .unwrap();
    let config = ProducerConfig::default().with_write_gate(gate);
    let client = shop.world.sqs_as("green");
    let producer =
        Producer::new(client, shop.separate(), following.clone(), Green, config).unwrap();
    let version = async || {
        let sent = producer.send(&sample(), "k").await.unwrap();
        sent.version.to_string()
    };
    following.known().await;
    assert_eq!(version().await, "1.0", "nobody has looked who lives");
    tokio::spawn(lookout.run(Stop::never()));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(version().await, "2.0", "green is alone");
    let back =
        |now: Option<&Deployment>| Ok(now.unwrap().begin(Blue, Release::new("1").unwrap())?);
    update(&store, &key(), back).await.unwrap();
    let mut changes = following.clone();
    while changes.changed().await.phase().candidate().is_none() {}
    assert_eq!(
        version().await,
        "1.0",
        "no process of blue lives yet, and what it reads is unknown"
    );
    let sent: Envelope = loop {
        // The queue of green, which serves: the last of the three.
        let found = shop.look(&shop.urls.green).await;
        if let Some(last) = found.last() {
            break last.body().unwrap().parse().unwrap();
        }
    };
    assert_eq!(sent.read::<Order>().unwrap(), an("a"));
}

#[tokio::test(start_paused = true)]
async fn a_message_too_large_is_refused_before_it_is_sent() {
    let shop = Shop::open().await;
    let producer = producer(&shop, shop.separate(), following(None));
    let error = producer.send(&an(&"x".repeat(1 << 20)), "k").await.unwrap_err();
    assert!(matches!(error, SendError::TooLarge { limit: 1_048_576, .. }), "{error}");
    assert!(!error.is_retryable());
    assert_eq!(shop.calls(Blue, "SendMessage"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_error_says_whether_to_try_again() {
    let shop = Shop::open().await;
    let producer = producer(&shop, shop.separate(), following(None));
    for (fault, retryable) in
        [(Fault::Throttle, true), (Fault::Hang, true), (Fault::AccessDenied, false)]
    {
        let rule = Rule::new(Calls::to(Service::Sqs).operation("SendMessage"), fault);
        let _outage = shop.world.faults().inject(rule);
        let error = producer.send(&an("a"), "k").await.unwrap_err();
        assert_eq!(error.is_retryable(), retryable, "{fault:?}");
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn characters_that_sqs_refuses_arrive_all_the_same() {
    let shop = Shop::open().await;
    let producer = producer(&shop, shop.separate(), following(None));
    // U+FFFE and U+FFFF are Unicode, and no JSON writer escapes them; control characters it does.
    let order = an("a\u{fffe}b\u{ffff}c\u{0}d\u{7f}\u{fffd}");
    producer.send(&order, "k").await.unwrap();
    let found = shop.look(&shop.urls.blue).await;
    let envelope: Envelope = found[0].body().unwrap().parse().unwrap();
    assert_eq!(envelope.read::<Order>().unwrap(), order);
}
