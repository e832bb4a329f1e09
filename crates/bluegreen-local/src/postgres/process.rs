use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::process::Child;

/// A server process that ends with the value.
///
/// Dropping it asks for PostgreSQL's immediate shutdown and waits for it, some 10 ms: a plain kill
/// would leave shared memory behind, and processes that still write while their folder is removed.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
}

impl Process {
    pub(super) fn new(child: Child) -> Self {
        Self { child }
    }

    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Tells it that a file in its folder asks something of it.
    pub(super) fn look_for_orders(&self) {
        self.signal(Signal::USR1);
    }

    /// Asks for a fast shutdown, which rolls open transactions back; after `within` drops it.
    pub(super) async fn stop(mut self, within: Duration) {
        self.signal(Signal::INT);
        // Whichever way this ends, dropping `self` deals with what is left.
        drop(tokio::time::timeout(within, self.child.wait()).await);
    }

    // `None` once the process was waited for: its number may belong to another one since.
    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // The only possible failure is that it is gone already, which is what is wanted.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::QUIT);
        // A server frozen by a test would not see the signal.
        self.signal(Signal::CONT);
        if let Some(pid) = self.pid() {
            // Left for tokio to collect. PostgreSQL itself kills what does not end within 5 s.
            let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        }
    }
}
