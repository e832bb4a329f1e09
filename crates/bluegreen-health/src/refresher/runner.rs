use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{Instrument, Span, field};

use super::{Probed, Run};
use crate::FaultKind;
use crate::fault::Failure;
use crate::probe::{Begun, Outcome};

/// Runs one probe again and again.
pub(super) struct Runner {
    at: usize,
    probed: Probed,
    random: fastrand::Rng,
    /// The run under way, one at most. Dropping it aborts it.
    running: JoinSet<Outcome>,
    /// The thread of the run under way, or of one whose time is over, for a probe that blocks.
    thread: Option<JoinHandle<()>>,
}

impl Runner {
    pub(super) fn new(at: usize, probed: Probed, random: fastrand::Rng) -> Self {
        Self { at, probed, random, running: JoinSet::new(), thread: None }
    }

    pub(super) async fn run(mut self, results: mpsc::Sender<Run>) {
        loop {
            let begun = Instant::now();
            let outcome = self.once().await;
            let ended = Instant::now();
            let (took, good_until) = (ended - begun, ended + self.probed.staleness);
            let run = Run { at: self.at, outcome, took, good_until };
            if results.send(run).await.is_err() {
                return;
            }
            sleep(self.pause()).await;
        }
    }

    /// The interval, give or take a tenth.
    fn pause(&mut self) -> Duration {
        self.probed.interval.mul_f64(0.9 + 0.2 * self.random.f64())
    }

    async fn once(&mut self) -> Outcome {
        while self.running.try_join_next().is_some() {}
        let thread_is_busy = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        if thread_is_busy || !self.running.is_empty() {
            // It was aborted but holds its thread: a second one would hold another.
            let message = "an earlier check still blocks its thread";
            return Err(Failure::saying(FaultKind::TimedOut, message));
        }
        let name = &*self.probed.name;
        let span = tracing::debug_span!("health_check", check = name, class = field::Empty);
        self.begin(&span);
        let outcome = match timeout(self.probed.timeout, self.running.join_next()).await {
            Ok(Some(Ok(outcome))) => outcome,
            Ok(Some(Err(error))) => match error.try_into_panic() {
                Ok(payload) => Err(panicked(payload)),
                Err(_) => Err(Failure::saying(FaultKind::Failed, "the check was aborted")),
            },
            Ok(None) => Err(Failure::saying(FaultKind::Failed, "the check did not begin")),
            Err(_) => {
                self.running.abort_all();
                Err(Failure::timed_out(self.probed.timeout))
            }
        };
        if let Err(failure) = &outcome {
            span.record("class", failure.kind.as_str());
        }
        outcome
    }

    fn begin(&mut self, span: &Span) {
        match self.probed.probe.begin() {
            Begun::Async(run) => drop(self.running.spawn(run.instrument(span.clone()))),
            Begun::Blocking(run) => self.begin_blocking(run, span.clone()),
        }
    }

    /// On a thread that nobody waits for: one of tokio's own would keep the runtime, and with it
    /// the process, from ending for as long as the probe hangs.
    fn begin_blocking(&mut self, run: Box<dyn FnOnce() -> Outcome + Send>, span: Span) {
        let (sender, receiver) = oneshot::channel();
        let runtime = Handle::current();
        let thread = std::thread::Builder::new().name("health-check".to_owned()).spawn(move || {
            let _runtime = runtime.enter();
            let ended = catch_unwind(AssertUnwindSafe(|| span.in_scope(run)));
            let outcome = match &ended {
                Ok(outcome) => outcome.clone(),
                Err(payload) => Err(Failure::panicked(payload.as_ref())),
            };
            // Nobody may wait for it any more.
            drop(sender.send(outcome));
            // Foreign code, which only this thread suffers from.
            drop(ended);
        });
        match thread {
            Ok(thread) => {
                let told = async {
                    let silent = || Failure::saying(FaultKind::Failed, "its thread ended");
                    receiver.await.unwrap_or_else(|_| Err(silent()))
                };
                self.running.spawn(told);
                self.thread = Some(thread);
            }
            Err(error) => {
                let failure = Failure::from(crate::Fault::because(error));
                self.running.spawn(async move { Err(failure) });
            }
        }
    }
}

/// What a panic says, and where its payload is dropped: that is foreign code, which may panic as
/// well, and then does so in a task of its own.
fn panicked(payload: Box<dyn Any + Send>) -> Failure {
    let failure = Failure::panicked(payload.as_ref());
    drop(tokio::spawn(async move { drop(payload) }));
    failure
}
