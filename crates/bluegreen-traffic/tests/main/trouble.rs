//! A store or a balancer that fails, hangs or lags behind, at the worst moment.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bluegreen_core::{Color, Deployment, Phase, Share, Stop};
use bluegreen_traffic::{Cause, Frost, Outcome, Plan, ShiftError};
use tokio::time::sleep;

use crate::interference::stuck;
use crate::scene::{Balancer, PERIOD, Scene, Trouble, good, green_bad_from, shares};

/// Runs the shift beside something that happens meanwhile.
async fn run_beside(scene: &Scene, event: impl Future<Output = ()>) -> Result<Outcome, ShiftError> {
    tokio::join!(scene.run(Stop::never()), event).0
}

/// The store is in trouble from one time to another.
async fn trouble(scene: &Scene, trouble: Trouble, from: Duration, to: Duration) {
    sleep(from).await;
    scene.troubled.set(Some(trouble));
    sleep(to - from).await;
    scene.troubled.set(None);
}

#[tokio::test(start_paused = true)]
async fn reads_that_lag_behind_are_not_taken_for_somebody_elses_writes() {
    // The last one goes back right after its first write, which a read does not show yet.
    for (script, refused) in [(good(), 0), (green_bad_from(Duration::ZERO), 0), (good(), 1)] {
        let mut scene = Scene::new(script).await;
        scene.troubled.set(Some(Trouble::Stale(Duration::from_millis(500))));
        let shares = Mutex::new(shares(Color::Green, 0));
        let failing = AtomicU32::new(refused);
        scene.balancer =
            Arc::new(Balancer { shares, failing, lasting: true, ..Balancer::default() });
        let outcome = scene.run(Stop::never()).await.unwrap();
        scene.assert_is(&outcome).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_in_trouble_at_a_step_holds_the_share_and_the_shift_goes_on_after_it() {
    for kind in
        [Trouble::Unavailable, Trouble::Misconfigured, Trouble::Silent, Trouble::LostReplies]
    {
        let scene = Scene::new(good()).await;
        let down = trouble(&scene, kind, PERIOD * 4, PERIOD * 20);
        let outcome = run_beside(&scene, down).await.unwrap();
        scene.assert_is(&outcome).await;
        assert!(matches!(outcome, Outcome::Promoted { .. }), "{kind:?} {outcome:?}");
        assert!(!scene.told("store").is_empty(), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_candidate_loses_its_traffic_within_seconds_whatever_the_store_does() {
    for kind in [Trouble::Unavailable, Trouble::Misconfigured, Trouble::Silent] {
        let scene = Scene::new(green_bad_from(PERIOD * 12)).await;
        let meanwhile = async {
            let down = trouble(&scene, kind, PERIOD * 4, PERIOD * 25);
            let look = async {
                while scene.told("rolling back").is_empty() && scene.since() < PERIOD * 18 {
                    sleep(Duration::from_millis(100)).await;
                }
                sleep(Duration::from_secs(3)).await;
                assert_eq!(scene.weights(), shares(Color::Green, 0), "{kind:?}");
                assert!(scene.since() < PERIOD * 18, "{kind:?}");
            };
            tokio::join!(down, look);
        };
        let outcome = run_beside(&scene, meanwhile).await.unwrap();
        scene.assert_is(&outcome).await;
        assert!(matches!(outcome, Outcome::RolledBack { .. }), "{kind:?} {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_down_ends_in_a_freeze_that_says_so() {
    let scene = Scene::new(good()).await;
    let down = trouble(&scene, Trouble::Unavailable, PERIOD * 4, PERIOD * 400);
    let outcome = run_beside(&scene, down).await.unwrap();
    scene.assert_is(&outcome).await;
    let Outcome::Frozen { why, share, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((why, share.as_per_mille()), (Frost::Store, 100));
}

#[tokio::test(start_paused = true)]
async fn a_balancer_that_does_not_answer_stops_no_watching() {
    let scene = Scene::new(green_bad_from(PERIOD)).await;
    let silence = async {
        sleep(PERIOD).await;
        scene.balancer.silent.store(true, Ordering::SeqCst);
        sleep(PERIOD * 7).await;
        assert_eq!(scene.weights(), shares(Color::Green, 0));
        scene.balancer.silent.store(false, Ordering::SeqCst);
    };
    let outcome = run_beside(&scene, silence).await.unwrap();
    scene.assert_is(&outcome).await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_waits_for_the_store_until_its_last_write_too() {
    let scene = Scene::new(good()).await;
    // Nobody follows, so it goes back after two minutes, and gives the shift up two minutes later.
    let down = trouble(&scene, Trouble::Unavailable, PERIOD * 3, PERIOD * 6);
    let outcome = tokio::select! {
        biased;
        () = stuck(&scene) => unreachable!("it never ends"),
        outcome = run_beside(&scene, down) => outcome.unwrap(),
    };
    scene.assert_is(&outcome).await;
    assert!(matches!(outcome, Outcome::RolledBack { cause: Cause::NotFollowed(_), .. }));
}

/// The operator changes the deployment while the figures for the last decision are being read.
async fn taken_over(scene: &mut Scene, shown: Phase) {
    scene.plan = Plan::at_once(PERIOD);
    scene.look_takes = Duration::from_secs(5);
    let operator = async {
        while scene.asked.lock().unwrap().is_empty() {
            sleep(Duration::from_secs(1)).await;
        }
        scene.change(|now| now.shift(Share::ZERO)).await;
        if shown.candidate().is_none() {
            scene.change(Deployment::abandon).await;
        }
    };
    let error = run_beside(scene, operator).await.unwrap_err();
    assert!(matches!(error, ShiftError::Superseded { phase } if phase == shown), "{error}");
    assert_eq!(scene.weights(), shares(Color::Green, 0), "the balancer is as the record says");
}

#[tokio::test(start_paused = true)]
async fn a_shift_taken_over_at_its_end_leaves_the_balancer_as_the_record_says() {
    let mut scene = Scene::new(good()).await;
    taken_over(&mut scene, Phase::Shift { to: Color::Green, share: Share::ZERO }).await;
    let mut scene = Scene::new(green_bad_from(Duration::ZERO)).await;
    taken_over(&mut scene, Phase::Only(Color::Blue)).await;
}

#[tokio::test(start_paused = true)]
async fn a_shift_taken_over_tries_again_where_the_balancer_fails() {
    let mut scene = Scene::new(good()).await;
    scene.plan = Plan::at_once(PERIOD);
    let operator = async {
        sleep(PERIOD).await;
        scene.balancer.failing.store(3, Ordering::SeqCst);
        scene.change(|now| now.shift(Share::ZERO)).await;
    };
    let error = run_beside(&scene, operator).await.unwrap_err();
    assert!(matches!(error, ShiftError::Superseded { .. }), "{error}");
    assert_eq!(scene.weights(), shares(Color::Green, 0));
}

#[tokio::test(start_paused = true)]
async fn asked_back_without_a_shift_the_balancer_is_put_right_all_the_same() {
    let scene = Scene::new(good()).await;
    *scene.balancer.shares.lock().unwrap() = shares(Color::Green, 500);
    let outcome = scene.revert().await.unwrap();
    scene.assert_is(&outcome).await;
    assert!(matches!(outcome, Outcome::RolledBack { cause: Cause::Asked, .. }));
}
