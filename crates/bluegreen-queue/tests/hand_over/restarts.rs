//! Processes that start while a color has no share: the record tells them whether it ever had one.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bluegreen_core::{Members, Roster, Share, Store as _, update};
use bluegreen_queue::{Flow, Subscription};

use super::{MOVES, SOON, Scene, abandon, send, slow};
use crate::gates::share;
use crate::shop::{Blue, Green, Running, key, seconds, until};
use crate::traps::Away;

const MINUTE: Duration = Duration::from_secs(60);

/// Blue's consumer of green's queue, of which no process lives.
fn adopter(scene: &Scene) -> Running {
    let nobody = Roster::fixed(Members::living(vec![crate::gates::living(Blue)]));
    let Scene { shop, following, log, .. } = scene;
    let adopted = Subscription::adopted(&shop.separate(), Blue, &shop.dead, nobody).unwrap();
    shop.consume(adopted, following.clone(), slow(Blue, log, Duration::ZERO), scene.handling())
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_starts_at_share_zero_waits_for_what_the_candidate_has_left() {
    let scene = Scene::open().await;
    let running = [(Blue, Duration::ZERO), (Green, MINUTE)].map(|(c, takes)| scene.own(c, takes));
    scene.share(1000).await;
    assert_eq!(send(&scene.producer(), MOVES, "g-1").await, Green);
    until(|| running[1].handle.report().received == 1).await;
    scene.share(0).await;
    assert_eq!(send(&scene.producer(), MOVES, "g-2").await, Blue);
    scene.log.reach(2).await;
    assert_eq!(scene.log.lines(), ["green g-1", "blue g-2"]);
    for one in running {
        one.stop(SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_candidate_has_never_had_a_share_nothing_is_sent_to_its_queue() {
    let scene = Scene::open().await;
    assert_eq!(send(&scene.producer(), MOVES, "g-1").await, Blue);
    assert_eq!(scene.shop.counts(&scene.shop.urls.green).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_has_served_finishes_its_queue_at_share_zero_also_after_a_restart() {
    let scene = Scene::open().await;
    let Scene { shop, log, .. } = &scene;
    let producer = scene.producer();
    let green = scene.own(Green, MINUTE);
    seconds(60).await;
    assert_eq!((green.handle.flow(), shop.calls(Green, "")), (Flow::Closed, 0));
    scene.share(1000).await;
    let blue = scene.own(Blue, Duration::ZERO);
    assert_eq!(send(&producer, MOVES, "g-1").await, Green);
    until(|| green.handle.report().received == 1).await;
    assert_eq!(send(&producer, MOVES, "g-2").await, Green);
    scene.share(0).await;
    assert_eq!(send(&producer, MOVES, "g-3").await, Blue);
    assert_eq!(green.handle.flow(), Flow::Open);
    log.reach(1).await;
    seconds(1).await;
    green.driver.abort();
    // This one has never seen a share of its own.
    let again = scene.own(Green, MINUTE);
    log.reach(3).await;
    assert_eq!(log.lines(), ["green g-1", "green g-2", "blue g-3"]);
    for one in [again, blue] {
        one.stop(SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_starts_after_an_abandonment_waits_for_what_was_left_until_it_is_drained() {
    let scene = Scene::open().await;
    let Scene { shop, store, following, log, .. } = &scene;
    scene.share(1000).await;
    assert_eq!(send(&scene.producer(), MOVES, "g-1").await, Green);
    scene.share(0).await;
    update(store, &key(), abandon).await.unwrap();
    until(|| following.phase().unwrap().candidate().is_none()).await;
    assert_eq!(send(&scene.producer(), MOVES, "g-2").await, Blue);
    let blue = scene.own(Blue, Duration::ZERO);
    seconds(60).await;
    assert!(log.lines().is_empty(), "green's queue is not handled yet");
    let other = adopter(&scene);
    log.reach(2).await;
    assert_eq!(log.lines(), ["blue g-1", "blue g-2"]);
    let drained = update(store, &key(), |now| Ok(now.unwrap().drained()?)).await.unwrap();
    until(|| following.current().unwrap().revision() == drained.revision()).await;
    assert_eq!(send(&scene.producer(), MOVES, "g-3").await, Blue);
    log.reach(3).await;
    assert_eq!((other.stop(SOON).await.handed_over, blue.stop(SOON).await.held), (1, 1));
    assert_eq!(shop.counts(&shop.urls.green).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_starts_after_a_commit_waits_for_the_backlog_of_the_old_color() {
    let scene = Scene::open().await;
    let Scene { store, following, log, .. } = &scene;
    assert_eq!(send(&scene.producer(), MOVES, "g-1").await, Blue);
    scene.share(1000).await;
    update(store, &key(), |now| Ok(now.unwrap().commit()?)).await.unwrap();
    until(|| following.phase().unwrap().candidate().is_none()).await;
    assert_eq!(send(&scene.producer(), MOVES, "g-2").await, Green);
    let green = scene.own(Green, Duration::ZERO);
    seconds(60).await;
    assert!(log.lines().is_empty(), "blue's queue is not handled yet");
    let blue = scene.own(Blue, Duration::ZERO);
    log.reach(2).await;
    assert_eq!(log.lines(), ["blue g-1", "green g-2"]);
    for one in [blue, green] {
        one.stop(SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_freezes_groups_and_gates_as_they_are() {
    let mut scene = Scene::open().await;
    let store = Away::default();
    for _ in 0..2 {
        share(&store.inner, 0).await;
    }
    // Blue's process and green's, which begins to serve and is asked back.
    let followings = [store.follow(Blue, "blue-1"), store.follow(Green, "green-1")];
    let follow = async |green: u16| {
        share(&store.inner, green).await;
        let latest = store.inner.load(&key()).await.unwrap();
        until(|| followings.iter().all(|one| one.current().as_deref() == latest.as_ref())).await;
    };
    for (green, group) in [(0, Blue), (1000, Green), (0, Blue)] {
        follow(green).await;
        store.is_away.store(true, Ordering::SeqCst);
        // Decided by somebody who still reaches the store; nobody here knows.
        share(&store.inner, 1000 - green).await;
        seconds(600).await;
        let [blue, its] = followings.clone();
        scene.following = blue;
        assert_eq!(send(&scene.producer(), MOVES, "g-1").await, group, "{green}");
        scene.following = its;
        let running = scene.own(Green, Duration::ZERO);
        let untouched = scene.following.current().unwrap().reached() == Some(Share::ZERO);
        let expected = if untouched { Flow::Closed } else { Flow::Open };
        assert_eq!(running.handle.flow(), expected, "{green}");
        scene.following = store.follow(Green, "green-2");
        let late = scene.own(Green, Duration::ZERO);
        seconds(60 * 60).await;
        assert_eq!(running.handle.flow(), expected, "{green} for an hour");
        assert_eq!(late.handle.flow(), Flow::Closed, "what is unknown is not guessed");
        store.is_away.store(false, Ordering::SeqCst);
        for one in [running, late] {
            one.stop(SOON).await;
        }
    }
}
