//! What a connection is doing, and how long it may go on with it.
//!
//! hyper's own timer for heads also runs while a connection is idle, so that ten seconds for a
//! head would close connections which a load balancer keeps for a minute. Here a head's time runs
//! from its first byte.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Method, Uri};
use tokio::time::Instant;

use super::ServerConfig;
use crate::AbandonedRequest;

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a connection may be quiet, or a head incomplete, once the listener is closed: time for
/// a request that is already on its way.
const LAST_CALL: Duration = Duration::from_secs(1);

/// How long a connection that was told to end may stay open without a request and without taking
/// a byte: HTTP/2 waits for the client's answer, which a dead one never gives.
const GOODBYE: Duration = Duration::from_secs(3);

/// Beyond any connection's life, and within what clocks can add.
const FAR: Duration = Duration::from_secs(365 * 86_400);

/// How long the quiet states of a connection may last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    head: Duration,
    idle: Duration,
    /// Between two bytes that the client takes of an answer that is complete here.
    unsent: Duration,
}

impl Limits {
    pub(super) fn of(config: &ServerConfig) -> Self {
        let (head, idle) = (config.header_timeout.min(FAR), config.idle_timeout.min(FAR));
        Self { head, idle, unsent: idle }
    }

    /// Once the listener is closed. A slow client is cut by the server's deadline alone.
    pub(super) fn last_call(self) -> Self {
        Self { head: self.head.min(LAST_CALL), idle: self.idle.min(LAST_CALL), unsent: FAR }
    }

    /// Once the connection was told to end.
    pub(super) const fn goodbye(self) -> Self {
        Self { head: GOODBYE, idle: GOODBYE, unsent: self.unsent }
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

/// What would be lost if a connection were cut.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    pub(super) requests: u64,
    pub(super) upgrades: u64,
    pub(super) named: Vec<AbandonedRequest>,
}

/// The state of one connection, shared by its socket, its requests and its watcher.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    upgraded: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// The vector is the connection's own: after the first request it allocates nothing.
    requests: Vec<UnderWay>,
    next: u64,
    upgrade: Option<UnderWay>,
    head_since: Option<Instant>,
    quiet_since: Instant,
    /// The socket would take no more bytes.
    unsent: bool,
    /// The connection was told to end.
    told: bool,
    protocol: Protocol,
    /// The last request has a body, which its handler may still take after it has answered. Only
    /// hyper knows where it ends.
    body_follows: bool,
}

/// What the first bytes of a connection say it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// So many bytes have come, all of them as HTTP/2 begins.
    Unknown(usize),
    /// Bytes between requests begin heads.
    Http1,
    /// Bytes between requests are frames of the connection, not heads.
    Http2,
}

impl Protocol {
    fn after(self, bytes: &[u8]) -> Self {
        let Self::Unknown(come) = self else { return self };
        let rest = HTTP2_PREFACE.get(come..).unwrap_or_default();
        if bytes.starts_with(rest) {
            Self::Http2
        } else if rest.starts_with(bytes) {
            Self::Unknown(come + bytes.len())
        } else {
            Self::Http1
        }
    }
}

/// A request's name. Cloning a target counts a reference; hyper has allocated it.
#[derive(Clone, Debug)]
struct UnderWay {
    number: u64,
    method: Method,
    target: Option<PathAndQuery>,
    since: Instant,
    /// The service is done with it; the client has not taken all of the answer.
    answered: bool,
}

impl UnderWay {
    fn named(&self, now: Instant, upgraded: bool) -> AbandonedRequest {
        let age = now.saturating_duration_since(self.since);
        AbandonedRequest::new(self.method.clone(), self.target.as_ref(), age, upgraded)
    }
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        let state = State {
            requests: Vec::new(),
            next: 0,
            upgrade: None,
            head_since: None,
            quiet_since: now,
            unsent: false,
            told: false,
            protocol: Protocol::Unknown(0),
            body_follows: false,
        };
        Self { state: Mutex::new(state), upgraded: AtomicBool::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes have arrived.
    pub(super) fn received(&self, bytes: &[u8], now: impl FnOnce() -> Instant) {
        let mut state = self.state();
        state.protocol = state.protocol.after(bytes);
        if state.protocol == Protocol::Http2 {
            state.head_since = None;
            return;
        }
        // Some clients send an empty line after a body; it begins nothing.
        let begins = bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n'));
        let between = state.requests.is_empty() && state.head_since.is_none();
        if !between {
            return;
        }
        if state.body_follows {
            state.quiet_since = now();
        } else if begins {
            state.head_since = Some(now());
        }
    }

    /// A request's head is complete; answers its number on this connection.
    pub(super) fn request_begins(
        &self,
        method: &Method,
        uri: &Uri,
        body_follows: bool,
        now: Instant,
    ) -> u64 {
        let (method, target) = (method.clone(), uri.path_and_query().cloned());
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.requests.push(UnderWay { number, method, target, since: now, answered: false });
        (state.head_since, state.body_follows) = (None, body_follows);
        number
    }

    /// A request's answer is complete here; a part of it waits for the client to take it.
    pub(super) fn answered(&self, number: u64, now: Instant) {
        let mut state = self.state();
        if let Some(request) = state.requests.iter_mut().find(|other| other.number == number) {
            request.answered = true;
        }
        state.quiet_since = now;
    }

    /// A request's answer has left, or nobody will finish it.
    pub(super) fn request_ends(&self, number: u64, now: Instant) {
        let mut state = self.state();
        if let Some(place) = state.requests.iter().position(|request| request.number == number) {
            state.requests.swap_remove(place);
        }
        state.quiet_since = now;
    }

    /// A request has made the connection something else, which its handler keeps.
    pub(super) fn upgraded(&self, number: u64) {
        let mut state = self.state();
        state.upgrade = state.requests.iter().find(|request| request.number == number).cloned();
        self.upgraded.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Relaxed)
    }

    /// The other side has taken bytes.
    pub(super) fn sent(&self, now: Instant) {
        let mut state = self.state();
        // Of a connection without work that was told to end, these are answers to pings.
        if !state.told || state.unsent || !state.requests.is_empty() {
            state.quiet_since = now;
        }
        state.unsent = false;
    }

    /// The connection was told to end: without work it has from now on to do so.
    pub(super) fn told(&self, now: Instant) {
        let mut state = self.state();
        (state.told, state.quiet_since) = (true, now);
    }

    /// The other side takes no bytes for now.
    pub(super) fn blocked(&self) {
        self.state().unsent = true;
    }

    /// The listener has closed: whatever the connection did before, its last call begins now.
    pub(super) fn last_call(&self, now: Instant) {
        let mut state = self.state();
        state.quiet_since = now;
        state.head_since = state.head_since.map(|_| now);
    }

    /// Whether a request is under way or its answer not wholly sent, or one may begin at any time
    /// without a sign before.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.state();
        !state.requests.is_empty() || state.unsent || state.protocol == Protocol::Http2
    }

    pub(super) fn look(&self, now: Instant, limits: Limits) -> Verdict {
        let state = self.state();
        if state.requests.iter().any(|request| !request.answered) {
            return Verdict::LookAgain(now + limits.shortest());
        }
        let unsent = state.unsent || !state.requests.is_empty();
        let quiet = if unsent { limits.unsent } else { limits.idle };
        let (until, over) = match state.head_since {
            Some(since) => (since + limits.head, Verdict::SlowHead),
            None => (state.quiet_since + quiet, Verdict::Idle),
        };
        // A head may begin before the idle time is over, and would then be due earlier.
        if now < until { Verdict::LookAgain(until.min(now + limits.head)) } else { over }
    }

    pub(super) fn unfinished(&self, now: Instant) -> Unfinished {
        let state = self.state();
        if let Some(upgrade) = &state.upgrade {
            return Unfinished { requests: 0, upgrades: 1, named: vec![upgrade.named(now, true)] };
        }
        let named: Vec<_> =
            state.requests.iter().map(|request| request.named(now, false)).collect();
        // Complete here, but not with the client. Its name is no longer kept.
        let unsent = usize::from(named.is_empty() && state.unsent);
        let requests = u64::try_from(named.len() + unsent).unwrap_or(u64::MAX);
        Unfinished { requests, upgrades: 0, named }
    }
}

#[cfg(test)]
mod tests;
