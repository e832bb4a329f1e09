use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::connect::Sender;
use crate::target::Target;

/// The idle connections of one target. The one used last goes out first, so that those that are
/// not needed grow old and end.
pub(crate) struct Pool {
    idle: Mutex<VecDeque<Idle>>,
    limit: usize,
    keep: Duration,
}

struct Idle {
    sender: Sender,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(limit: usize, keep: Duration) -> Self {
        Self { idle: Mutex::default(), limit, keep }
    }

    /// A connection that can carry a request now.
    pub(crate) fn take(&self) -> Option<Sender> {
        let mut idle = self.idle();
        self.drop_old(&mut idle);
        let mut at = idle.len();
        while let Some(newest) = at.checked_sub(1) {
            at = newest;
            let sender = &idle.get(at)?.sender;
            if sender.is_closed() {
                idle.remove(at);
            } else if sender.is_ready() {
                return idle.remove(at).map(|connection| connection.sender);
            }
            // Neither: its response has ended just now, and it is busy with that. It comes later.
        }
        None
    }

    fn put(&self, sender: Sender) {
        let mut idle = self.idle();
        self.drop_old(&mut idle);
        if idle.len() < self.limit && !sender.is_closed() {
            idle.push_back(Idle { sender, since: Instant::now() });
        }
    }

    /// Closes what nobody has needed for too long: without requests nothing else would.
    pub(crate) fn sweep(&self) {
        self.drop_old(&mut self.idle());
    }

    fn drop_old(&self, idle: &mut VecDeque<Idle>) {
        while idle.front().is_some_and(|oldest| oldest.since.elapsed() >= self.keep) {
            idle.pop_front();
        }
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("idle", &self.idle().len()).finish_non_exhaustive()
    }
}

/// A connection in use. Dropped it is closed; given back it serves again.
pub(crate) struct Leased {
    pub(crate) target: Arc<Target>,
    pub(crate) sender: Sender,
}

impl Leased {
    pub(crate) fn give_back(self) {
        self.target.pool().put(self.sender);
    }
}
