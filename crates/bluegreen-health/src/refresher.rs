mod runner;

use std::sync::Arc;

use bluegreen_core::Stop;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::board::{Board, Published};
use crate::history::History;
use crate::probe::Outcome;
use crate::{HealthConfig, HealthError, Probe, Snapshot, Status};
use runner::Runner;

/// The driver behind a [`Health`](crate::Health): runs the probes and puts up their results.
///
/// All probes run concurrently, each at the interval, no probe twice at a time.
#[derive(Debug)]
#[must_use = "without it running no probe runs, and the process never becomes ready"]
pub struct Refresher {
    probes: Vec<Probed>,
    histories: Vec<History>,
    results: Vec<Instant>,
    config: HealthConfig,
    board: Arc<Board>,
    // Dropped here rather than by the request that happened to read it last.
    previous: Option<Arc<Published>>,
    report: RefreshReport,
}

/// A probe and its name.
#[derive(Debug)]
pub(crate) struct Probed {
    pub(crate) name: String,
    pub(crate) probe: Probe,
}

/// One run of the probe at this place.
#[derive(Debug)]
struct Run {
    at: usize,
    outcome: Outcome,
}

/// What a [`Refresher`] did while it ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefreshReport {
    /// Runs of probes.
    pub runs: u64,
    /// Those of them that failed.
    pub failed: u64,
}

impl Refresher {
    pub(crate) fn new(
        probes: Vec<Probed>,
        histories: Vec<History>,
        config: HealthConfig,
        board: Arc<Board>,
    ) -> Self {
        let results = vec![Instant::now(); histories.len()];
        let report = RefreshReport::default();
        Self { probes, histories, results, config, board, previous: None, report }
    }

    /// Runs the probes, at first at once, until asked to stop; then at once no more. Dropped, the
    /// same. What is put up stays, and soon says that it is too old.
    ///
    /// # Errors
    /// None today; a probe that fails is a result.
    pub async fn run(mut self, stop: Stop) -> Result<RefreshReport, HealthError> {
        let (sender, mut outcomes) = mpsc::channel(self.probes.len().max(1));
        let mut seeds = self.config.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let mut runners = JoinSet::new();
        for (at, probed) in std::mem::take(&mut self.probes).into_iter().enumerate() {
            let runner = Runner::new(at, probed, &self.config, seeds.fork());
            runners.spawn(runner.run(sender.clone()));
        }
        let mut beat = interval(self.config.interval);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.results.fill(Instant::now());
        loop {
            tokio::select! {
                biased;
                _ = stop.requested() => return Ok(self.report),
                Some(Run { at, outcome }) = outcomes.recv() => self.take(at, outcome),
                // Without a probe there is still to show that somebody is here.
                _ = beat.tick() => self.publish(),
            }
        }
    }

    fn take(&mut self, at: usize, outcome: Outcome) {
        self.report.runs += 1;
        self.report.failed += u64::from(outcome.is_err());
        if let (Some(history), Some(result)) =
            (self.histories.get_mut(at), self.results.get_mut(at))
        {
            *result = Instant::now();
            let before = history.check();
            let cause = outcome.as_ref().err().and_then(|fault| fault.cause.as_ref());
            let cause = cause.map(|cause| chain(cause.as_ref()));
            history.observe(outcome);
            tell(&before, &history.check(), cause.as_deref());
        }
        self.publish();
    }

    fn publish(&mut self) {
        let oldest = self.results.iter().min().copied().unwrap_or_else(Instant::now);
        let snapshot = Snapshot::of(&self.histories, self.config.clock.now());
        let status = snapshot.status;
        let previous = self.board.publish(snapshot, oldest);
        let before = previous.snapshot.status;
        match status {
            _ if status == before => {}
            Status::Healthy => tracing::info!(%status, %before, "health has changed"),
            _ => tracing::warn!(%status, %before, "health has changed"),
        }
        self.previous = Some(previous);
    }
}

/// Logs a change of one check, with the cause that no answer shows.
fn tell(before: &crate::Check, after: &crate::Check, cause: Option<&str>) {
    let (check, status, kind) = (after.name.as_str(), after.status, after.kind);
    let message = after.message.as_deref();
    if (before.status, before.kind) == (after.status, after.kind) {
        tracing::debug!(check, %status, ?kind, message, cause, "a check's result");
    } else if status == Status::Healthy {
        tracing::info!(check, %status, "a check has changed");
    } else {
        tracing::warn!(check, %status, ?kind, message, cause, "a check has changed");
    }
}

/// An error and its causes in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
