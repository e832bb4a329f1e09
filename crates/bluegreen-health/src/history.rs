//! What the results of one probe, taken together, say. Pure.

use bluegreen_core::RiseFall;

use crate::fault::Failure;
use crate::probe::Outcome;
use crate::snapshot::LastRun;
use crate::{Check, HealthConfig, Probe, Status};

/// The results of one probe so far.
#[derive(Debug)]
pub(crate) struct History {
    shared: bool,
    state: RiseFall,
    check: Check,
}

impl History {
    pub(crate) fn new(name: String, probe: &Probe, config: &HealthConfig) -> Self {
        let check = Check {
            name,
            importance: probe.importance,
            component: probe.component,
            tags: probe.tags.clone(),
            status: Status::Unhealthy,
            started: false,
            kind: None,
            message: Some("not checked yet".into()),
            cause: None,
            observed: Vec::new(),
            last_run: None,
        };
        // Fail-closed at birth: one that never passed must not take part in anything.
        let (rise, fall) = probe.thresholds.unwrap_or((config.rise, config.fall));
        let state = RiseFall::starting_bad(rise, fall);
        Self { shared: probe.shared, state, check }
    }

    /// What it says now.
    pub(crate) const fn check(&self) -> &Check {
        &self.check
    }

    /// Takes in one more result.
    pub(crate) fn observe(&mut self, outcome: Outcome, last_run: LastRun) {
        let passed = outcome.is_ok();
        let good = match &outcome {
            Ok(_) => true,
            // Partial faults keep a running process in service; they do not let a new one in.
            Err(failure) => failure.partial && self.check.started,
        };
        self.state.observe(good);
        let check = &mut self.check;
        check.started |= self.state.is_good();
        check.status = match (passed, self.state.is_good()) {
            (true, true) => Status::Healthy,
            (false, true) => Status::Degraded,
            (_, false) if self.shared && check.started => Status::Degraded,
            (_, false) => Status::Unhealthy,
        };
        check.last_run = Some(last_run);
        (check.kind, check.message, check.cause) = (None, None, None);
        check.observed.clear();
        match outcome {
            Ok(pass) => {
                check.observed = pass.observed;
                check.message = (!self.state.is_good()).then(|| "recovering".into());
            }
            Err(Failure { kind, message, cause, .. }) => {
                (check.kind, check.message, check.cause) = (Some(kind), Some(message), cause);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Overall;
    use crate::{Fault, FaultKind, Pass};
    use proptest::prelude::*;
    use std::num::NonZeroU32;
    use std::time::{Duration, UNIX_EPOCH};

    const RUN: LastRun = LastRun { at: UNIX_EPOCH, took: Duration::ZERO };

    fn history(probe: &Probe, rise: u32, fall: u32) -> History {
        let config = HealthConfig::default()
            .with_thresholds(NonZeroU32::new(rise).unwrap(), NonZeroU32::new(fall).unwrap());
        History::new("db".to_owned(), probe, &config)
    }

    fn probe() -> Probe {
        Probe::new(|| async { Ok::<_, Fault>(()) })
    }

    fn outcome(letter: char) -> Outcome {
        match letter {
            '+' => Ok(Pass::new()),
            '~' => Err(Fault::new(FaultKind::Throttled).into()),
            _ => Err(Fault::new(FaultKind::Unreachable).into()),
        }
    }

    /// The weight after each outcome: `h`ealthy, `d`egraded, `u`nhealthy.
    fn weights(probe: &Probe, (rise, fall): (u32, u32), outcomes: &str) -> String {
        let mut history = history(probe, rise, fall);
        let letters = outcomes.chars().map(|letter| {
            history.observe(outcome(letter), RUN);
            match history.check().weight() {
                Status::Healthy => 'h',
                Status::Degraded => 'd',
                Status::Unhealthy | Status::Draining => 'u',
            }
        });
        letters.collect()
    }

    #[test]
    fn outcomes_in_a_row_decide_by_the_thresholds() {
        let cases = [
            ((1, 2), "+-+--+", "hdhduh"),
            ((1, 1), "+-+", "huh"),
            ((2, 2), "++--++", "uhduuh"),
            // A partial fault lets nobody in, and throws nobody out.
            ((1, 2), "~~+~~~-~-", "uuhdddddd"),
            ((1, 3), "-----+", "uuuuuh"),
        ];
        for (thresholds, outcomes, expected) in cases {
            let weights = weights(&probe(), thresholds, outcomes);
            assert_eq!(weights, expected, "{outcomes} by {thresholds:?}");
        }
    }

    #[test]
    fn importance_weighs_a_failure_and_shared_ones_only_degrade_after_their_first_pass() {
        let cases = [
            (probe().degrading(), "+--", "hdd"),
            (probe().informational(), "---", "hhh"),
            (probe().shared(), "--+---", "uuhddd"),
            (probe(), "--+---", "uuhduu"),
        ];
        for (probe, outcomes, expected) in cases {
            assert_eq!(weights(&probe, (1, 2), outcomes), expected, "{probe:?}");
        }
    }

    #[test]
    fn a_probe_may_have_thresholds_of_its_own() {
        let (rise, fall) = (NonZeroU32::new(2).unwrap(), NonZeroU32::new(3).unwrap());
        let own = probe().with_thresholds(rise, fall);
        assert_eq!(weights(&own, (1, 1), "++---"), "uhddu");
        let mut history = history(&own, 1, 1);
        history.observe(outcome('+'), RUN);
        assert_eq!(history.check().message.as_deref(), Some("recovering"));
        assert!(!history.check().started);
    }

    #[test]
    fn the_last_fault_is_told_in_its_own_words() {
        let mut history = history(&probe(), 1, 2);
        assert_eq!(history.check().message.as_deref(), Some("not checked yet"));
        let denied = Fault::new(FaultKind::Denied).caused_by("user admin, password 123");
        history.observe(Err(denied.into()), RUN);
        let check = history.check();
        assert_eq!(check.cause.as_deref(), Some("user admin, password 123"));
        assert_eq!(check.message.as_deref(), Some("access denied"));
        assert_eq!(check.kind, Some(FaultKind::Denied));
        history.observe(Ok(Pass::new().observing("depth", 3)), RUN);
        let check = history.check();
        assert_eq!((check.message.as_deref(), check.observed[0].value), (None, 3));
        assert_eq!((check.kind, check.cause.as_deref()), (None, None));
        // A number that was seen once is not seen now.
        history.observe(outcome('-'), RUN);
        assert_eq!(history.check().observed, []);
    }

    proptest! {
        #[test]
        fn readiness_never_changes_faster_than_its_thresholds(
            rise in 1u32..5, fall in 1u32..5, outcomes in "[+~-]{0,60}",
        ) {
            let weights: Vec<_> = weights(&probe(), (rise, fall), &outcomes).chars().collect();
            let outcomes: Vec<_> = outcomes.chars().collect();
            let ready = |at: usize| weights[at] != 'u';
            for at in 0..weights.len() {
                let before = at > 0 && ready(at - 1);
                let row = |length: u32, letters: &str| {
                    let from = (at + 1).checked_sub(length as usize);
                    from.is_some_and(|from| outcomes[from..=at].iter().all(|o| letters.contains(*o)))
                };
                if ready(at) && !before {
                    prop_assert!(row(rise, "+~"), "rose at {}", at);
                } else if !ready(at) && before {
                    prop_assert!(row(fall, "-"), "fell at {}", at);
                }
            }
        }

        /// Of any number of probes with any importance, in any order of results.
        #[test]
        fn the_process_never_changes_faster_than_the_thresholds_of_its_probes(
            rise in 1u32..5, fall in 1u32..5,
            probes in prop::collection::vec((0usize..3, any::<bool>()), 1..5),
            results in prop::collection::vec((any::<prop::sample::Index>(), "[+~-]"), 0..80),
        ) {
            let mut histories: Vec<_> = probes.iter().map(|(importance, shared)| {
                let probe = if *shared { probe().shared() } else { probe() };
                let probe = match importance {
                    0 => probe,
                    1 => probe.degrading(),
                    _ => probe.informational(),
                };
                history(&probe, rise, fall)
            }).collect();
            let mut rows: Vec<String> = vec![String::new(); histories.len()];
            let ready = |histories: &[History]| {
                Overall::of(histories.iter().map(History::check)).status.serves()
            };
            let mut before = ready(&histories);
            for (at, letter) in results {
                let at = at.index(histories.len());
                rows[at].push_str(&letter);
                histories[at].observe(outcome(letter.chars().next().unwrap_or('-')), RUN);
                let now = ready(&histories);
                if now != before {
                    let (needed, letters) = if now { (rise, "+~") } else { (fall, "-") };
                    let needed = needed as usize;
                    prop_assert!(rows[at].len() >= needed);
                    let row = &rows[at][rows[at].len() - needed..];
                    prop_assert!(row.chars().all(|l| letters.contains(l)), "{row}");
                    prop_assert_eq!(probes[at].0, 0, "only a critical one decides");
                }
                before = now;
            }
        }
    }
}
