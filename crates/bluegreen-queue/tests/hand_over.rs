//! Two FIFO queues whose groups change sides in order.

mod accidents;
mod restarts;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bluegreen_core::{
    Deployment, Following, Member, Members, MemoryStore, Reads, Release, Revision, Roster,
    RosterConfig, ServiceIdentity, Stop, Store as _, update,
};
use bluegreen_local::{Calls, Fault, Rule, Service};
use bluegreen_queue::{
    Consumer, ConsumerConfig, Dispatch, HandOver, Outcome, Producer, ProducerConfig, Subscription,
    UnknownPolicy,
};

use crate::gates::{live, share};
use crate::shop::{Blue, Color, Green, Log, Order, Running, Shop, key, on, order, seconds, until};

const SOON: Duration = Duration::from_secs(5);
/// Green's from a share of 31 % on.
const MOVES: &str = "k18";

/// Two FIFO queues, a shift to green that stands at share zero, and how groups change sides.
struct Scene {
    shop: Shop,
    store: Arc<MemoryStore>,
    following: Following,
    hand_over: HandOver,
    log: Log,
}

impl Scene {
    async fn open() -> Self {
        Self::with(HandOver::in_memory()).await
    }

    async fn with(hand_over: HandOver) -> Self {
        let shop = Shop::with(".fifo").await;
        let (store, following) = live();
        share(&store, 0).await;
        share(&store, 0).await;
        following.known().await;
        while following.phase().unwrap().candidate().is_none() {
            seconds(1).await;
        }
        Self { shop, store, following, hand_over, log: Log::default() }
    }

    /// Sets green's share and waits until this process follows it.
    async fn share(&self, green: u16) {
        share(&self.store, green).await;
        until(|| self.following.weight(Green).as_per_mille() == green).await;
    }

    fn sending(&self) -> ProducerConfig {
        let config = ProducerConfig::default().with_clock(self.shop.world.clock());
        config.with_hand_over(self.hand_over.clone())
    }

    fn producer(&self) -> Producer {
        self.producer_by(self.sending())
    }

    fn producer_by(&self, config: ProducerConfig) -> Producer {
        let client = self.shop.world.sqs_as("producer");
        let (queues, following) = (self.shop.separate(), self.following.clone());
        Producer::new(client, queues, following, Blue, config).unwrap()
    }

    fn handling(&self) -> ConsumerConfig {
        ConsumerConfig::default().with_hand_over(self.hand_over.clone())
    }

    /// A color's consumer of its own queue; each order takes a while, those of 97 fail once.
    fn own(&self, color: Color, takes: Duration) -> Running {
        self.own_by(color, slow(color, &self.log, takes), self.handling())
    }

    fn own_by(&self, color: Color, dispatch: Dispatch, config: ConsumerConfig) -> Running {
        let own = Subscription::own(&self.shop.separate(), color, &self.shop.dead);
        self.shop.consume(own, self.following.clone(), dispatch, config)
    }

    /// What green has is parked with this mark in its body, and handled at once when it is sent back
    /// where nothing is written down of its marker, as after fifteen days.
    async fn is_parked_and_waits_for_nothing_when_it_is_sent_back(&self, mark: &str) {
        let Self { shop, log, .. } = self;
        let running = [Blue, Green].map(|color| {
            let parks =
                on(UnknownPolicy::Park, |_, _| async { Ok(Outcome::Park("broken".into())) });
            self.own_by(color, parks, self.handling())
        });
        until(|| running[1].handle.report().parked == 1).await;
        for one in running {
            one.stop(SOON).await;
        }
        let parked = shop.look(&shop.dead).await.remove(0);
        assert!(parked.body().unwrap().contains(mark), "{parked:?}");
        let back = shop.world.sqs_as("observer").send_message().queue_url(&shop.urls.green);
        let back = back.set_message_attributes(parked.message_attributes.clone());
        let back = back.message_group_id(MOVES).message_deduplication_id("back");
        back.message_body(parked.body().unwrap()).send().await.unwrap();
        let forgetful = ConsumerConfig::default().with_hand_over(HandOver::in_memory());
        let green = self.own_by(Green, slow(Green, log, Duration::ZERO), forgetful);
        seconds(60).await;
        assert_eq!((log.lines(), green.stop(SOON).await.held), (vec!["green g-1".to_owned()], 0));
    }
}

fn slow(color: Color, log: &Log, takes: Duration) -> Dispatch {
    let seen = log.clone();
    on(UnknownPolicy::Park, move |order, context| {
        let log = seen.clone();
        async move {
            tokio::time::sleep(takes).await;
            let place = order.order.rsplit('-').next().and_then(|place| place.parse::<u64>().ok());
            if place.is_some_and(|place| place % 97 == 96) && context.receive_count() == 1 {
                return Err("one that holds its group".into());
            }
            log.add(format!("{color} {}", order.order));
            Ok(Outcome::Done)
        }
    })
}

async fn send(producer: &Producer, group: &str, order: &str) -> Color {
    let sent = producer.send(&Order { order: order.to_owned() }, group).await.unwrap();
    sent.color.unwrap()
}

/// The orders of `group-number` form, each group's in order and each once.
fn assert_in_order(log: &Log, sent: usize) {
    let mut last: HashMap<String, usize> = HashMap::new();
    let lines = log.lines();
    for line in &lines {
        let (group, place) = line.split_once(' ').unwrap().1.split_once('-').unwrap();
        let place: usize = place.parse().unwrap();
        if let Some(before) = last.insert(group.to_owned(), place) {
            assert!(before < place, "{group}: {before} before {place}");
        }
    }
    assert_eq!(lines.len(), sent, "each is handled once");
}

fn abandon(now: Option<&Deployment>) -> Result<Deployment, bluegreen_core::UpdateError> {
    Ok(now.unwrap().abandon()?)
}

/// 2,000 here; set `BLUEGREEN_FIFO_MESSAGES` for more.
fn many() -> usize {
    std::env::var("BLUEGREEN_FIFO_MESSAGES").map_or(2_000, |many| many.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn two_fifo_queues_keep_the_order_of_their_groups_while_the_share_moves() {
    let scene = Scene::open().await;
    let Scene { shop, log, .. } = &scene;
    let takes = Duration::from_millis(200);
    let running = [Blue, Green].map(|color| scene.own(color, takes));
    let mut producer = scene.producer();
    let (many, mut sent) = (many(), 0);
    for green in [0, 100, 500, 1000, 0] {
        scene.share(green).await;
        for n in 0..many / 5 {
            let group = format!("g{}", sent % 20);
            send(&producer, &group, &format!("{group}-{sent}")).await;
            sent += 1;
            // Half-way through each step but the first a new process takes over.
            if n == many / 10 && green > 0 {
                producer = scene.producer();
            }
        }
        // A backlog is there at each step.
        seconds(u64::try_from(many).unwrap().div_ceil(500)).await;
    }
    log.reach(sent).await;
    assert_in_order(log, sent);
    for color in [Blue, Green] {
        let had = log.lines().iter().filter(|line| line.starts_with(color.as_str())).count();
        assert!(had > sent / 10, "{color} had {had} of {sent}");
    }
    seconds(100).await;
    assert_eq!(
        (shop.counts(&shop.urls.blue).await, shop.counts(&shop.urls.green).await),
        ((0, 0), (0, 0))
    );
    for one in running {
        let report = one.stop(SOON).await;
        assert!(report.held > 0 && report.handed_over > 0, "{report:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_waits_for_its_marker_and_others_do_not_wait_for_it() {
    let scene = Scene::open().await;
    let Scene { shop, log, .. } = &scene;
    let producer = scene.producer();
    assert_eq!(send(&producer, MOVES, "old").await, Blue);
    scene.share(1000).await;
    // More groups wait than there are permits.
    for n in 0..30 {
        send(&producer, &format!("h{n}"), "held").await;
    }
    assert_eq!(send(&producer, MOVES, "new").await, Green);
    let green = scene.own(Green, Duration::ZERO);
    until(|| green.handle.report().held == 31).await;
    // Some that never was blue's.
    shop.put_group(&shop.urls.green, "free", &order("free")).await;
    log.reach(1).await;
    seconds(300).await;
    assert_eq!(log.lines(), ["green free"]);
    let blue = scene.own(Blue, Duration::ZERO);
    log.reach(33).await;
    assert_eq!(log.lines()[1], "blue old");
    let (blue, green) = (blue.stop(SOON).await, green.stop(SOON).await);
    assert_eq!((blue.handed_over, green.held, green.released), (31, 31, 0));
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_released_together_do_not_exceed_the_permits() {
    let scene = Scene::open().await;
    let log = &scene.log;
    let producer = scene.producer();
    scene.share(1000).await;
    for n in 0..40 {
        send(&producer, &format!("h{n}"), "held").await;
    }
    let (now, highest) = (Arc::new(std::sync::Mutex::new((0, 0))), log.clone());
    let counted = Arc::clone(&now);
    let dispatch = on(UnknownPolicy::Park, move |order, _| {
        let (log, counted) = (highest.clone(), Arc::clone(&counted));
        async move {
            {
                let mut counts = counted.lock().unwrap();
                counts.0 += 1;
                counts.1 = counts.1.max(counts.0);
            }
            seconds(1).await;
            counted.lock().unwrap().0 -= 1;
            log.add(order.order);
            Ok(Outcome::Done)
        }
    });
    let green = scene.own_by(Green, dispatch, scene.handling());
    until(|| green.handle.report().held == 40).await;
    let blue = scene.own_by(Blue, slow(Blue, &Log::default(), Duration::ZERO), scene.handling());
    log.reach(40).await;
    assert_eq!(now.lock().unwrap().1, 10, "ten permits");
    blue.stop(SOON).await;
    green.stop(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_beyond_the_bound_takes_permits_and_is_begun_all_the_same() {
    let scene = Scene::with(HandOver::in_memory().with_max_held(2)).await;
    let log = &scene.log;
    let producer = scene.producer();
    scene.share(1000).await;
    for n in 0..6 {
        send(&producer, &format!("h{n}"), "held").await;
    }
    let few = scene.handling().with_concurrency(2);
    let green = scene.own_by(Green, slow(Green, log, Duration::ZERO), few);
    seconds(300).await;
    // Two take no permits, two take the two there are.
    assert_eq!(green.handle.report().held, 4);
    let blue = scene.own_by(Blue, slow(Blue, &Log::default(), Duration::ZERO), scene.handling());
    let all = tokio::time::timeout(Duration::from_secs(600), log.reach(6)).await;
    assert!(all.is_ok(), "{:?}", green.handle.report());
    for one in [blue, green] {
        one.stop(SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_shows_to_others_what_is_kept_and_each_goes_on_in_order() {
    let scene = Scene::open().await;
    let Scene { shop, log, .. } = &scene;
    let producer = scene.producer();
    scene.share(1000).await;
    for n in 0..3 {
        send(&producer, MOVES, &n.to_string()).await;
    }
    let first = scene.own(Green, Duration::ZERO);
    until(|| first.handle.report().held == 1).await;
    first.handle.pause();
    seconds(30).await;
    assert_eq!(shop.counts(&shop.urls.green).await, (3, 0));
    // Another process has them meanwhile, although this one lives.
    let second = scene.own(Green, Duration::ZERO);
    let blue = scene.own(Blue, Duration::ZERO);
    log.reach(3).await;
    assert_eq!(log.lines(), ["green 0", "green 1", "green 2"]);
    first.handle.resume();
    seconds(30).await;
    let report = first.stop(SOON).await;
    assert_eq!((report.received, report.released, report.handled), (3, 3, 0));
    for one in [blue, second] {
        one.stop(SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_back_long_after_its_marker_was_forgotten_waits_for_nothing() {
    let scene = Scene::open().await;
    let producer = scene.producer();
    scene.share(1000).await;
    send(&producer, MOVES, "g-1").await;
    scene.is_parked_and_waits_for_nothing_when_it_is_sent_back("bluegreen-after").await;
}

#[tokio::test(start_paused = true)]
async fn a_marker_that_cannot_be_written_on_its_last_receive_is_parked_with_the_reason() {
    let hand_over = HandOver::new(
        |_| std::future::ready(Err("the table is away".into())),
        |_| std::future::ready(Ok(false)),
    );
    let scene = Scene::with(hand_over).await;
    let shop = &scene.shop;
    crate::failures::allow(shop, 2).await;
    let producer = scene.producer();
    scene.share(1000).await;
    send(&producer, MOVES, "g-1").await;
    let blue = scene.own_by(Blue, slow(Blue, &Log::default(), Duration::ZERO), scene.handling());
    seconds(60).await;
    let report = blue.stop(SOON).await;
    assert_eq!((report.failed, report.handed_over, report.parked), (1, 0, 1));
    let parked = shop.look(&shop.dead).await.remove(0);
    let reason = crate::shop::text(&parked, bluegreen_queue::attributes::REASON);
    let expected = "a marker could not be written down, the last of 2 times: the table is away";
    assert_eq!(reason, Some(expected));
}

#[tokio::test(start_paused = true)]
async fn at_a_stop_what_was_kept_is_shown_to_others_at_once() {
    let scene = Scene::open().await;
    let Scene { shop, log, .. } = &scene;
    let producer = scene.producer();
    scene.share(1000).await;
    for n in 0..3 {
        send(&producer, MOVES, &n.to_string()).await;
    }
    let green = scene.own(Green, Duration::ZERO);
    until(|| green.handle.report().held == 1).await;
    let report = green.stop(Duration::from_secs(60)).await;
    assert_eq!((report.released, report.handled), (3, 0));
    assert_eq!(shop.counts(&shop.urls.green).await, (3, 0));
    // Another process keeps it anew, and goes on once the marker is handled.
    let green = scene.own(Green, Duration::ZERO);
    let blue = scene.own(Blue, Duration::ZERO);
    log.reach(3).await;
    assert_eq!(log.lines(), ["green 0", "green 1", "green 2"]);
    blue.stop(SOON).await;
    green.stop(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn after_an_abandonment_whoever_adopts_the_queue_handles_its_markers() {
    let scene = Scene::open().await;
    let Scene { shop, log, .. } = &scene;
    let producer = scene.producer();
    let blue = scene.own(Blue, Duration::ZERO);
    scene.share(1000).await;
    // Nobody of green lives, not even at first.
    send(&producer, MOVES, "g-1").await;
    scene.share(0).await;
    send(&producer, MOVES, "g-2").await;
    seconds(60).await;
    assert!(log.lines().is_empty());
    update(&scene.store, &key(), abandon).await.unwrap();
    let nobody = Roster::fixed(Members::living(vec![crate::gates::living(Blue)]));
    let adopted = Subscription::adopted(&shop.separate(), Blue, &shop.dead, nobody).unwrap();
    let dispatch = slow(Blue, log, Duration::ZERO);
    let other = shop.consume(adopted, scene.following.clone(), dispatch, scene.handling());
    log.reach(2).await;
    assert_eq!(log.lines(), ["blue g-1", "blue g-2"]);
    let (own, other) = (blue.stop(SOON).await, other.stop(SOON).await);
    assert_eq!((own.handed_over, own.held, other.handed_over), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn behind_a_barrier_a_group_is_sent_elsewhere_when_every_process_follows() {
    let mut scene = Scene::open().await;
    let store = &scene.store;
    let clock = scene.shop.world.clock();
    let other = ServiceIdentity::new(key(), Blue, Release::new("1").unwrap(), "lagging");
    let lagging = |seen| {
        Member::new(&other, Reads::default(), Duration::from_secs(1_000))
            .announced(Some(Revision::new(seen)), clock.now())
    };
    store.announce(&key(), &lagging(2)).await.unwrap();
    let config = RosterConfig::default().with_clock(clock);
    let (roster, lookout) = Roster::new(Arc::clone(store), key(), config).unwrap();
    tokio::spawn(lookout.run(Stop::never()));
    scene.hand_over = HandOver::in_memory().with_barrier(roster);
    let Scene { shop, store, following, .. } = &scene;
    let producer = scene.producer();
    send(&producer, MOVES, "a").await;
    send(&producer, "k72", "a").await;
    scene.share(500).await;
    let moving = {
        let producer = producer.clone();
        tokio::spawn(async move { send(&producer, MOVES, "b").await })
    };
    // It is blue's until 90 %, and waits for nobody.
    assert_eq!(send(&producer, "k72", "b").await, Blue);
    seconds(600).await;
    assert!(!moving.is_finished());
    assert_eq!(shop.counts(&shop.urls.green).await, (0, 0));
    let last = following.current().unwrap().revision();
    store.announce(&key(), &lagging(last.get())).await.unwrap();
    let told = tokio::time::Instant::now();
    assert_eq!(moving.await.unwrap(), Green);
    assert!(told.elapsed() >= Duration::from_secs(5), "a send of the other may be on its way");
    let begun = tokio::time::Instant::now();
    assert_eq!(send(&producer, MOVES, "c").await, Green);
    assert!(begun.elapsed() < Duration::from_secs(1), "it has moved already");
}

#[tokio::test(start_paused = true)]
async fn a_marker_that_cannot_be_sent_is_an_error_and_the_message_is_not_sent_either() {
    let scene = Scene::open().await;
    let shop = &scene.shop;
    let producer = scene.producer();
    scene.share(1000).await;
    let sends = Calls::to(Service::Sqs).operation("SendMessage").access_key("producer");
    let outage = shop.world.faults().inject(Rule::new(sends, Fault::AccessDenied));
    let order = Order { order: "a".to_owned() };
    producer.send(&order, MOVES).await.unwrap_err();
    assert_eq!(outage.count(), 1, "the marker alone was tried");
    drop(outage);
    assert_eq!(producer.send(&order, MOVES).await.unwrap().color, Some(Green));
    assert_eq!(
        (shop.counts(&shop.urls.blue).await.0, shop.counts(&shop.urls.green).await.0),
        (1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn while_nobody_can_write_or_read_the_group_waits_and_nothing_is_lost() {
    let away = Arc::new(AtomicBool::new(true));
    let hand_over = {
        let (table, writing, reading) =
            (Arc::new(std::sync::Mutex::new(Vec::new())), Arc::clone(&away), Arc::clone(&away));
        let written = Arc::clone(&table);
        HandOver::new(
            move |marker| {
                let (table, away) = (Arc::clone(&table), writing.load(Ordering::SeqCst));
                async move {
                    if away {
                        std::future::pending::<()>().await;
                    }
                    table.lock().unwrap().push(marker);
                    Ok(())
                }
            },
            move |marker| {
                assert!(!reading.load(Ordering::SeqCst), "a panic is as good as no answer");
                let is_there = written.lock().unwrap().contains(&marker);
                async move { Ok(is_there) }
            },
        )
    };
    let scene = Scene::with(hand_over).await;
    let Scene { shop, log, .. } = &scene;
    let producer = scene.producer();
    send(&producer, MOVES, "g-1").await;
    scene.share(1000).await;
    send(&producer, MOVES, "g-2").await;
    let running = [Blue, Green].map(|color| scene.own(color, Duration::ZERO));
    seconds(300).await;
    assert_eq!(log.lines(), ["blue g-1"]);
    assert!(running[0].handle.report().failed > 1);
    away.store(false, Ordering::SeqCst);
    log.reach(2).await;
    for one in running {
        one.stop(SOON).await;
    }
    assert_eq!((log.lines().len(), shop.counts(&shop.dead).await), (2, (0, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_batching_producer_hands_over_as_well() {
    let scene = Scene::open().await;
    let Scene { shop, log, .. } = &scene;
    let (client, following) = (shop.world.sqs_as("producer"), scene.following.clone());
    let (producer, courier) =
        Producer::batching(client, shop.separate(), following, Blue, scene.sending()).unwrap();
    tokio::spawn(courier.run(Stop::never()));
    let takes = Duration::from_secs(1);
    let running = [Blue, Green].map(|color| scene.own(color, takes));
    let mut sent = 0;
    for green in [0, 500, 1000, 0] {
        scene.share(green).await;
        for _ in 0..5 {
            let of = |group: &str| Order { order: format!("{group}-{sent}") };
            let orders = ["k40", "k18", "k70", "k72"].map(|group| (group, of(group)));
            let sends = orders.iter().map(|(group, order)| producer.send(order, group));
            for one in futures_util::future::join_all(sends).await {
                one.unwrap();
            }
            sent += 1;
        }
    }
    log.reach(sent * 4).await;
    assert_in_order(log, sent * 4);
    for one in running {
        one.stop(SOON).await;
    }
}

#[cfg(feature = "dynamodb")]
#[tokio::test(start_paused = true)]
async fn markers_are_written_down_in_a_table_for_other_processes_to_read() {
    let mut scene = Scene::open().await;
    let world = &scene.shop.world;
    scene.hand_over = HandOver::in_table(world.dynamodb(), "handled", world.clock());
    let Scene { shop, log, .. } = &scene;
    crate::idempotent::table(shop).await;
    let producer = scene.producer();
    send(&producer, MOVES, "g-1").await;
    scene.share(1000).await;
    send(&producer, MOVES, "g-2").await;
    let green = scene.own(Green, Duration::ZERO);
    until(|| green.handle.report().held == 1).await;
    seconds(60).await;
    assert!(log.lines().is_empty());
    let blue = scene.own(Blue, Duration::ZERO);
    log.reach(2).await;
    assert_eq!(log.lines(), ["blue g-1", "green g-2"]);
    let reads = shop.world.calls(Service::DynamoDb, "GetItem");
    assert!((5..40).contains(&reads), "{reads} reads in a minute");
    assert_eq!(shop.world.calls(Service::DynamoDb, "PutItem"), 1);
    let items = shop.world.dynamodb().scan().table_name("handled").send().await.unwrap();
    let item = &items.items()[0];
    assert!(item["id"].as_s().unwrap().starts_with("hand-over/"));
    let expires: u64 = item["expires"].as_n().unwrap().parse().unwrap();
    assert!(expires.abs_diff(1_800_000_000 + 15 * 86_400) < 3_600, "{expires}");
    for one in [blue, green] {
        one.stop(SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hand_over_between_queues_that_are_not_fifo_is_refused() {
    let shop = Shop::open().await;
    let (hand_over, following) = (HandOver::in_memory(), crate::shop::following(None));
    let own = Subscription::own(&shop.separate(), Blue, &shop.dead);
    let dispatch = slow(Blue, &Log::default(), Duration::ZERO);
    let client = shop.world.sqs();
    let config = ConsumerConfig::default().with_hand_over(hand_over.clone());
    let error = Consumer::new(client.clone(), own, following.clone(), dispatch, config);
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("hand_over of Some(") && error.contains("FIFO"), "{error}");
    let config = ProducerConfig::default().with_hand_over(hand_over);
    let error = Producer::new(client, shop.separate(), following, Blue, config).unwrap_err();
    assert!(error.to_string().starts_with("hand_over of Some("), "{error}");
}
