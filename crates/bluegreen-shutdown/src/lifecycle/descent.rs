//! The way down through the levels.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Lifecycle;
use crate::driver::{DriverEnd, Ended, Policy};
use crate::report::{Cause, LevelEnd, LevelReport, ShutdownReport};
use crate::{Level, Signal};

enum Step {
    Again(Signal),
    Ended(Ended),
    DeadlinePassed,
}

impl Lifecycle {
    pub(super) async fn descend(mut self, cause: Cause) -> ShutdownReport {
        let mut report = ShutdownReport::new(cause);
        report.failed = std::mem::take(&mut self.failed);
        // A message received from now on would only be abandoned, so consumers stop receiving at
        // once; they have until the end of their level for what they hold.
        let consumers = self.config.until_end_of(Level::Consumers);
        self.stops.get(Level::Consumers).stop(notice(consumers));
        for level in Level::ALL {
            let begun = Instant::now();
            let end = self.leave(level, &mut report).await;
            report.levels.push(LevelReport { level, took: begun.elapsed(), end });
            match end {
                LevelEnd::Finished => tracing::info!(%level, "level finished"),
                LevelEnd::DeadlinePassed => tracing::warn!(%level, "the level's time was over"),
                LevelEnd::Forced => {
                    self.force(&mut report);
                    break;
                }
            }
        }
        report
    }

    async fn leave(&mut self, level: Level, report: &mut ShutdownReport) -> LevelEnd {
        let budget = self.config.budget(level);
        let deadline = Instant::now() + budget;
        self.stops.get(level).stop(notice(budget));
        // The drain delay is for others to notice: it is waited out however little is to do.
        while level == Level::Readiness || self.drivers.any_at(level) {
            match self.step(deadline).await {
                Step::Again(signal) => {
                    tracing::warn!(%signal, "a second signal: ending at once");
                    return LevelEnd::Forced;
                }
                Step::Ended(ended) => note(ended, level, report),
                Step::DeadlinePassed => {
                    let abandoned = self.drivers.abandon(Some(level));
                    if abandoned.is_empty() {
                        break;
                    }
                    tracing::warn!(%level, ?abandoned, "drivers abandoned");
                    report.abandoned.extend(abandoned);
                    return LevelEnd::DeadlinePassed;
                }
            }
        }
        LevelEnd::Finished
    }

    async fn step(&mut self, deadline: Instant) -> Step {
        tokio::select! {
            biased;
            signal = self.signals.next() => Step::Again(signal),
            ended = self.drivers.next_end() => Step::Ended(ended),
            () = sleep_until(deadline) => Step::DeadlinePassed,
        }
    }

    fn force(&mut self, report: &mut ShutdownReport) {
        let under_way: u64 = self.requests.iter().map(bluegreen_core::InFlight::count).sum();
        report.requests_abandoned += under_way;
        report.abandoned.extend(self.drivers.abandon(None));
    }
}

/// The time a driver is told out of a budget: it ends a tenth sooner, at most 100 ms, which leaves
/// the driver a moment to report what it gave up.
fn notice(budget: Duration) -> Duration {
    budget - (budget / 10).min(Duration::from_millis(100))
}

/// Takes in the end of a driver during the shutdown.
fn note(ended: Ended, now_at: Level, report: &mut ShutdownReport) {
    let Ended { name, level, policy, end, server } = ended;
    if let Some(server) = server {
        report.requests_abandoned += server.requests_abandoned;
        report.connections_cut += server.connections_cut;
    }
    let asked = level <= now_at || level == Level::Consumers;
    match (&end, policy) {
        (DriverEnd::Finished, _) if asked => tracing::info!(driver = name, "driver finished"),
        (DriverEnd::Finished, Policy::Optional) => {
            tracing::info!(driver = name, "an optional driver finished");
        }
        _ => {
            tracing::error!(driver = name, %end, "a driver ended wrongly during the shutdown");
            report.failed.push((name, end));
        }
    }
}
