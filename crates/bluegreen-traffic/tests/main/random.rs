//! Any metrics, any failing calls, any crash: what a shift says in the end is so.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bluegreen_core::{Color, Reading, Stop};
use bluegreen_traffic::{FreezeEnd, Outcome, Verdict};
use proptest::prelude::*;

use crate::scene::{PERIOD, Scene, counted};

fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        12 => Just(counted(1_000, 1)),
        1 => Just(counted(1_000, 300)),
        1 => Just(counted(3, 0)),
        1 => Just(Reading::NoTraffic),
        1 => Just(Reading::Late),
        1 => Just(Reading::Absent),
    ]
}

async fn play(
    minutes: Vec<(Reading, Reading)>,
    failing: u32,
    crash: u32,
    roll_back: bool,
) -> Result<(), TestCaseError> {
    let mut scene = Scene::new(Arc::new(move |color, at| {
        let minute = usize::try_from(at.as_secs() / PERIOD.as_secs()).unwrap();
        let (blue, green) = minutes.get(minute).copied().unwrap_or((Reading::Late, Reading::Late));
        if color == Color::Blue { blue } else { green }
    }))
    .await;
    if roll_back {
        scene.config = scene.config.clone().with_freeze_end(FreezeEnd::RollBack);
    }
    scene.balancer.failing.store(failing, Ordering::SeqCst);
    let outcome = match scene.crash_at(crash).await {
        Some(outcome) => outcome.unwrap(),
        None => scene.run(Stop::never()).await.unwrap(),
    };
    scene.assert_is(&outcome).await;
    let last = outcome.record().last_verdict();
    if let (Outcome::Promoted { .. }, Some(last)) = (&outcome, last) {
        let healthy = matches!(last, Verdict::Healthy { .. });
        prop_assert!(healthy, "promoted on {}", last);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn balancer_and_record_end_where_the_outcome_says(
        minutes in proptest::collection::vec((reading(), reading()), 0..80),
        failing in 0u32..6,
        crash in 0u32..120,
        roll_back: bool,
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(play(minutes, failing, crash, roll_back))?;
    }
}
