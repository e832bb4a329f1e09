use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bluegreen_core::{Color, Phase, Reading, Share, Stop};
use bluegreen_traffic::{Cause, Event, FreezeEnd, Frost, Missing, Outcome, ShiftError, Verdict};

use crate::scene::{PERIOD, Scene, counted, good, green_bad_from, release};

#[tokio::test(start_paused = true)]
async fn a_good_release_takes_every_step_for_its_whole_dwell() {
    let scene = Scene::new(good()).await;
    let outcome = scene.run(Stop::never()).await.unwrap();
    scene.assert_is(&outcome).await;
    assert!(matches!(outcome, Outcome::Promoted { .. }));
    let shifted = ["10 %", "25 %", "50 %", "75 %", "100 %"];
    assert_eq!(scene.told("the candidate has"), shifted.map(|s| format!("the candidate has {s}")));
    let record = outcome.record();
    let windows: Vec<_> = (0..5).map(|step| record.figures(step).unwrap().0).collect();
    for window in &windows {
        assert!(window.end_ms - window.start_ms >= 300_000, "a dwell is seen whole: {window:?}");
    }
    assert!(windows.windows(2).all(|pair| pair[0].end_ms <= pair[1].start_ms), "{windows:?}");
    assert!(scene.told("frozen").is_empty() && scene.told("drift").is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_record_has_the_very_figures_of_its_windows() {
    let scene = Scene::new(good()).await;
    let outcome = scene.run(Stop::never()).await.unwrap();
    let record = outcome.record();
    let mut periods = 0;
    for step in 0..5 {
        let (window, seen) = record.figures(step).unwrap();
        let within = (window.end_ms - window.start_ms) / 60_000;
        assert_eq!((seen.green.requests, seen.green.errors), (within * 1_000, within));
        periods += within;
    }
    assert_eq!(record.total().blue.requests, periods * 1_000);
    let read = serde_json::from_str(&record.to_json()).unwrap();
    assert_eq!(*record, read);
}

#[tokio::test(start_paused = true)]
async fn a_bad_release_goes_back_at_the_first_step() {
    let scene = Scene::new(green_bad_from(Duration::ZERO)).await;
    let outcome = scene.run(Stop::never()).await.unwrap();
    scene.assert_is(&outcome).await;
    let Outcome::RolledBack { cause: Cause::Unhealthy(verdict), .. } = &outcome else {
        panic!("{outcome:?}");
    };
    assert!(matches!(verdict, Verdict::Unhealthy { .. }));
    assert_eq!(verdict.evidence().candidate.errors, 300);
    assert_eq!(scene.told("the candidate has"), ["the candidate has 10 %"]);
    assert!(scene.since() < Duration::from_secs(240), "one period, its lag and a look");
}

#[tokio::test(start_paused = true)]
async fn a_release_that_turns_bad_at_the_full_share_goes_back_too() {
    let scene = Scene::new(green_bad_from(PERIOD * 27)).await;
    let outcome = scene.run(Stop::never()).await.unwrap();
    scene.assert_is(&outcome).await;
    assert!(matches!(outcome, Outcome::RolledBack { .. }));
    assert_eq!(scene.told("the candidate has").len(), 5);
    let evidence = *outcome.record().last_verdict().unwrap().evidence();
    assert!(evidence.stable_is_earlier && evidence.stable.requests > 0);
}

/// Both colors fail from the second minute to the tenth.
fn outage(until: Duration) -> crate::scene::Script {
    Arc::new(move |_, at| counted(1_000, if at >= PERIOD && at < until { 300 } else { 1 }))
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_both_colors_freezes_and_then_the_shift_goes_on() {
    let scene = Scene::new(outage(PERIOD * 10)).await;
    let outcome = scene.run(Stop::never()).await.unwrap();
    scene.assert_is(&outcome).await;
    assert!(matches!(outcome, Outcome::Promoted { .. }));
    assert_eq!(scene.told("frozen"), ["frozen at 10 %: both colors are unhealthy"]);
    assert_eq!(scene.told("going on"), ["going on at 10 %"]);
    let steps = &outcome.record().steps;
    let ends = steps.windows(2).map(|pair| (&pair[0], &pair[1]));
    for (before, after) in ends {
        if let (Some((before, _)), Some((after, _))) = (before.figures(), after.figures()) {
            assert!(before.end_ms <= after.start_ms, "windows must not overlap");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_without_end_holds_the_share_and_says_so() {
    let scene = Scene::new(outage(Duration::MAX)).await;
    let outcome = scene.run(Stop::never()).await.unwrap();
    scene.assert_is(&outcome).await;
    let Outcome::Frozen { why, share, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((why, share), (Frost::BothUnhealthy, Share::percent(10).unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_frozen_shift_can_be_told_to_go_back_instead() {
    let mut scene = Scene::new(outage(Duration::MAX)).await;
    scene.config = scene.config.clone().with_freeze_end(FreezeEnd::RollBack);
    let outcome = scene.run(Stop::never()).await.unwrap();
    scene.assert_is(&outcome).await;
    let Outcome::RolledBack { cause, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(cause, Cause::Frozen(Frost::BothUnhealthy));
}

#[tokio::test(start_paused = true)]
async fn late_metrics_freeze_the_shift_until_they_come() {
    let mut scene = Scene::new(good()).await;
    let clock = scene.clock;
    let origin = scene.origin;
    // Nothing is told before the twentieth minute; then all is, of the past too.
    scene.script = Arc::new(move |_, _| {
        let since = clock.now().duration_since(origin).unwrap();
        if since < PERIOD * 20 { Reading::Late } else { counted(1_000, 1) }
    });
    let outcome = scene.run(Stop::never()).await.unwrap();
    scene.assert_is(&outcome).await;
    assert!(matches!(outcome, Outcome::Promoted { .. }));
    assert_eq!(scene.told("frozen"), ["frozen at 10 %: metrics are late"]);
    let (window, seen) = outcome.record().figures(0).unwrap();
    assert_eq!(
        seen.green.requests,
        (window.end_ms - window.start_ms) / 60,
        "late ones are read again"
    );
    assert_eq!(seen.green.late, 0);
}

#[tokio::test(start_paused = true)]
async fn metrics_that_never_come_are_no_pass() {
    type Shown = fn(Color) -> Reading;
    let readings: [(Shown, Missing); 4] = [
        (|_| Reading::Late, Missing::Late),
        (|_| Reading::NoTraffic, Missing::NoTraffic),
        (|_| counted(1, 0), Missing::TooFew),
        (
            |color| if color == Color::Green { Reading::Absent } else { counted(1_000, 0) },
            Missing::Absent,
        ),
    ];
    for (reading, missing) in readings {
        let mut scene = Scene::new(Arc::new(move |color, _| reading(color))).await;
        // Of one request a minute fifty take almost an hour.
        scene.config = scene.config.clone().with_freeze_limit(PERIOD * 30);
        let outcome = scene.run(Stop::never()).await.unwrap();
        scene.assert_is(&outcome).await;
        let Outcome::Frozen { why, share, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!((why, share.as_per_mille()), (Frost::NoEvidence(missing), 100));
    }
}

#[tokio::test(start_paused = true)]
async fn harm_is_acted_on_while_the_shift_is_frozen() {
    let scene = Scene::new(Arc::new(|color, at| match (color, at) {
        (_, at) if at < PERIOD * 20 => Reading::Late,
        (Color::Green, _) => counted(1_000, 300),
        (Color::Blue, _) => counted(1_000, 1),
    }))
    .await;
    let outcome = scene.run(Stop::never()).await.unwrap();
    scene.assert_is(&outcome).await;
    assert_eq!(scene.told("frozen").len(), 1);
    assert!(matches!(outcome, Outcome::RolledBack { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_is_not_healthy_never_gets_a_share() {
    let scene = Scene::new(good()).await;
    *scene.health.lock().unwrap() = Err("1 of 2 targets".to_owned());
    let outcome = scene.run(Stop::never()).await.unwrap();
    scene.assert_is(&outcome).await;
    let Outcome::RolledBack { cause, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(cause, Cause::NotHealthy("1 of 2 targets".to_owned()));
    assert!(scene.told("the candidate has").is_empty());
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_holds_and_the_same_call_goes_on() {
    let scene = Scene::new(good()).await;
    let (stopper, stop) = Stop::new();
    let stopping = async {
        tokio::time::sleep(PERIOD * 10).await;
        stopper.stop(Duration::from_secs(1));
    };
    let (outcome, ()) = tokio::join!(scene.run(stop), stopping);
    let outcome = outcome.unwrap();
    scene.assert_is(&outcome).await;
    assert!(matches!(outcome, Outcome::Stopped { share, .. } if share.as_per_mille() == 250));
    let outcome = scene.run(Stop::never()).await.unwrap();
    scene.assert_is(&outcome).await;
    let shifted = scene.told("the candidate has");
    assert_eq!(shifted[1..3], ["the candidate has 25 %", "the candidate has 25 %"]);
    let again = scene.run(Stop::never()).await.unwrap();
    assert!(matches!(again, Outcome::Promoted { .. }), "already done is done");
}

#[tokio::test(start_paused = true)]
async fn a_shift_to_blue_works_as_one_to_green() {
    let scene = Scene::new(good()).await;
    scene.run(Stop::never()).await.unwrap();
    let outcome = scene.run_to(Color::Blue, "3", Stop::never()).await.unwrap();
    assert!(matches!(outcome, Outcome::Promoted { .. }));
    assert_eq!(scene.phase().await, Phase::Only(Color::Blue));
    assert_eq!(scene.weights(), crate::scene::shares(Color::Blue, 1_000));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_begin_is_refused_and_changes_nothing() {
    let scene = Scene::new(good()).await;
    let error = scene.run_to(Color::Blue, "9", Stop::never()).await.unwrap_err();
    assert!(matches!(error, ShiftError::OtherRelease { .. }), "{error}");
    scene.change(|now| now.begin(Color::Green, release("7"))).await;
    let error = scene.run(Stop::never()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot shift to release 2: the record says 7");
    let error = scene.run_to(Color::Blue, "1", Stop::never()).await.unwrap_err();
    assert!(matches!(error, ShiftError::Busy { .. }), "{error}");
    assert_eq!(scene.balancer.writes.load(Ordering::SeqCst), 0);
    let said = |event: &Event| matches!(event, Event::Shifted { .. });
    assert!(!scene.events.lock().unwrap().iter().any(said));
}
