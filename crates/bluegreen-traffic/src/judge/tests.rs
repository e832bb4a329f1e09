use std::time::{SystemTime, UNIX_EPOCH};

use bluegreen_core::Figures;
use proptest::prelude::*;

use super::*;

const PERIOD: Duration = Duration::from_secs(60);

/// Requests, errors and mean latency of each period of a color.
fn counted(requests: u64, errors: u64, mean_ms: u64) -> Reading {
    Reading::Counted(Figures::new(requests, errors, Duration::from_millis(requests * mean_ms)))
}

fn seen(color: Color, readings: &[Reading]) -> Vec<Observation> {
    let at = |n: usize| -> SystemTime { UNIX_EPOCH + PERIOD * u32::try_from(n).unwrap() };
    let observe =
        |(n, reading): (usize, &Reading)| Observation::new(color, at(n), PERIOD, *reading);
    readings.iter().enumerate().map(observe).collect()
}

/// The verdict on green, with the default limits.
fn verdict(stable: &[Reading], candidate: &[Reading]) -> String {
    verdict_with(stable, candidate, Baseline::Live)
}

fn verdict_with(stable: &[Reading], candidate: &[Reading], baseline: Baseline) -> String {
    let observations =
        ByColor { blue: seen(Color::Blue, stable), green: seen(Color::Green, candidate) };
    match judge(&Thresholds::default(), Color::Green, &observations, baseline) {
        Verdict::Healthy { .. } => "healthy".to_owned(),
        Verdict::Unhealthy { breaches, .. } => format!("unhealthy {}", names(&breaches)),
        Verdict::BothUnhealthy { breaches, .. } => format!("both {}", names(&breaches)),
        Verdict::NoEvidence { why, .. } => format!("{why:?}"),
    }
}

fn names(breaches: &[Breach]) -> String {
    let name = |breach: &Breach| match breach {
        Breach::ErrorRate { .. } => "errors",
        Breach::ErrorRateOverStable { .. } => "more-errors",
        Breach::Latency { .. } => "slow",
        Breach::LatencyOverStable { .. } => "slower",
    };
    breaches.iter().map(name).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_candidate_is_judged_by_its_figures_and_the_stable_colors() {
    use Reading::{Absent, Late, NoTraffic};
    let good = counted(900, 0, 20);
    // What the stable color shows, what the candidate shows, the verdict.
    let table: &[(&[Reading], &[Reading], &str)] = &[
        (&[good], &[counted(100, 0, 20)], "healthy"),
        (&[good], &[counted(100, 6, 20)], "unhealthy errors more-errors"),
        (&[good], &[counted(100, 3, 20)], "unhealthy more-errors"),
        (&[good], &[counted(400, 4, 20)], "healthy"),
        (&[good], &[counted(400, 5, 20)], "unhealthy more-errors"),
        // Two errors of 50 are chance.
        (&[good], &[counted(50, 2, 20)], "healthy"),
        (&[good], &[counted(100, 0, 70)], "healthy"),
        (&[good], &[counted(100, 0, 71)], "unhealthy slower"),
        (&[good], &[counted(100, 0, 1_001)], "unhealthy slow slower"),
        (&[good], &[counted(100, 6, 71)], "unhealthy errors more-errors slower"),
        // Something that both depend on.
        (&[counted(900, 90, 20)], &[counted(100, 10, 20)], "both errors"),
        (&[counted(900, 90, 20)], &[counted(100, 30, 20)], "both errors more-errors"),
        (&[counted(900, 43, 20)], &[counted(100, 6, 20)], "unhealthy errors more-errors"),
        (&[counted(900, 44, 20)], &[counted(200, 11, 20)], "both errors"),
        (&[counted(900, 0, 2_000)], &[counted(100, 0, 2_000)], "both slow"),
        (&[counted(900, 90, 20)], &[counted(100, 10, 90)], "both errors slower"),
        // Both are slow, but the errors are the candidate's own.
        (
            &[counted(900, 0, 2_000)],
            &[counted(100, 50, 2_000)],
            "unhealthy errors more-errors slow",
        ),
        (&[counted(900, 0, 2_000)], &[counted(100, 3, 2_000)], "both more-errors slow"),
        // The stable color alone is bad: away from it.
        (&[counted(900, 900, 20)], &[counted(100, 0, 20)], "healthy"),
        // Nothing to compare with: the absolute limits.
        (&[NoTraffic], &[counted(100, 6, 20)], "unhealthy errors"),
        (&[NoTraffic], &[counted(100, 5, 900)], "healthy"),
        // Nothing known is never a pass.
        (&[], &[], "Late"),
        (&[Late], &[Late], "Late"),
        (&[good, Late], &[counted(100, 0, 20), Late], "Late"),
        (&[good], &[Absent], "Absent"),
        (&[good, good], &[counted(100, 0, 20), Absent], "Absent"),
        (&[good, Absent], &[counted(100, 0, 20); 2], "Absent"),
        (&[good], &[NoTraffic], "NoTraffic"),
        (&[good], &[counted(49, 0, 20)], "TooFew"),
        (&[good; 2], &[counted(25, 0, 20); 2], "healthy"),
        // Requests that came and come no more, while the stable color has some.
        (&[good; 3], &[counted(100, 0, 20), NoTraffic, NoTraffic], "NoTraffic"),
        (&[good, good, NoTraffic], &[counted(100, 0, 20), NoTraffic, NoTraffic], "NoTraffic"),
        (&[good, NoTraffic, NoTraffic], &[counted(100, 0, 20), NoTraffic, NoTraffic], "healthy"),
        (&[good; 3], &[counted(60, 0, 20), counted(3, 0, 20), NoTraffic], "healthy"),
        // A gap heals once enough is known around it.
        (&[good; 3], &[counted(100, 0, 20), Absent, counted(100, 0, 20)], "Absent"),
        (&[good; 4], &[counted(50, 0, 20), Absent, counted(50, 0, 20), NoTraffic], "healthy"),
        // Harm is acted on although later figures are missing.
        (&[good, Late], &[counted(100, 50, 20), Late], "unhealthy errors more-errors"),
        (&[good, good], &[counted(100, 50, 20), Absent], "unhealthy errors more-errors"),
        // Too few to blame anybody.
        (&[good], &[counted(49, 49, 20)], "TooFew"),
    ];
    for (stable, candidate, expected) in table {
        assert_eq!(verdict(stable, candidate), *expected, "{stable:?} {candidate:?}");
    }
}

#[test]
fn at_the_full_share_the_step_before_is_the_measure() {
    let earlier = Baseline::Earlier(Tally::of(&seen(Color::Blue, &[counted(900, 0, 20)])));
    let silent = [Reading::Absent];
    let with = |candidate, baseline| verdict_with(&silent, &[candidate], baseline);
    assert_eq!(with(counted(1_000, 0, 20), earlier), "healthy");
    assert_eq!(with(counted(1_000, 20, 20), earlier), "unhealthy more-errors");
    assert_eq!(with(counted(1_000, 20, 20), Baseline::Nothing), "healthy");
    assert_eq!(with(counted(1_000, 60, 20), Baseline::Nothing), "unhealthy errors");
    let bad = Baseline::Earlier(Tally::of(&seen(Color::Blue, &[counted(900, 900, 20)])));
    let dried_up = [counted(1_000, 0, 20), Reading::NoTraffic];
    assert_eq!(verdict_with(&silent, &dried_up, earlier), "NoTraffic");
    assert_eq!(with(counted(1_000, 999, 20), bad), "unhealthy errors", "no excuse by the past");
}

#[test]
fn a_verdict_says_the_figures_it_used() {
    let observations = ByColor {
        blue: seen(Color::Blue, &[counted(900, 1, 20)]),
        green: seen(Color::Green, &[counted(100, 10, 30)]),
    };
    let verdict = judge(&Thresholds::default(), Color::Green, &observations, Baseline::Live);
    assert_eq!(
        verdict.to_string(),
        "unhealthy: 10.00 % errors, allowed are 5.00 %; 10.00 % errors against 0.11 % of the \
         stable color, allowed are 1.00 points more (candidate 100 requests, 10 errors, mean \
         30.0 ms, stable 900 requests, 1 errors, mean 20.0 ms)"
    );
    let read: Verdict = serde_json::from_str(&serde_json::to_string(&verdict).unwrap()).unwrap();
    assert_eq!(read, verdict);
}

#[test]
fn limits_that_mean_nothing_are_refused() {
    for wrong in [
        Thresholds::default().with_max_error_rate(f64::NAN),
        Thresholds::default().with_max_error_rate(5.0),
        Thresholds::default().with_max_error_delta(-0.1),
        Thresholds::default().with_min_requests(0),
    ] {
        assert!(wrong.check().is_err(), "{wrong:?}");
    }
    assert_eq!(Thresholds::default().check(), Ok(()));
}

fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        (0u64..500, 0u64..500, 0u64..2_000).prop_map(|(ok, errors, mean)| counted(
            ok + errors,
            errors,
            mean
        )),
        Just(Reading::NoTraffic),
        Just(Reading::Late),
        Just(Reading::Absent),
    ]
}

proptest! {
    #[test]
    fn healthy_needs_enough_requests_and_a_known_newest_period(
        stable in proptest::collection::vec(reading(), 0..6),
        candidate in proptest::collection::vec(reading(), 0..6),
    ) {
        let observations = ByColor {
            blue: seen(Color::Blue, &stable),
            green: seen(Color::Green, &candidate),
        };
        let limits = Thresholds::default();
        let verdict = judge(&limits, Color::Green, &observations, Baseline::Live);
        let tally = verdict.evidence().candidate;
        match verdict {
            Verdict::Healthy { .. } => {
                prop_assert!(tally.requests >= 50);
                prop_assert!(tally.errors < 3 || tally.error_rate().unwrap() <= 0.05);
                prop_assert!(!matches!(candidate.last(), Some(Reading::Late | Reading::Absent)));
            }
            Verdict::Unhealthy { .. } | Verdict::BothUnhealthy { .. } => {
                prop_assert!(tally.requests >= 50);
            }
            Verdict::NoEvidence { .. } => {}
        }
    }
}
