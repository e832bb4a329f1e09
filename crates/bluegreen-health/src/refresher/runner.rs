use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Probed, Run};
use crate::probe::Outcome;
use crate::{Fault, FaultKind, HealthConfig, Probe};

/// Runs one probe again and again.
pub(super) struct Runner {
    at: usize,
    name: String,
    probe: Probe,
    timeout: Duration,
    interval: Duration,
    random: fastrand::Rng,
    /// The run under way, one at most. Dropping it aborts it.
    running: JoinSet<Outcome>,
}

impl Runner {
    pub(super) fn new(
        at: usize,
        probed: Probed,
        config: &HealthConfig,
        random: fastrand::Rng,
    ) -> Self {
        let Probed { name, probe } = probed;
        let timeout = probe.timeout.unwrap_or(config.timeout);
        let interval = config.interval;
        Self { at, name, probe, timeout, interval, random, running: JoinSet::new() }
    }

    pub(super) async fn run(mut self, results: mpsc::Sender<Run>) {
        loop {
            let outcome = self.once().await;
            if results.send(Run { at: self.at, outcome }).await.is_err() {
                return;
            }
            sleep(self.interval.mul_f64(0.9 + 0.2 * self.random.f64())).await;
        }
    }

    async fn once(&mut self) -> Outcome {
        while self.running.try_join_next().is_some() {}
        if !self.running.is_empty() {
            // It was aborted but holds its thread: a second one would hold another.
            let fault = Fault::new(FaultKind::TimedOut);
            return Err(fault.with_message("an earlier check still blocks its thread"));
        }
        self.running.spawn(self.probe.run());
        match timeout(self.timeout, self.running.join_next()).await {
            Ok(Some(Ok(outcome))) => outcome,
            Ok(Some(Err(error))) => {
                tracing::error!(check = self.name, %error, "a probe panicked");
                Err(Fault::new(FaultKind::Panicked))
            }
            Ok(None) => Err(Fault::new(FaultKind::Failed)),
            Err(_) => {
                self.running.abort_all();
                Err(Fault::timed_out(self.timeout))
            }
        }
    }
}
