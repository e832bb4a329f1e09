use std::fmt;
use std::time::Duration;

use bluegreen_core::{Backoff, Clock};

use crate::{Bodies, ClaimCheck, HandOver, WriteGate};

/// The longest time that a message can be hidden, counted from its receive (AWS's limit).
pub(crate) const LONGEST_HIDDEN: Duration = Duration::from_secs(12 * 60 * 60);
/// The largest message, attributes included (AWS's limit since August 2025).
const LARGEST_MESSAGE: usize = 1024 * 1024;

/// How a [`Consumer`](crate::Consumer) works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConsumerConfig {
    /// How many messages are handled at once, 1 to 100,000. No more are received than there is
    /// room for; in a FIFO queue up to nine more of each group wait here for their turn, as SQS
    /// hands out several of a group at once. Default: 10.
    pub concurrency: u32,
    /// How many receives may be open at once, 1 to 100: more than one only while they come back
    /// full and there is room for ten messages more. Default: 8.
    pub max_receives: u32,
    /// How long an empty receive waits for messages, in whole seconds: 0 to AWS's 20 s. Shorter
    /// costs more receives. Default: 20 s.
    pub wait: Duration,
    /// How long a message stays hidden from others without a sign of life, in whole seconds: 2 s
    /// to AWS's 12 h. It is extended before half of it is gone, for as long as the handler runs.
    /// It is also how long a message is out of reach after a crash. Default: 30 s.
    pub visibility: Duration,
    /// How long a message is hidden after a failure, by its receive count; at least 1 s. Below
    /// 12 h. Default: from 2 s to 15 min.
    pub backoff: Backoff,
    /// How often a message may be received in the hope that the other color gets it, before it is
    /// parked; from 1. Where the queue has a redrive policy, its `maxReceiveCount` bounds it.
    /// Default: 5.
    pub receive_budget: u32,
    /// How often a message may be sent to the other color's queue before it is parked. Default: 2.
    pub max_passes: u32,
    /// How long a message is hidden in the hope that the other color gets it next, in whole
    /// seconds: 1 s to 12 h. Default: 30 s.
    pub pass_delay: Duration,
    /// How long room for fewer than ten messages waits for more of it before a receive: it trades
    /// latency under load for calls. Up to 1 s. Default: 10 ms.
    pub linger: Duration,
    /// How long a delete waits for others to fill a call of ten. Up to 1 s. Default: 50 ms.
    pub flush_age: Duration,
    /// How long an open receive is still awaited when there is no more wish for it (stop, pause,
    /// closed gate); what it returns is released at once. A busy queue answers within
    /// milliseconds; on an idle one there is hardly anything to lose: a message that is handed out
    /// in the very moment of giving up stays hidden for `visibility`. Default: 1 s.
    pub poll_grace: Duration,
    /// The period of time slices, in which a candidate on a shared queue gets fractions of a
    /// permit, and its share of the waiting on an idle queue. 1 s to 5 min; the clocks of a fleet
    /// should agree within a small part of it. Default: 10 s.
    pub slice: Duration,
    /// How long a call to SQS may take beyond `wait`, the SDK's own tries included; one about leases
    /// (heartbeat, delete, release) no longer than a fifth of `visibility`, so that another try is
    /// left when it hangs. Default: 5 s.
    pub call_timeout: Duration,
    /// Where the wall time comes from that time slices begin with. Default: the system.
    pub clock: Clock,
    /// How bodies are read. Default: everything that says its type and version itself.
    pub bodies: Bodies,
    /// Where payloads are that are too large for SQS. Default: nowhere, a message with a claim on
    /// one is parked.
    pub claim_check: Option<ClaimCheck>,
    /// How groups change between two FIFO queues; for those alone. Default: nothing, messages are
    /// handled whatever the other queue has of their group.
    pub hand_over: Option<HandOver>,
    /// Seeds jitter; nothing seeds it at random. Default: nothing.
    pub seed: Option<u64>,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        let backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(15 * 60));
        Self {
            concurrency: 10,
            max_receives: 8,
            wait: Duration::from_secs(20),
            visibility: Duration::from_secs(30),
            backoff: backoff.unwrap_or_default(),
            receive_budget: 5,
            max_passes: 2,
            pass_delay: Duration::from_secs(30),
            linger: Duration::from_millis(10),
            flush_age: Duration::from_millis(50),
            poll_grace: Duration::from_secs(1),
            slice: Duration::from_secs(10),
            call_timeout: Duration::from_secs(5),
            clock: Clock::system(),
            bodies: Bodies::default(),
            claim_check: None,
            hand_over: None,
            seed: None,
        }
    }
}

macro_rules! with {
    ($($name:ident, $field:ident: $type:ty;)*) => {$(
        #[doc = concat!("The same with another [`", stringify!($field), "`](Self::", stringify!($field), ").")]
        #[must_use]
        pub const fn $name(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        }
    )*};
}
pub(crate) use with;

impl ConsumerConfig {
    with! {
        with_concurrency, concurrency: u32;
        with_max_receives, max_receives: u32;
        with_wait, wait: Duration;
        with_visibility, visibility: Duration;
        with_backoff, backoff: Backoff;
        with_receive_budget, receive_budget: u32;
        with_max_passes, max_passes: u32;
        with_pass_delay, pass_delay: Duration;
        with_linger, linger: Duration;
        with_flush_age, flush_age: Duration;
        with_poll_grace, poll_grace: Duration;
        with_slice, slice: Duration;
        with_clock, clock: Clock;
        with_call_timeout, call_timeout: Duration;
    }

    /// The same with another way to read [`bodies`](Self::bodies).
    #[must_use]
    pub fn with_bodies(mut self, bodies: Bodies) -> Self {
        self.bodies = bodies;
        self
    }

    /// The same with a [`claim_check`](Self::claim_check).
    #[must_use]
    pub fn with_claim_check(mut self, claims: ClaimCheck) -> Self {
        self.claim_check = Some(claims);
        self
    }

    /// The same with a [`hand_over`](Self::hand_over).
    #[must_use]
    pub fn with_hand_over(mut self, hand_over: HandOver) -> Self {
        self.hand_over = Some(hand_over);
        self
    }

    /// The same with a seed for jitter.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let second = Duration::from_secs(1);
        let whole = |time: Duration| time.subsec_nanos() == 0;
        if !(1..=100_000).contains(&self.concurrency) {
            return Err(ConfigError::new("concurrency", &self.concurrency, "1 to 100000"));
        }
        if !(1..=100).contains(&self.max_receives) {
            return Err(ConfigError::new("max_receives", &self.max_receives, "1 to 100"));
        }
        if self.receive_budget == 0 {
            return Err(ConfigError::new("receive_budget", &self.receive_budget, "at least 1"));
        }
        let table = [
            (
                "wait",
                self.wait,
                whole(self.wait) && self.wait.as_secs() <= 20,
                "whole seconds up to 20 s",
            ),
            (
                "visibility",
                self.visibility,
                whole(self.visibility)
                    && self.visibility >= 2 * second
                    && self.visibility <= LONGEST_HIDDEN,
                "whole seconds from 2 s to 12 h",
            ),
            (
                "pass_delay",
                self.pass_delay,
                whole(self.pass_delay)
                    && self.pass_delay >= second
                    && self.pass_delay <= LONGEST_HIDDEN,
                "whole seconds from 1 s to 12 h",
            ),
            (
                "backoff",
                self.backoff.bound(u32::MAX),
                self.backoff.bound(u32::MAX) <= LONGEST_HIDDEN,
                "at most 12 h",
            ),
            ("linger", self.linger, self.linger <= second, "at most 1 s"),
            ("flush_age", self.flush_age, self.flush_age <= second, "at most 1 s"),
            ("poll_grace", self.poll_grace, self.poll_grace <= 20 * second, "at most 20 s"),
            (
                "slice",
                self.slice,
                self.slice >= second && self.slice <= 300 * second,
                "1 s to 5 min",
            ),
        ];
        match table.into_iter().find(|(_, _, fits, _)| !fits) {
            Some((field, value, _, bound)) => Err(ConfigError::new(field, &value, bound)),
            None => check_call_timeout(self.call_timeout),
        }
    }
}

/// How a [`Producer`](crate::Producer) works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProducerConfig {
    /// The largest message that is sent, in bytes. AWS's limit is 1 MiB, but a queue that was not
    /// told otherwise may take only 262,144: set what its `MaximumMessageSize` says. Default: 1 MiB.
    pub max_size: usize,
    /// How long a send may take, the SDK's own tries included. Default: 5 s.
    pub call_timeout: Duration,
    /// How long a message waits for others to share its call, where a [`Courier`](crate::Courier)
    /// sends. Up to 1 s. Default: 5 ms.
    pub linger: Duration,
    /// How many messages may wait for a [`Courier`](crate::Courier), from 1; beyond that senders
    /// wait. Default: 1,000.
    pub capacity: usize,
    /// Which versions of messages are written. Default: none, each is written as it is.
    pub write_gate: Option<WriteGate>,
    /// Where payloads go that are too large for SQS. Default: nowhere, such a message is an error.
    pub claim_check: Option<ClaimCheck>,
    /// How groups change between two FIFO queues; for those alone. Default: nothing, a group does
    /// not keep its order while the share moves.
    pub hand_over: Option<HandOver>,
    /// Where the time stamps come from. Default: the system.
    pub clock: Clock,
    /// Seeds the identifiers of messages; nothing seeds them at random. Default: nothing.
    pub seed: Option<u64>,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            max_size: LARGEST_MESSAGE,
            call_timeout: Duration::from_secs(5),
            linger: Duration::from_millis(5),
            capacity: 1_000,
            write_gate: None,
            claim_check: None,
            hand_over: None,
            clock: Clock::system(),
            seed: None,
        }
    }
}

impl ProducerConfig {
    with! {
        with_max_size, max_size: usize;
        with_linger, linger: Duration;
        with_capacity, capacity: usize;
        with_call_timeout, call_timeout: Duration;
        with_clock, clock: Clock;
    }

    /// The same with a [`write_gate`](Self::write_gate).
    #[must_use]
    pub fn with_write_gate(mut self, gate: WriteGate) -> Self {
        self.write_gate = Some(gate);
        self
    }

    /// The same with a [`claim_check`](Self::claim_check).
    #[must_use]
    pub fn with_claim_check(mut self, claims: ClaimCheck) -> Self {
        self.claim_check = Some(claims);
        self
    }

    /// The same with a [`hand_over`](Self::hand_over).
    #[must_use]
    pub fn with_hand_over(mut self, hand_over: HandOver) -> Self {
        self.hand_over = Some(hand_over);
        self
    }

    /// The same with a seed for the identifiers of messages: for tests only.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !(1..=LARGEST_MESSAGE).contains(&self.max_size) {
            return Err(ConfigError::new("max_size", &self.max_size, "1 to 1048576 bytes"));
        }
        if let Some(claims) = &self.claim_check
            && !(1..=self.max_size).contains(&claims.threshold)
        {
            let bound = "1 byte to max_size";
            return Err(ConfigError::new("claim_check", &claims.threshold, bound));
        }
        if self.linger > Duration::from_secs(1) {
            return Err(ConfigError::new("linger", &self.linger, "at most 1 s"));
        }
        if !(1..=1_000_000).contains(&self.capacity) {
            return Err(ConfigError::new("capacity", &self.capacity, "1 to 1000000"));
        }
        check_call_timeout(self.call_timeout)
    }
}

/// Refuses a time in which no call could be made. One without end is one.
pub(crate) fn check_call_timeout(time: Duration) -> Result<(), ConfigError> {
    if time.is_zero() {
        return Err(ConfigError::new("call_timeout", &time, "above zero"));
    }
    Ok(())
}

/// A field of a configuration does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} of {value} does not fit: it must be {bound}")]
pub struct ConfigError {
    field: &'static str,
    value: String,
    bound: &'static str,
}

impl ConfigError {
    pub(crate) fn new(field: &'static str, value: &dyn fmt::Debug, bound: &'static str) -> Self {
        Self { field, value: format!("{value:?}"), bound }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_does_not_fit_is_named_with_its_value() {
        let config = ConsumerConfig::default;
        assert_eq!(config().check(), Ok(()));
        let table = [
            (config().with_concurrency(0), "concurrency of 0 does"),
            (config().with_max_receives(0), "max_receives of 0 does"),
            (config().with_wait(Duration::from_secs(21)), "wait of 21s does"),
            (config().with_wait(Duration::from_millis(1500)), "wait of 1.5s does"),
            (config().with_visibility(Duration::from_secs(1)), "visibility of 1s does"),
            (config().with_pass_delay(Duration::ZERO), "pass_delay of 0ns does"),
            (config().with_receive_budget(0), "receive_budget of 0 does"),
            (config().with_slice(Duration::ZERO), "slice of 0ns does"),
            (config().with_max_receives(101), "max_receives of 101 does"),
            (config().with_poll_grace(Duration::from_secs(21)), "poll_grace of 21s does"),
            (config().with_call_timeout(Duration::ZERO), "call_timeout of 0ns does"),
        ];
        for (config, expected) in table {
            let error = config.check().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let config = ProducerConfig::default;
        let table = [
            (config().with_max_size(2 << 20), "max_size of 2097152 does"),
            (config().with_linger(Duration::from_secs(2)), "linger of 2s does"),
            (config().with_capacity(0), "capacity of 0 does"),
            (config().with_call_timeout(Duration::ZERO), "call_timeout of 0ns does"),
        ];
        for (config, expected) in table {
            let error = config.check().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
