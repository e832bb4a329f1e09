//! Others that write, calls that fail, processes that do not follow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bluegreen_core::{
    Color, Deployment, Member, Phase, Reads, Revision, ServiceIdentity, Share, Stop, Store,
};
use bluegreen_traffic::{Cause, Frost, Missing, Outcome, ShiftError};
use tokio::time::sleep;

use crate::scene::{Balancer, PERIOD, Scene, good, green_bad_from, release, shares};

#[tokio::test(start_paused = true)]
async fn weights_that_somebody_else_changed_are_named_and_put_right() {
    let scene = Scene::new(good()).await;
    let meddler = async {
        sleep(PERIOD * 2).await;
        *scene.balancer.shares.lock().unwrap() = shares(Color::Green, 1_000);
    };
    let (outcome, ()) = tokio::join!(scene.run(Stop::never()), meddler);
    let outcome = outcome.unwrap();
    scene.assert_is(&outcome).await;
    let drift = scene.told("drift");
    let said = "drift: the balancer has blue 0 % green 100 %, written was blue 90 % green 10 %";
    assert_eq!(drift, [said]);
    let record = outcome.record();
    assert_eq!(record.steps[0].share, record.steps[1].share, "its step begins anew");
}

#[tokio::test(start_paused = true)]
async fn weights_that_somebody_keeps_changing_end_in_a_freeze() {
    let scene = Scene::new(good()).await;
    let meddler = async {
        loop {
            sleep(PERIOD / 4).await;
            *scene.balancer.shares.lock().unwrap() = shares(Color::Green, 0);
        }
    };
    let outcome = tokio::select! {
        outcome = scene.run(Stop::never()) => outcome.unwrap(),
        () = meddler => unreachable!("it never ends"),
    };
    let Outcome::Frozen { why, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(why, Frost::NoEvidence(Missing::Drift));
}

#[tokio::test(start_paused = true)]
async fn weights_that_are_refused_for_a_while_are_tried_again() {
    let scene = Scene::new(good()).await;
    scene.balancer.failing.store(3, Ordering::SeqCst);
    let outcome = scene.run(Stop::never()).await.unwrap();
    scene.assert_is(&outcome).await;
    assert_eq!(scene.told("weights"), ["weights: writing failed: throttled"; 3]);
    assert!(matches!(outcome, Outcome::Promoted { .. }));
}

#[tokio::test(start_paused = true)]
async fn weights_that_will_not_be_written_send_the_shift_back() {
    let mut scene = Scene::new(good()).await;
    let balancer = Balancer { lasting: true, failing: AtomicU32::new(1), ..Balancer::default() };
    *balancer.shares.lock().unwrap() = shares(Color::Green, 0);
    scene.balancer = Arc::new(balancer);
    let outcome = scene.run(Stop::never()).await.unwrap();
    scene.assert_is(&outcome).await;
    let Outcome::RolledBack { cause: Cause::Weights(error), .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert!(error.ends_with("writing failed: denied"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_goes_on_until_the_balancer_takes_it() {
    let scene = Scene::new(green_bad_from(Duration::ZERO)).await;
    let outage = async {
        sleep(PERIOD * 2).await;
        scene.balancer.failing.store(20, Ordering::SeqCst);
    };
    let (outcome, ()) = tokio::join!(scene.run(Stop::never()), outage);
    scene.assert_is(&outcome.unwrap()).await;
    assert_eq!(scene.told("weights").len(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_cannot_be_finished_is_an_error_that_says_what_is_left() {
    let scene = Scene::new(green_bad_from(Duration::ZERO)).await;
    let outage = async {
        sleep(PERIOD * 2).await;
        scene.balancer.failing.store(u32::MAX, Ordering::SeqCst);
    };
    let (outcome, ()) = tokio::join!(scene.run(Stop::never()), outage);
    let error = outcome.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the rollback was not finished in time: the balancer still sends requests to the candidate"
    );
    assert!(error.is_retryable());
    let zero = Phase::Shift { to: Color::Green, share: Share::ZERO };
    assert_eq!(scene.phase().await, zero, "the record is never ahead of what is verified");
    // Once the balancer works again the same call brings it to an end.
    scene.balancer.failing.store(0, Ordering::SeqCst);
    scene.assert_is(&scene.run(Stop::never()).await.unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_else_changes_the_deployment_has_the_last_word() {
    let scene = Scene::new(good()).await;
    let operator = async {
        sleep(PERIOD * 8).await;
        scene.change(|now| now.shift(Share::ZERO)).await;
        scene.change(Deployment::abandon).await;
    };
    let (outcome, ()) = tokio::join!(scene.run(Stop::never()), operator);
    let error = outcome.unwrap_err();
    assert!(matches!(error, ShiftError::Superseded { phase: Phase::Only(Color::Blue) }), "{error}");
    assert_eq!(scene.weights(), shares(Color::Green, 0), "it leaves what the record says");
    assert!(scene.since() <= PERIOD * 9, "at the next look, not at the next step");
    assert_eq!(scene.phase().await, Phase::Only(Color::Blue));
}

/// A process that lives on and follows nothing after the first revision.
pub async fn stuck(scene: &Scene) {
    let identity = ServiceIdentity::new(scene.key.clone(), Color::Blue, release("1"), "stuck");
    let ttl = Duration::from_secs(15);
    let mut member = Member::new(&identity, Reads::default(), ttl);
    loop {
        member = member.announced(Some(Revision::FIRST), scene.clock.now());
        scene.store.announce(&scene.key, &member).await.unwrap();
        sleep(ttl / 3).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_living_process_that_does_not_follow_keeps_the_share_at_nothing() {
    let scene = Scene::new(good()).await;
    let outcome = tokio::select! {
        biased; // it is there before the shift
        () = stuck(&scene) => unreachable!("it never ends"),
        outcome = scene.run(Stop::never()) => outcome.unwrap(),
    };
    scene.assert_is(&outcome).await;
    let Outcome::RolledBack { cause, .. } = outcome else { panic!("{outcome:?}") };
    assert!(matches!(cause, Cause::NotFollowed(_)), "{cause}");
    assert!(scene.told("the candidate has").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_died_is_not_waited_for_beyond_its_lifetime() {
    let scene = Scene::new(good()).await;
    let identity = ServiceIdentity::new(scene.key.clone(), Color::Blue, release("1"), "killed");
    let member = Member::new(&identity, Reads::default(), Duration::from_secs(15));
    let member = member.announced(None, scene.clock.now());
    scene.store.announce(&scene.key, &member).await.unwrap();
    let outcome = scene.run(Stop::never()).await.unwrap();
    scene.assert_is(&outcome).await;
    assert!(scene.told("revision 2 ")[0].ends_with("followed by 0, 1 expired"));
}

#[tokio::test(start_paused = true)]
async fn a_shift_that_is_asked_back_needs_no_metrics() {
    let scene = Scene::new(good()).await;
    let (stopper, stop) = Stop::new();
    let stopping = async {
        sleep(PERIOD * 10).await;
        stopper.stop(Duration::from_secs(1));
    };
    let (stopped, ()) = tokio::join!(scene.run(stop), stopping);
    scene.assert_is(&stopped.unwrap()).await;
    let outcome = scene.revert().await.unwrap();
    scene.assert_is(&outcome).await;
    scene.assert_is(&scene.revert().await.unwrap()).await;
}
