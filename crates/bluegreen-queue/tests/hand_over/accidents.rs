//! What goes wrong beside a hand-over holds no group for ever, and brings none out of order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bluegreen_queue::{ClaimCheck, HandOver, attributes};
use tokio::sync::Semaphore;

use super::{MOVES, SOON, Scene, send};
use crate::failures::Unspeakable;
use crate::shop::{Blue, Green, Order, seconds, text, until};

#[tokio::test(start_paused = true)]
async fn what_was_parked_with_its_reason_around_it_waits_for_no_marker_when_it_is_sent_back() {
    let scene = Scene::open().await;
    let producer = scene.producer();
    scene.share(1000).await;
    let order = Order { order: "g-1".to_owned() };
    let full = (0..10)
        .fold(producer.draft(&order, MOVES), |draft, n| draft.with_attribute(format!("a{n}"), "v"));
    full.send().await.unwrap();
    scene.is_parked_and_waits_for_nothing_when_it_is_sent_back("bluegreen.Parked").await;
}

/// A future of the application that never ends, and panics when it is given up.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("nobody gives this up")
    }
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_panics_when_it_is_given_up_fails_its_message_and_no_more() {
    let is_broken = Arc::new(AtomicBool::new(true));
    let written = Arc::new(AtomicBool::new(false));
    let (broken, read) = (Arc::clone(&is_broken), Arc::clone(&written));
    let hand_over = HandOver::new(
        move |_| {
            written.store(true, Ordering::SeqCst);
            std::future::ready(Ok(()))
        },
        move |_| {
            let bomb = broken.load(Ordering::SeqCst).then(|| Bomb);
            let is_there = read.load(Ordering::SeqCst);
            async move {
                if bomb.is_some() {
                    std::future::pending::<()>().await;
                }
                Ok(is_there)
            }
        },
    );
    let scene = Scene::with(hand_over).await;
    let producer = scene.producer();
    scene.share(1000).await;
    for order in ["g-1", "g-2"] {
        send(&producer, MOVES, order).await;
    }
    let running = [Blue, Green].map(|color| scene.own(color, Duration::ZERO));
    until(|| running[1].handle.report().failed == 1).await;
    is_broken.store(false, Ordering::SeqCst);
    seconds(120).await;
    assert_eq!(scene.log.lines(), ["green g-1", "green g-2"]);
    for one in running {
        one.stop(SOON).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_marker_whose_error_cannot_be_written_is_parked_like_any_other() {
    let hand_over = HandOver::new(
        |_| std::future::ready(Err(Unspeakable.into())),
        |_| std::future::ready(Ok(false)),
    );
    let scene = Scene::with(hand_over).await;
    let shop = &scene.shop;
    crate::failures::allow(shop, 2).await;
    let producer = scene.producer();
    scene.share(1000).await;
    send(&producer, MOVES, "g-1").await;
    let blue = scene.own(Blue, Duration::ZERO);
    seconds(120).await;
    assert_eq!(blue.stop(SOON).await.parked, 1);
    let parked = shop.look(&shop.dead).await.remove(0);
    let reason = text(&parked, attributes::REASON).unwrap();
    assert!(reason.ends_with("the closure's error cannot be written"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_is_put_away_for_long_goes_where_its_group_is_by_then() {
    let scene = Scene::open().await;
    let (may_put, begun) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicBool::new(false)));
    let (putting, beginning) = (Arc::clone(&may_put), Arc::clone(&begun));
    let claims = ClaimCheck::new(
        move |_, _| {
            beginning.store(true, Ordering::SeqCst);
            let putting = Arc::clone(&putting);
            async move { putting.acquire().await.map(drop).map_err(Into::into) }
        },
        |_| std::future::ready(Ok(None)),
    );
    let large = scene.producer_by(scene.sending().with_claim_check(claims.with_threshold(1_000)));
    let sending = tokio::spawn(async move {
        let order = Order { order: "x".repeat(2_000) };
        large.send(&order, MOVES).await.unwrap().color
    });
    until(|| begun.load(Ordering::SeqCst)).await;
    scene.share(1000).await;
    // Another process hands the group over meanwhile.
    assert_eq!(send(&scene.producer(), MOVES, "g-1").await, Green);
    may_put.add_permits(1);
    assert_eq!(sending.await.unwrap(), Some(Green), "it would come behind the marker");
}
