//! What the results of one probe, taken together, say. Pure.

use bluegreen_core::RiseFall;

use crate::probe::Outcome;
use crate::{Check, HealthConfig, Importance, Pass, Probe, Status};

/// The results of one probe so far.
#[derive(Debug)]
pub(crate) struct History {
    name: String,
    importance: Importance,
    shared: bool,
    state: RiseFall,
    passed_once: bool,
    last: Option<Outcome>,
}

impl History {
    pub(crate) fn new(name: String, probe: &Probe, config: &HealthConfig) -> Self {
        Self {
            name,
            importance: probe.importance,
            shared: probe.shared,
            // Fail-closed at birth: one that never passed must not take part in anything.
            state: RiseFall::starting_bad(config.rise, config.fall),
            passed_once: false,
            last: None,
        }
    }

    pub(crate) fn observe(&mut self, outcome: Outcome) {
        let good = match &outcome {
            Ok(_) => true,
            // Partial faults keep a running process in service; they do not let a new one in.
            Err(fault) => fault.partial && self.passed_once,
        };
        self.state.observe(good);
        self.passed_once |= self.state.is_good();
        self.last = Some(outcome);
    }

    /// Whether this probe lets the process start.
    pub(crate) fn has_started(&self) -> bool {
        self.passed_once || self.importance != Importance::Critical
    }

    /// What it means for the process as a whole.
    pub(crate) fn weight(&self) -> Status {
        match (self.importance, self.status()) {
            (Importance::Informational, _) => Status::Healthy,
            (Importance::Degrading, Status::Unhealthy) => Status::Degraded,
            (_, status) => status,
        }
    }

    /// What it says about the thing probed.
    fn status(&self) -> Status {
        match (&self.last, self.state.is_good()) {
            (Some(Ok(_)), true) => Status::Healthy,
            (_, true) => Status::Degraded,
            (_, false) if self.shared && self.passed_once => Status::Degraded,
            (_, false) => Status::Unhealthy,
        }
    }

    pub(crate) fn check(&self) -> Check {
        let (kind, message) = match &self.last {
            None => (None, Some("not checked yet".into())),
            Some(Ok(_)) if self.state.is_good() => (None, None),
            Some(Ok(_)) => (None, Some("recovering".into())),
            Some(Err(fault)) => (Some(fault.kind), Some(fault.message.clone())),
        };
        let observed = match &self.last {
            Some(Ok(Pass { observed })) => observed.clone(),
            Some(Err(_)) | None => Vec::new(),
        };
        let (name, importance, status) = (self.name.clone(), self.importance, self.status());
        Check { name, importance, status, kind, message, observed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fault, FaultKind};
    use proptest::prelude::*;
    use std::num::NonZeroU32;

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
            '~' => Err(Fault::new(FaultKind::Throttled)),
            _ => Err(Fault::new(FaultKind::Unreachable)),
        }
    }

    /// The weight after each outcome: `h`ealthy, `d`egraded, `u`nhealthy.
    fn weights(probe: &Probe, (rise, fall): (u32, u32), outcomes: &str) -> String {
        let mut history = history(probe, rise, fall);
        let letters = outcomes.chars().map(|letter| {
            history.observe(outcome(letter));
            match history.weight() {
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
    fn the_last_fault_is_told_in_its_own_words() {
        let mut history = history(&probe(), 1, 2);
        assert_eq!(history.check().message.as_deref(), Some("not checked yet"));
        history.observe(Err(Fault::new(FaultKind::Denied).caused_by("user admin, password 123")));
        let check = history.check();
        assert_eq!(check.message.as_deref(), Some("access denied"));
        assert_eq!(check.kind, Some(FaultKind::Denied));
        history.observe(Ok(Pass::new().observing("depth", 3)));
        let check = history.check();
        assert_eq!((check.message, check.observed[0].value), (None, 3));
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
    }
}
