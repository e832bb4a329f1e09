mod figures;
mod notice;
mod runner;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::Stop;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::board::{Board, Published};
use crate::history::History;
use crate::probe::Outcome;
use crate::snapshot::LastRun;
use crate::{HealthConfig, HealthError, HealthEvent, Probe, Snapshot, Status};
use runner::Runner;

/// The driver behind a [`Health`](crate::Health): runs the probes and puts up their results.
///
/// All probes run concurrently, each at its interval, no probe twice at a time.
#[must_use = "without it running no probe runs, and the process never becomes ready"]
pub struct Refresher {
    probes: Vec<Probed>,
    histories: Vec<History>,
    /// When the last result of each probe becomes too old.
    good_until: Vec<Instant>,
    config: HealthConfig,
    board: Arc<Board>,
    // Dropped here rather than by the request that happened to read it last.
    previous: Option<Arc<Published>>,
    /// What the process was said to be last.
    said: Status,
    started: bool,
    report: RefreshReport,
}

/// A probe, its name and its times.
#[derive(Debug)]
pub(crate) struct Probed {
    name: String,
    probe: Probe,
    interval: Duration,
    timeout: Duration,
    pub(crate) staleness: Duration,
}

impl Probed {
    pub(crate) fn new(name: String, probe: Probe, config: &HealthConfig) -> Self {
        let (interval, timeout) = (config.interval_of(&probe), config.timeout_of(&probe));
        let staleness = config.staleness_of(&probe);
        Self { name, probe, interval, timeout, staleness }
    }

    pub(crate) fn history(&self, config: &HealthConfig) -> History {
        History::new(self.name.clone(), &self.probe, config)
    }
}

/// One run of the probe at this place.
#[derive(Debug)]
struct Run {
    at: usize,
    outcome: Outcome,
    took: Duration,
    /// From then on this result is too old.
    good_until: Instant,
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
        let Snapshot { status: said, started, .. } = *board.snapshot();
        Self {
            probes,
            histories,
            good_until: Vec::new(),
            config,
            board,
            previous: None,
            said,
            started,
            report: RefreshReport::default(),
        }
    }

    /// Runs the probes, at first at once, until asked to stop; then at once no more. Dropped, the
    /// same. What is put up stays, and soon says that it is too old.
    ///
    /// On a runtime with a single thread a probe that blocks it blocks the answers too. Give the
    /// refresher a thread and a runtime of its own there: the answers then turn unhealthy when
    /// their staleness is reached.
    ///
    /// # Errors
    /// None today; a probe that fails is a result.
    pub async fn run(mut self, stop: Stop) -> Result<RefreshReport, HealthError> {
        figures::describe();
        let begun = Instant::now();
        self.good_until = self.probes.iter().map(|probed| begun + probed.staleness).collect();
        let (sender, mut outcomes) = mpsc::channel(self.probes.len().max(1));
        let mut seeds = self.config.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let mut runners = JoinSet::new();
        for (at, probed) in std::mem::take(&mut self.probes).into_iter().enumerate() {
            runners.spawn(Runner::new(at, probed, seeds.fork()).run(sender.clone()));
        }
        // Without a probe there is still to show that somebody is here.
        let mut beat = interval(self.config.interval);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let draining = self.board.draining().clone();
        let mut drains = false;
        loop {
            tokio::select! {
                biased;
                // Before the stop, which may be the same one.
                _ = draining.requested(), if !drains => {
                    drains = true;
                    self.say(Status::Draining);
                }
                _ = stop.requested() => return Ok(self.report),
                Some(run) = outcomes.recv() => {
                    self.take(run);
                    while let Ok(run) = outcomes.try_recv() {
                        self.take(run);
                    }
                    self.publish(drains);
                }
                _ = beat.tick(), if self.histories.is_empty() => self.publish(drains),
            }
        }
    }

    fn take(&mut self, Run { at, outcome, took, good_until }: Run) {
        self.report.runs += 1;
        self.report.failed += u64::from(outcome.is_err());
        let (Some(history), Some(good)) = (self.histories.get_mut(at), self.good_until.get_mut(at))
        else {
            return;
        };
        *good = good_until;
        let before = notice::State::of(history.check());
        history.observe(outcome, LastRun { at: self.config.clock.now(), took });
        let check = history.check();
        figures::check(check, took);
        if let Some(event) = notice::change(before, check) {
            self.board.tell(event);
        }
    }

    fn publish(&mut self, drains: bool) {
        let good_until = self.good_until.iter().min().copied();
        let good_until =
            good_until.unwrap_or_else(|| Instant::now() + self.config.staleness_without_probes());
        let checks = self.histories.iter().map(|history| history.check().clone()).collect();
        let snapshot = Snapshot::of(checks, self.config.clock.now());
        let (status, started) = (snapshot.status, snapshot.started);
        self.previous = Some(self.board.publish(snapshot, good_until));
        if started && !self.started {
            self.started = true;
            tracing::info!("every critical check has passed");
            self.board.tell(HealthEvent::Started);
        }
        self.say(if drains { Status::Draining } else { status });
    }

    /// Tells how the process is, where that is new.
    fn say(&mut self, status: Status) {
        figures::process(status);
        let before = std::mem::replace(&mut self.said, status);
        if status != before {
            match status {
                Status::Healthy | Status::Draining => {
                    tracing::info!(%status, %before, "health has changed");
                }
                Status::Degraded | Status::Unhealthy => {
                    tracing::warn!(%status, %before, "health has changed");
                }
            }
            self.board.tell(HealthEvent::Status { from: before, to: status });
        }
    }
}

impl fmt::Debug for Refresher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresher")
            .field("probes", &self.probes)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}
