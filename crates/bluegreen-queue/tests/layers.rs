//! Tower's layers around the dispatch.

use bluegreen_core::{ContractVersion, Stop};
use bluegreen_queue::{
    Consumer, ConsumerConfig, ConsumerHandle, Context, Dispatch, HandlerError, Message, Outcome,
    Subscription, UnknownPolicy,
};
use serde::{Deserialize, Serialize};
use tower::Service;
use tower::buffer::Buffer;
use tower::limit::ConcurrencyLimit;
use tower::load_shed::LoadShed;

use crate::shop::{Blue, Log, Order, Shop, following, on, order, seconds, until, versioned};

/// A consumer of blue's queue around any service.
fn consume<S>(shop: &Shop, service: S, config: ConsumerConfig) -> ConsumerHandle
where
    S: Service<Context, Response = Outcome, Error = HandlerError> + Clone + Send + 'static,
    S::Future: Send,
{
    let own = Subscription::own(&shop.separate(), Blue, &shop.dead);
    let client = shop.world.sqs_as("blue");
    let config = config.with_seed(7).with_clock(shop.world.clock());
    let (handle, consumer) = Consumer::new(client, own, following(None), service, config).unwrap();
    tokio::spawn(consumer.run(Stop::never()));
    handle
}

#[derive(Serialize, Deserialize)]
struct Newer(String);

impl Message for Newer {
    const TYPE: &str = "OrderPlaced";
    const VERSION: ContractVersion = ContractVersion::new(2, 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_before_the_first_await_does_not_end_a_buffer_that_all_share() {
    let (shop, log) = (Shop::open().await, Log::default());
    let seen = log.clone();
    let dispatch = Dispatch::builder()
        .upcast(|old: Order| {
            assert!(old.order != "bad", "an upcaster that panics");
            Ok(Newer(old.order))
        })
        .on::<Newer, _>(move |Newer(order), _| {
            assert!(order != "worse", "so does a function that is not async");
            seen.add(order);
            std::future::ready(Ok(Outcome::Done))
        })
        .unknown(UnknownPolicy::Park)
        .build()
        .unwrap();
    shop.put(&shop.urls.blue, &order("bad")).await;
    shop.put(&shop.urls.blue, &order("worse")).await;
    let handle = consume(&shop, Buffer::new(dispatch, 4), ConsumerConfig::default());
    until(|| handle.report().failed >= 2).await;
    shop.put(&shop.urls.blue, &order("good")).await;
    seconds(5).await;
    assert_eq!(log.lines(), ["good"]);
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_bounds_the_handlers_of_all_messages_and_loses_none() {
    let (shop, log) = (Shop::open().await, Log::default());
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, _| {
        let log = seen.clone();
        async move {
            log.add("begin");
            let open = |lines: &[String]| {
                let ended = lines.iter().filter(|line| *line != "begin").count();
                lines.len() - ended - ended
            };
            assert!(open(&log.lines()) <= 2, "more than two at once");
            seconds(1).await;
            log.add(order.order);
            Ok(Outcome::Done)
        }
    });
    shop.put_orders(&shop.urls.blue, 12).await;
    let service = ConcurrencyLimit::new(dispatch, 2);
    let handle = consume(&shop, service, ConsumerConfig::default().with_concurrency(10));
    until(|| handle.report().handled == 12).await;
    assert_eq!((handle.report().failed, handle.report().received), (0, 12));
}

#[tokio::test(start_paused = true)]
async fn what_a_load_shed_refuses_is_shown_again_later() {
    let (shop, log) = (Shop::open().await, Log::default());
    let seen = log.clone();
    let dispatch = on(UnknownPolicy::Park, move |order, _| {
        let log = seen.clone();
        async move {
            seconds(1).await;
            log.add(order.order);
            Ok(Outcome::Done)
        }
    });
    shop.put_orders(&shop.urls.blue, 4).await;
    shop.put(&shop.urls.blue, &versioned("2.0", "unknown")).await;
    let service = LoadShed::new(ConcurrencyLimit::new(dispatch, 1));
    let handle = consume(&shop, service, ConsumerConfig::default());
    until(|| handle.report().handled == 4 && handle.report().parked == 1).await;
    assert!(handle.report().failed > 0, "none was refused");
    seconds(60).await;
    assert_eq!((log.len(), shop.counts(&shop.urls.blue).await), (4, (0, 0)));
}
