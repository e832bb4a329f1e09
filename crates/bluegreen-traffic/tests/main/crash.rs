//! Dropped before and after each call to store and balancer, begun again, and always at a good end.

use std::time::Duration;

use bluegreen_core::{Share, Stop};
use bluegreen_traffic::{Outcome, Plan, Step};

use crate::scene::{PERIOD, Scene, Script, good, green_bad_from};

/// Crashes at every point in turn, runs again, and answers the number of points.
async fn crash_everywhere(script: Script, is_expected: fn(&Outcome) -> bool) -> u32 {
    for point in 0.. {
        let mut scene = Scene::new(script.clone()).await;
        let steps = [Share::percent(10).unwrap(), Share::FULL];
        scene.plan = Plan::default().with_steps(steps.map(|share| Step::new(share, PERIOD * 2)));
        let outcome = match scene.crash_at(point).await {
            None => scene.run(Stop::never()).await.unwrap(),
            Some(outcome) => {
                scene.assert_is(&outcome.unwrap()).await;
                return point;
            }
        };
        scene.assert_is(&outcome).await;
        assert!(is_expected(&outcome), "crashed at {point}: {outcome:?}");
    }
    unreachable!("every shift ends")
}

#[tokio::test(start_paused = true)]
async fn a_good_release_is_promoted_wherever_its_shift_crashed() {
    let promoted = |outcome: &Outcome| matches!(outcome, Outcome::Promoted { .. });
    let points = crash_everywhere(good(), promoted).await;
    assert!(points > 25, "{points}");
}

#[tokio::test(start_paused = true)]
async fn a_bad_release_is_rolled_back_wherever_its_shift_crashed() {
    let rolled_back = |outcome: &Outcome| matches!(outcome, Outcome::RolledBack { .. });
    let points = crash_everywhere(green_bad_from(Duration::ZERO), rolled_back).await;
    assert!(points > 15, "{points}");
}
