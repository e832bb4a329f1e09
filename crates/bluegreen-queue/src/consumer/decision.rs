use std::time::Duration;

use bluegreen_core::Backoff;

use crate::{ConsumerConfig, HandlerError, Outcome, QueueSide};

/// The rules of a consumer for what becomes of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) side: QueueSide,
    pub(super) backoff: Backoff,
    pub(super) receive_budget: u32,
    pub(super) max_passes: u32,
    pub(super) pass_delay: Duration,
}

/// What matters of the message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) receive_count: u32,
    pub(super) passes: u32,
    /// The receive after which SQS moves the message away, without a reason.
    pub(super) last_receive: Option<u32>,
}

/// What is to be done with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Delete,
    /// The handler wishes to see it again.
    Retry(Duration),
    /// The handler failed.
    Fail(Duration),
    Park(String),
    /// To the other color's queue.
    Pass,
    /// The other color may receive it after this time.
    Await(Duration),
}

impl Facts {
    /// Whether nobody would see the message again if it were hidden now.
    pub(super) fn is_last(self) -> bool {
        self.last_receive.is_some_and(|last| self.receive_count >= last)
    }
}

impl Rules {
    pub(super) const fn new(side: QueueSide, config: &ConsumerConfig) -> Self {
        let ConsumerConfig { backoff, receive_budget, max_passes, pass_delay, .. } = *config;
        Self { side, backoff, receive_budget, max_passes, pass_delay }
    }

    pub(super) fn decide(
        &self,
        answer: &Result<Outcome, HandlerError>,
        facts: Facts,
        entropy: u64,
    ) -> Decision {
        match answer {
            Ok(Outcome::Done) => Decision::Delete,
            Ok(Outcome::RetryAfter(_)) if facts.is_last() => {
                let receives = facts.receive_count;
                Decision::Park(format!(
                    "its handler wished to see it again, the last of {receives} times"
                ))
            }
            Ok(Outcome::RetryAfter(time)) => Decision::Retry(*time),
            Ok(Outcome::Park(reason)) => Decision::Park(reason.clone()),
            Ok(Outcome::PassOn) => self.pass_on(facts),
            Err(error) if facts.is_last() => {
                let receives = facts.receive_count;
                Decision::Park(format!("its handler failed, the last of {receives} times: {error}"))
            }
            Err(_) => Decision::Fail(self.delay(facts, entropy)),
        }
    }

    /// The time after a failure, by the number of receives.
    pub(super) fn delay(&self, facts: Facts, entropy: u64) -> Duration {
        self.backoff.delay(facts.receive_count.saturating_sub(1), entropy)
    }

    fn pass_on(&self, facts: Facts) -> Decision {
        match self.side {
            QueueSide::Own if facts.passes < self.max_passes => Decision::Pass,
            QueueSide::Own => {
                let passes = facts.passes;
                Decision::Park(format!("neither color knows it: passed on {passes} times"))
            }
            QueueSide::Other | QueueSide::Shared
                if facts.receive_count < self.receive_budget && !facts.is_last() =>
            {
                Decision::Await(self.pass_delay)
            }
            QueueSide::Other | QueueSide::Shared => {
                let receives = facts.receive_count;
                Decision::Park(format!("the other color did not take it in {receives} receives"))
            }
        }
    }
}

/// A time as SQS takes it: whole seconds, rounded up, never zero, at most what is left of the
/// 12 hours. Zero would show a failed message at once, again and again, until its receives are
/// used up within seconds.
pub(super) fn hidden_seconds(time: Duration, left: Duration) -> u32 {
    let up = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    u32::try_from(up.min(left.as_secs()).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: fn(QueueSide) -> Rules = |side| Rules {
        side,
        backoff: Backoff::default(),
        receive_budget: 5,
        max_passes: 2,
        pass_delay: Duration::from_secs(30),
    };

    #[test]
    fn passing_on_is_bounded_on_every_side() {
        let parked = |text: &str| Decision::Park(text.to_owned());
        let wait = Decision::Await(Duration::from_secs(30));
        // side, receives, passes
        let table = [
            (QueueSide::Own, 1, 0, Decision::Pass),
            (QueueSide::Own, 9, 1, Decision::Pass),
            (QueueSide::Own, 1, 2, parked("neither color knows it: passed on 2 times")),
            (QueueSide::Shared, 1, 0, wait.clone()),
            (QueueSide::Shared, 4, 9, wait.clone()),
            (QueueSide::Shared, 5, 0, parked("the other color did not take it in 5 receives")),
            (QueueSide::Other, 4, 0, wait),
            (QueueSide::Other, 5, 0, parked("the other color did not take it in 5 receives")),
        ];
        for (side, receive_count, passes, expected) in table {
            let facts = Facts { receive_count, passes, last_receive: None };
            let found = RULES(side).decide(&Ok(Outcome::PassOn), facts, 0);
            assert_eq!(found, expected, "{side:?} {facts:?}");
        }
    }

    #[test]
    fn on_the_last_receive_before_sqs_moves_it_a_message_is_parked_with_its_reason() {
        let at = |side, answer: Result<Outcome, HandlerError>, receive_count| {
            let facts = Facts { receive_count, passes: 0, last_receive: Some(3) };
            match RULES(side).decide(&answer, facts, u64::MAX) {
                Decision::Park(reason) => reason,
                other => format!("{other:?}"),
            }
        };
        for side in [QueueSide::Own, QueueSide::Shared, QueueSide::Other] {
            let failed = |receives| at(side, Err("no stock".into()), receives);
            assert!(failed(2).starts_with("Fail("), "{}", failed(2));
            assert_eq!(failed(3), "its handler failed, the last of 3 times: no stock");
        }
        let again = |receives| {
            at(QueueSide::Own, Ok(Outcome::RetryAfter(Duration::from_secs(9))), receives)
        };
        assert_eq!(again(2), "Retry(9s)");
        assert_eq!(again(3), "its handler wished to see it again, the last of 3 times");
        assert_eq!(at(QueueSide::Shared, Ok(Outcome::PassOn), 2), "Await(30s)");
        let late = at(QueueSide::Shared, Ok(Outcome::PassOn), 3);
        assert_eq!(late, "the other color did not take it in 3 receives");
    }

    #[test]
    fn on_a_shared_queue_passing_on_succeeds_as_often_as_the_docs_say() {
        let mut random = fastrand::Rng::with_seed(7);
        for (per_mille, receive_budget) in [(10, 20), (100, 5), (500, 5), (500, 3), (900, 3)] {
            let share = bluegreen_core::Share::per_mille(per_mille).unwrap();
            let rules = Rules { receive_budget, ..RULES(QueueSide::Shared) };
            // We got it first and do not know it; whether we get it again is the share's to say.
            let mut succeeds = || {
                (1..).find_map(|receive_count| {
                    if receive_count > 1 && share.covers(random.u64(..)) {
                        return Some(true);
                    }
                    let facts = Facts { receive_count, passes: 0, last_receive: None };
                    let parked = rules.decide(&Ok(Outcome::PassOn), facts, 0);
                    matches!(parked, Decision::Park(_)).then_some(false)
                })
            };
            let found = (0..20_000).filter(|_| succeeds() == Some(true)).count();
            let expected = crate::pass_chance(share, receive_budget) * 20_000.0;
            let found = f64::from(u32::try_from(found).unwrap());
            assert!((found - expected).abs() < 300.0, "{share}: {found} for {expected}");
        }
    }

    #[test]
    fn no_time_becomes_zero_seconds_or_more_than_is_left() {
        let hour = Duration::from_secs(3600);
        let table = [
            (Duration::ZERO, hour, 1),
            (Duration::from_nanos(1), hour, 1),
            (Duration::from_millis(1001), hour, 2),
            (hour * 13, hour, 3600),
            (hour, Duration::ZERO, 1),
            (Duration::MAX, Duration::MAX, u32::MAX),
        ];
        for (time, left, expected) in table {
            assert_eq!(hidden_seconds(time, left), expected, "{time:?}");
        }
    }
}
