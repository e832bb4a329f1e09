use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{Instrument, Span, field};

use super::{Probed, Run};
use crate::probe::{Begun, Outcome};
use crate::{Fault, FaultKind};

/// Runs one probe again and again.
pub(super) struct Runner {
    at: usize,
    probed: Probed,
    random: fastrand::Rng,
    /// The run under way, one at most. Dropping it aborts it.
    running: JoinSet<Outcome>,
}

impl Runner {
    pub(super) fn new(at: usize, probed: Probed, random: fastrand::Rng) -> Self {
        Self { at, probed, random, running: JoinSet::new() }
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
        if !self.running.is_empty() {
            // It was aborted but holds its thread: a second one would hold another.
            let fault = Fault::new(FaultKind::TimedOut);
            return Err(fault.with_message("an earlier check still blocks its thread"));
        }
        let name = &*self.probed.name;
        let span = tracing::debug_span!("health_check", check = name, class = field::Empty);
        self.begin(&span);
        let outcome = match timeout(self.probed.timeout, self.running.join_next()).await {
            Ok(Some(Ok(outcome))) => outcome,
            Ok(Some(Err(error))) => {
                tracing::error!(check = self.probed.name, %error, "a probe panicked");
                Err(Fault::new(FaultKind::Panicked).caused_by(error))
            }
            Ok(None) => Err(Fault::new(FaultKind::Failed)),
            Err(_) => {
                self.running.abort_all();
                Err(Fault::timed_out(self.probed.timeout))
            }
        };
        if let Err(fault) = &outcome {
            span.record("class", fault.kind.as_str());
        }
        outcome
    }

    fn begin(&mut self, span: &Span) {
        match self.probed.probe.begin() {
            Begun::Async(run) => self.running.spawn(run.instrument(span.clone())),
            Begun::Blocking(run) => {
                let span = span.clone();
                self.running.spawn_blocking(move || span.in_scope(run))
            }
        };
    }
}
