//! Who consumes, by color and phase.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bluegreen_core::{
    Deployment, FollowConfig, Following, Member, Members, MemoryStore, Reads, Release, Roster,
    RosterConfig, ServiceIdentity, Share, Stop, Store as _, update,
};
use bluegreen_local::{Calls, Service};
use bluegreen_queue::{ConsumerConfig, Flow, Outcome, Queues, Subscription, UnknownPolicy};

use crate::shop::{
    Blue, Color, Green, Log, Shop, deployment, following, key, on, order, seconds, until, writing,
};

const SOON: Duration = Duration::from_secs(5);

/// A store, and a handle that follows it.
pub(crate) fn live() -> (Arc<MemoryStore>, Following) {
    let store = Arc::new(MemoryStore::new());
    let me = ServiceIdentity::new(key(), Green, Release::new("2").unwrap(), "one");
    let (following, follower) =
        Following::new(Arc::clone(&store), me, FollowConfig::default().with_seed(1)).unwrap();
    tokio::spawn(follower.run(Stop::never()));
    (store, following)
}

pub(crate) async fn share(store: &Arc<MemoryStore>, green: u16) {
    let share = Share::per_mille(green).unwrap();
    update(store, &key(), |present: Option<&Deployment>| match present {
        None => Ok(deployment(None)),
        Some(present) if present.phase().candidate().is_none() => {
            Ok(present.begin(Green, Release::new("2").unwrap())?)
        }
        Some(present) => Ok(present.shift(share)?),
    })
    .await
    .unwrap();
}

/// A process of a color that lives for long.
pub(crate) fn living(color: Color) -> Member {
    let me = ServiceIdentity::new(key(), color, Release::new("1").unwrap(), color.as_str());
    Member::new(&me, Reads::default(), Duration::from_secs(1_000))
}

#[tokio::test(start_paused = true)]
async fn a_candidate_at_share_zero_touches_nothing_until_the_gate_opens() {
    for queues in [Shop::separate as fn(&Shop) -> Queues, Shop::shared] {
        let (shop, log) = (Shop::open().await, Log::default());
        let (store, following) = live();
        let own = Subscription::own(&queues(&shop), Green, &shop.dead);
        shop.put_orders(own.url(), 3).await;
        let dispatch = writing(&log, UnknownPolicy::Park);
        let config = ConsumerConfig::default();
        let running = shop.consume(own, following, dispatch, config);
        let receives = || shop.world.calls(Service::Sqs, "ReceiveMessage");
        // Nothing is known at first; then blue alone in the shared mode; then the shift at 0.
        seconds(60).await;
        assert_eq!((receives(), running.handle.flow()), (0, Flow::Closed));
        share(&store, 0).await;
        share(&store, 0).await;
        seconds(60).await;
        let log_before = log.len();
        assert_eq!((receives(), log_before, running.handle.flow()), (0, 0, Flow::Closed));
        share(&store, 500).await;
        log.reach(3).await;
        running.stop(SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_closes_releases_what_the_open_receive_returns() {
    let (shop, log) = (Shop::open().await, Log::default());
    let (store, following) = live();
    share(&store, 0).await;
    share(&store, 0).await;
    share(&store, 500).await;
    let own = Subscription::own(&shop.separate(), Green, &shop.dead);
    let receives = Calls::to(Service::Sqs).operation("ReceiveMessage").access_key("green");
    let hold = shop.world.faults().hold_reply(receives, 1);
    shop.put_orders(own.url(), 2).await;
    let dispatch = writing(&log, UnknownPolicy::Park);
    let config = ConsumerConfig::default().with_poll_grace(Duration::from_secs(5));
    let running = shop.consume(own, following, dispatch, config);
    hold.reached().await;
    share(&store, 0).await;
    until(|| running.handle.flow() == Flow::Closed).await;
    seconds(1).await;
    hold.release();
    until(|| running.handle.report().released == 2).await;
    seconds(1).await;
    assert_eq!(shop.counts(&shop.urls.green).await, (2, 0));
    assert_eq!(log.len(), 0);
    assert_eq!(shop.calls(Green, "ReceiveMessage"), 1);
    running.stop(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn a_closed_gate_gives_an_idle_receive_up_within_its_grace() {
    let (shop, log) = (Shop::open().await, Log::default());
    let (store, following) = live();
    share(&store, 0).await;
    share(&store, 0).await;
    share(&store, 500).await;
    let own = Subscription::own(&shop.separate(), Green, &shop.dead);
    let running =
        shop.consume(own, following, writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    until(|| shop.calls(Green, "ReceiveMessage") == 1).await;
    share(&store, 0).await;
    until(|| running.handle.flow() == Flow::Closed).await;
    seconds(2).await;
    // The receive would have waited for 20 s and taken this.
    shop.put_orders(&shop.urls.green, 1).await;
    seconds(30).await;
    assert_eq!(shop.counts(&shop.urls.green).await, (1, 0));
    assert_eq!((log.len(), running.handle.report().received), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn after_the_switch_the_old_color_finishes_its_queue_and_the_new_one_may_adopt_it() {
    let (shop, log) = (Shop::open().await, Log::default());
    shop.put_orders(&shop.urls.blue, 3).await;
    let own = Subscription::own(&shop.separate(), Blue, &shop.dead);
    let dispatch = writing(&log, UnknownPolicy::Park);
    let blue = shop.consume(own, following(Some(1000)), dispatch, ConsumerConfig::default());
    log.reach(3).await;
    blue.stop(SOON).await;

    shop.put_orders(&shop.urls.blue, 2).await;
    let shifted = deployment(Some(1000));
    let committed = shifted.commit().unwrap();
    // Not before the old color cannot be asked back.
    for (deployment, adopted) in [(shifted, 0), (committed, 2)] {
        let (log, phase) = (Log::default(), deployment.phase());
        let alone = Roster::fixed(Members::living(vec![living(Green)]));
        let other = Subscription::adopted(&shop.separate(), Green, &shop.dead, alone).unwrap();
        let dispatch = writing(&log, UnknownPolicy::Park);
        let green =
            shop.consume(other, Following::fixed(deployment), dispatch, ConsumerConfig::default());
        seconds(30).await;
        green.stop(SOON).await;
        assert_eq!(log.len(), adopted, "{phase}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_not_adopted_while_a_process_of_its_own_color_lives() {
    let (shop, log) = (Shop::open().await, Log::default());
    let store = Arc::new(MemoryStore::new());
    let clock = shop.world.clock();
    let config = RosterConfig::default().with_clock(clock);
    let (roster, lookout) = Roster::new(Arc::clone(&store), key(), config).unwrap();
    let announce = async |member: Member| {
        store.announce(&key(), &member.announced(None, clock.now())).await.unwrap();
    };
    announce(living(Blue)).await;
    shop.put_orders(&shop.urls.blue, 3).await;
    let other = Subscription::adopted(&shop.separate(), Green, &shop.dead, roster).unwrap();
    let committed = Following::fixed(deployment(Some(1000)).commit().unwrap());
    let dispatch = writing(&log, UnknownPolicy::Park);
    let running = shop.consume(other, committed, dispatch, ConsumerConfig::default());
    // Nobody has looked who lives; then somebody does, and blue lives.
    seconds(30).await;
    assert_eq!(running.handle.flow(), Flow::Closed);
    tokio::spawn(lookout.run(Stop::never()));
    seconds(30).await;
    assert_eq!((running.handle.flow(), shop.calls(Green, "")), (Flow::Closed, 0));
    store.withdraw(&key(), "blue").await.unwrap();
    seconds(30).await;
    assert_eq!(running.handle.flow(), Flow::Closed, "not even this process is seen");
    announce(living(Green)).await;
    log.reach(3).await;
    running.stop(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn on_a_shared_queue_the_share_bounds_what_a_candidate_has_in_hand() {
    for (share, most, per_minute) in [(100, 1, 60), (300, 3, 180), (20, 1, 12)] {
        let (shop, log) = (Shop::open().await, Log::default());
        shop.put_orders(&shop.urls.blue, 200).await;
        let own = Subscription::own(&shop.shared(), Green, &shop.dead);
        let (now, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (seen, highest) = (log.clone(), Arc::clone(&peak));
        let dispatch = on(UnknownPolicy::Park, move |order, _| {
            let (log, now, highest) = (seen.clone(), Arc::clone(&now), Arc::clone(&highest));
            async move {
                highest.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                seconds(1).await;
                now.fetch_sub(1, Ordering::SeqCst);
                log.add(order.order);
                Ok(Outcome::Done)
            }
        });
        let running =
            shop.consume(own, following(Some(share)), dispatch, ConsumerConfig::default());
        seconds(60).await;
        assert_eq!(peak.load(Ordering::SeqCst), most, "{share}");
        let handled = log.len();
        // Never nothing, and about the part of 600 a minute that ten permits would handle.
        assert!(handled > 0 && handled.abs_diff(per_minute) <= per_minute / 4 + 6, "{handled}");
        running.stop(SOON).await;
    }
}

/// How a queue that both colors read is shared by so many consumers of each: the messages that
/// blue and green have handled.
async fn split(blue: u64, green: u64, is_busy: bool, takes: Duration) -> (u64, u64) {
    let shop = Shop::open().await;
    let own = |color| Subscription::own(&shop.shared(), color, &shop.dead);
    let consumers = (0..blue).map(|_| Blue).chain((0..green).map(|_| Green));
    let running: Vec<_> = consumers
        .map(|color| {
            let dispatch = on(UnknownPolicy::Park, move |_, _| async move {
                tokio::time::sleep(takes).await;
                Ok(Outcome::Done)
            });
            let config = ConsumerConfig::default();
            (color, shop.consume(own(color), following(Some(100)), dispatch, config))
        })
        .collect();
    for n in 0..1_000 {
        shop.put(&shop.urls.blue, &order(&n.to_string())).await;
        if !is_busy {
            tokio::time::sleep(Duration::from_millis(97)).await;
        }
    }
    let handled = |of| {
        let reports = running.iter().filter(move |(color, _)| *color == of);
        reports.map(|(_, running)| running.handle.report().handled).sum::<u64>()
    };
    until(|| handled(Blue) + handled(Green) == 1_000).await;
    (handled(Blue), handled(Green))
}

#[tokio::test(start_paused = true)]
async fn of_an_idle_queue_a_fleet_of_any_size_gets_its_share_at_most_and_never_nothing() {
    for (blue, green) in [(1, 1), (3, 1), (1, 3), (1, 8)] {
        let (_, got) = split(blue, green, false, Duration::from_millis(5)).await;
        // A tenth is 100; a fifth more for receives that end a little later than their slice.
        assert!((10..=120).contains(&got), "{blue} to {green}: {got} of 1000");
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_busy_queue_each_fleet_gets_what_its_permits_handle() {
    for (blue, green) in [(1, 1), (3, 1), (1, 3)] {
        let (_, got) = split(blue, green, true, Duration::from_secs(1)).await;
        // Ten permits a consumer of blue, one of green.
        let expected = 1_000 * green / (10 * blue + green);
        assert!(got.abs_diff(expected) <= expected / 5, "{blue} to {green}: {got}, not {expected}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_receive_does_not_outlive_the_time_slice_it_was_made_in() {
    let (shop, log) = (Shop::open().await, Log::default());
    let own = Subscription::own(&shop.shared(), Green, &shop.dead);
    let dispatch = writing(&log, UnknownPolicy::Park);
    // A fifth of a permit: two seconds of each ten.
    let running = shop.consume(own, following(Some(20)), dispatch, ConsumerConfig::default());
    for n in 0..200 {
        shop.put(&shop.urls.blue, &order(&n.to_string())).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        // Somebody else takes what the candidate does not.
        shop.look(&shop.urls.blue).await;
    }
    let report = running.stop(SOON).await;
    assert!(report.received > 0);
    assert_eq!(report.released, 0);
}

#[tokio::test(start_paused = true)]
async fn a_paused_consumer_receives_nothing_until_it_is_resumed() {
    let (shop, log) = (Shop::open().await, Log::default());
    let running = shop.blue(writing(&log, UnknownPolicy::Park), ConsumerConfig::default());
    running.handle.pause();
    seconds(30).await;
    let before = shop.calls(Blue, "");
    shop.put_orders(&shop.urls.blue, 1).await;
    seconds(60).await;
    assert_eq!((shop.calls(Blue, ""), log.len()), (before, 0));
    running.handle.resume();
    log.reach(1).await;
    running.stop(SOON).await;
}
