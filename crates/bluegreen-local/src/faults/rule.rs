//! Which calls a fault strikes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bluegreen_core::Share;

use crate::Calls;
use crate::service::Call;

/// A thing that goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Not executed; answered with the service's own throttling error. SDKs retry it.
    Throttle,
    /// Not executed; answered with status 500. SDKs retry it.
    InternalError,
    /// Not executed; answered with status 503. SDKs retry it.
    Unavailable,
    /// Not executed; refused for lack of permission. SDKs do not retry it.
    AccessDenied,
    /// Not executed and never answered: the caller's own time-out has to end it.
    Hang,
    /// Not executed; the connection breaks. SDKs retry it.
    Reset,
    /// Executed; then the connection breaks. SDKs retry it, so it may be executed twice.
    LostReply,
    /// Every second entry of a batch call to SQS is executed, the others, the first among them, are
    /// answered as failed for no fault of the caller. Any other call is executed.
    PartialFailure,
    /// Executed after this time.
    Delay(Duration),
}

/// A fault, the calls it strikes, and how often: every one of them unless narrowed.
#[derive(Clone, Debug)]
#[must_use = "a rule does nothing before it is injected"]
pub struct Rule {
    calls: Calls,
    fault: Fault,
    skip: u64,
    limit: u64,
    share: Option<(Share, u64)>,
}

impl Rule {
    /// The fault strikes every one of these calls.
    pub fn new(calls: Calls, fault: Fault) -> Self {
        Self { calls, fault, skip: 0, limit: u64::MAX, share: None }
    }

    /// Spares the first `n` of the calls.
    pub fn after(mut self, n: u64) -> Self {
        self.skip = n;
        self
    }

    /// Strikes `n` times, then no more.
    pub fn first(mut self, n: u64) -> Self {
        self.limit = n;
        self
    }

    /// Strikes this share of the calls by chance; the same seed, the same calls.
    pub fn some(mut self, share: Share, seed: u64) -> Self {
        self.share = Some((share, seed));
        self
    }
}

/// A rule in force, with what it has seen and done.
#[derive(Debug)]
pub(super) struct ActiveRule {
    id: u64,
    rule: Rule,
    chance: fastrand::Rng,
    seen: u64,
    struck: Arc<AtomicU64>,
}

impl ActiveRule {
    pub(super) fn new(id: u64, rule: Rule, struck: Arc<AtomicU64>) -> Self {
        let seed = rule.share.map_or(0, |(_, seed)| seed);
        Self { id, rule, chance: fastrand::Rng::with_seed(seed), seen: 0, struck }
    }

    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    /// The fault, when it strikes this call.
    pub(super) fn strikes(&mut self, call: &Call) -> Option<Fault> {
        if !self.rule.calls.contains(call) {
            return None;
        }
        self.seen += 1;
        let drawn = match self.rule.share {
            Some((share, _)) => share.covers(self.chance.u64(..)),
            None => true,
        };
        let spared = self.seen <= self.rule.skip;
        let exhausted = self.struck.load(Ordering::Relaxed) >= self.rule.limit;
        if !drawn || spared || exhausted {
            return None;
        }
        self.struck.fetch_add(1, Ordering::Relaxed);
        Some(self.rule.fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Service;

    fn call(operation: &str, access_key: &str) -> Call {
        Call {
            service: Service::Sqs,
            operation: operation.to_owned(),
            access_key: access_key.to_owned(),
        }
    }

    fn struck(rule: Rule, calls: &[Call]) -> Vec<bool> {
        let mut active = ActiveRule::new(0, rule, Arc::default());
        calls.iter().map(|call| active.strikes(call).is_some()).collect()
    }

    #[test]
    fn a_rule_strikes_only_the_calls_it_names() {
        let calls = [call("SendMessage", "blue"), call("SendMessage", "green"), call("X", "blue")];
        let cases = [
            (Calls::any(), [true, true, true]),
            (Calls::to(Service::Sqs).operation("SendMessage"), [true, true, false]),
            (Calls::any().access_key("blue"), [true, false, true]),
            (Calls::to(Service::DynamoDb), [false, false, false]),
        ];
        for (set, expected) in cases {
            assert_eq!(struck(Rule::new(set.clone(), Fault::Reset), &calls), expected, "{set:?}");
        }
    }

    #[test]
    fn a_rule_strikes_as_often_as_it_says() {
        let calls = vec![call("SendMessage", "blue"); 5];
        let every = || Rule::new(Calls::any(), Fault::Reset);
        assert_eq!(struck(every().first(2), &calls), [true, true, false, false, false]);
        assert_eq!(struck(every().after(3), &calls), [false, false, false, true, true]);
        assert_eq!(struck(every().after(1).first(1), &calls), [false, true, false, false, false]);
    }

    #[test]
    fn a_share_of_the_calls_is_the_same_for_the_same_seed() {
        let calls = vec![call("SendMessage", "blue"); 1_000];
        let tenth = Share::percent(10).unwrap();
        let of_seed =
            |seed| struck(Rule::new(Calls::any(), Fault::Reset).some(tenth, seed), &calls);
        assert_eq!(of_seed(7), of_seed(7));
        assert_ne!(of_seed(7), of_seed(8));
        let count = of_seed(7).iter().filter(|struck| **struck).count();
        assert!((60..140).contains(&count), "{count}");
    }
}
