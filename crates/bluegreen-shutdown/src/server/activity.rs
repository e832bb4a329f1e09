//! What a connection is doing, and how long it may go on with it.
//!
//! hyper's own timer for heads also runs while a connection is idle, so that ten seconds for a
//! head would close connections which a load balancer keeps for a minute. Here a head's time runs
//! from its first byte.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// How long the quiet states of a connection may last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) head: Duration,
    pub(super) idle: Duration,
}

impl Limits {
    pub(super) const fn both(limit: Duration) -> Self {
        Self { head: limit, idle: limit }
    }

    pub(super) fn at_most(self, limit: Duration) -> Self {
        Self { head: self.head.min(limit), idle: self.idle.min(limit) }
    }

    pub(super) fn shortest(self) -> Duration {
        self.head.min(self.idle)
    }
}

/// What is to be done about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing before this moment.
    LookAgain(Instant),
    /// A head has begun too long ago.
    SlowHead,
    /// Nothing has happened for too long.
    Idle,
}

/// The state of one connection, shared by its socket, its requests and its watcher.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    requests: u32,
    head_since: Option<Instant>,
    quiet_since: Instant,
    /// HTTP/2: bytes between requests are frames of the connection, not heads.
    multiplexed: bool,
    untouched: bool,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        let (head_since, quiet_since) = (None, now);
        let (multiplexed, untouched) = (false, true);
        let state = State { requests: 0, head_since, quiet_since, multiplexed, untouched };
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes have arrived.
    pub(super) fn received(&self, bytes: &[u8], now: impl FnOnce() -> Instant) {
        let mut state = self.state();
        if state.untouched {
            state.untouched = false;
            state.multiplexed = bytes.starts_with(HTTP2_PREFACE);
        }
        if state.requests == 0 && state.head_since.is_none() && !state.multiplexed {
            state.head_since = Some(now());
        }
    }

    /// A request's head is complete.
    pub(super) fn request_begins(&self) {
        let mut state = self.state();
        state.requests += 1;
        state.head_since = None;
    }

    /// A request's answer is complete, or nobody will finish it.
    pub(super) fn request_ends(&self, now: Instant) {
        let mut state = self.state();
        state.requests = state.requests.saturating_sub(1);
        state.quiet_since = now;
    }

    /// The other side has taken bytes.
    pub(super) fn sent(&self, now: Instant) {
        self.state().quiet_since = now;
    }

    /// Whether a request is under way, or may begin at any time without a sign before.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.state();
        state.requests > 0 || state.multiplexed
    }

    pub(super) fn look(&self, now: Instant, limits: Limits) -> Verdict {
        let state = *self.state();
        if state.requests > 0 {
            return Verdict::LookAgain(now + limits.shortest());
        }
        let (until, over) = match state.head_since {
            Some(since) => (since + limits.head, Verdict::SlowHead),
            None => (state.quiet_since + limits.idle, Verdict::Idle),
        };
        // A head may begin before the idle time is over, and would then be due earlier.
        if now < until { Verdict::LookAgain(until.min(now + limits.head)) } else { over }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { head: Duration::from_secs(10), idle: Duration::from_secs(75) };

    fn at(start: Instant, secs: u64) -> Instant {
        start + Duration::from_secs(secs)
    }

    #[tokio::test(start_paused = true)]
    async fn a_heads_time_runs_from_its_first_byte_however_long_it_was_idle_before() {
        let start = Instant::now();
        let activity = Activity::new(start);
        assert!(matches!(activity.look(at(start, 70), LIMITS), Verdict::LookAgain(_)));
        activity.received(b"GET / HT", || at(start, 70));
        activity.received(b"TP/1", || at(start, 79));
        assert_eq!(activity.look(at(start, 79), LIMITS), Verdict::LookAgain(at(start, 80)));
        assert_eq!(activity.look(at(start, 80), LIMITS), Verdict::SlowHead);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_request_is_neither_idle_nor_a_slow_head() {
        let start = Instant::now();
        let activity = Activity::new(start);
        activity.received(b"POST / HTTP/1.1", || start);
        activity.request_begins();
        activity.received(b"body", || at(start, 1));
        assert!(matches!(activity.look(at(start, 1_000), LIMITS), Verdict::LookAgain(_)));
        activity.request_ends(at(start, 1_000));
        assert!(matches!(activity.look(at(start, 1_074), LIMITS), Verdict::LookAgain(_)));
        assert_eq!(activity.look(at(start, 1_075), LIMITS), Verdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn frames_between_requests_are_no_heads() {
        let start = Instant::now();
        let activity = Activity::new(start);
        activity.received(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", || start);
        activity.received(b"a ping", || at(start, 5));
        assert!(activity.is_busy());
        assert!(matches!(activity.look(at(start, 20), LIMITS), Verdict::LookAgain(_)));
        assert_eq!(activity.look(at(start, 75), LIMITS), Verdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_preface_is_a_slow_head() {
        let start = Instant::now();
        let activity = Activity::new(start);
        activity.received(b"PRI", || start);
        assert_eq!(activity.look(at(start, 10), LIMITS), Verdict::SlowHead);
    }
}
