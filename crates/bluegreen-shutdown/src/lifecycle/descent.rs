//! The way down through the levels.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Lifecycle;
use super::turns::Turn;
use crate::budget::notice;
use crate::driver::{Abandoned, Driver, DriverEnd, Drivers, Ended, Policy};
use crate::report::{Cause, FinishedDriver, LevelEnd, LevelReport, ShutdownReport};
use crate::{Level, Signal};

/// As good as no limit, and within what clocks can add.
const FAR: Duration = Duration::from_secs(365 * 86_400);

/// What drivers that have no time at all, those of readiness without a drain delay, get to hear of
/// it and end: little enough to be within the notice that the last level ends sooner by.
const MOMENT: Duration = Duration::from_millis(20);

enum Step {
    Signal(Signal),
    Ended(Ended),
    DeadlinePassed,
}

impl Lifecycle {
    pub(super) async fn descend(mut self, cause: Cause) -> ShutdownReport {
        self.signaled = matches!(cause, Cause::Signal(_));
        let mut report = ShutdownReport::new(cause);
        report.failed = std::mem::take(&mut self.failed);
        let signal = Instant::now();
        // A message received from now on would only be abandoned, so consumers stop receiving at
        // once; they have until the end of their level for what they hold.
        self.ask(Level::Consumers, signal + self.config.until_end_of(Level::Consumers).min(FAR));
        for level in Level::ALL {
            let begun = Instant::now();
            let deadline = signal + self.config.end_of(level, begun - signal).min(FAR);
            let end = match level {
                Level::Producers => self.leave_by_turns(deadline, &mut report).await,
                _ => self.leave(level, deadline, &mut report).await,
            };
            report.levels.push(LevelReport { level, took: begun.elapsed(), end });
            match end {
                LevelEnd::Finished => tracing::info!(%level, "level finished"),
                LevelEnd::DeadlinePassed => tracing::warn!(%level, "the level's time was over"),
                LevelEnd::Forced => {
                    let abandoned = self.drivers.abandon(|_, _| true);
                    self.abandoned(abandoned, &mut report);
                    report.abandoned.extend(self.turns.give_up());
                    break;
                }
            }
        }
        report
    }

    fn ask(&mut self, level: Level, deadline: Instant) {
        let now = Instant::now();
        self.drivers.asked(level, now);
        self.stops.get(level).stop(notice(deadline - now));
    }

    async fn leave(
        &mut self,
        level: Level,
        deadline: Instant,
        report: &mut ShutdownReport,
    ) -> LevelEnd {
        self.ask(level, deadline);
        // The drain delay is for others to notice: it is waited out however little is to do.
        let drains = level == Level::Readiness && !self.config.drain_delay.is_zero();
        let done = |drivers: &Drivers| !drains && !drivers.any_at(level);
        let none = self.config.budget(level).is_zero();
        let deadline = if none { Instant::now() + MOMENT } else { deadline };
        match self.wait_until(deadline, done, report).await {
            LevelEnd::DeadlinePassed => {
                let abandoned = self.drivers.abandon(|_, driver| driver.level == level);
                self.abandoned(abandoned, report)
            }
            end => end,
        }
    }

    /// As [`leave`](Self::leave), but one driver or hook after the other.
    async fn leave_by_turns(&mut self, deadline: Instant, report: &mut ShutdownReport) -> LevelEnd {
        self.ask(Level::Producers, deadline);
        let mut level_end = LevelEnd::Finished;
        loop {
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            let Some((turn, share)) = self.turns.next(&self.drivers, left) else {
                return level_end;
            };
            let id = match turn {
                Turn::Driver(id, stopper) => {
                    stopper.stop(notice(share));
                    id
                }
                Turn::Hook(name, run) => {
                    let hook = Driver::new(Level::Producers, name, Policy::Essential);
                    self.drivers.spawn(hook, run)
                }
            };
            self.drivers.turn_of(id, now);
            let done = |drivers: &Drivers| !drivers.is_running(id);
            match self.wait_until(now + share, done, report).await {
                LevelEnd::Finished => {}
                LevelEnd::DeadlinePassed => {
                    let abandoned = self.drivers.abandon(|other, _| other == id);
                    level_end = self.abandoned(abandoned, report);
                }
                LevelEnd::Forced => return LevelEnd::Forced,
            }
        }
    }

    async fn wait_until(
        &mut self,
        deadline: Instant,
        done: impl Fn(&Drivers) -> bool,
        report: &mut ShutdownReport,
    ) -> LevelEnd {
        while !done(&self.drivers) {
            match self.step(deadline).await {
                // The orchestrator's, for a process that was ending by itself: it is.
                Step::Signal(signal) if !self.signaled => {
                    tracing::info!(%signal, "a signal; already shutting down");
                    self.signaled = true;
                }
                Step::Signal(signal) => {
                    tracing::warn!(%signal, "a second signal: ending at once");
                    return LevelEnd::Forced;
                }
                Step::Ended(ended) => self.note(ended, report),
                Step::DeadlinePassed => return LevelEnd::DeadlinePassed,
            }
        }
        LevelEnd::Finished
    }

    async fn step(&mut self, deadline: Instant) -> Step {
        tokio::select! {
            biased;
            signal = self.signals.next() => Step::Signal(signal),
            ended = self.drivers.next_end() => Step::Ended(ended),
            () = sleep_until(deadline) => Step::DeadlinePassed,
        }
    }

    /// Takes in the drivers that a deadline or a signal cut off; without any, the time was merely
    /// waited out.
    fn abandoned(&self, abandoned: Vec<Abandoned>, report: &mut ShutdownReport) -> LevelEnd {
        if abandoned.is_empty() {
            return LevelEnd::Finished;
        }
        for Abandoned { name, server } in abandoned {
            tracing::warn!(driver = name, "driver abandoned");
            report.abandoned.push(name);
            report.add_cut_by(server);
        }
        LevelEnd::DeadlinePassed
    }

    /// Takes in the end of a driver during the shutdown.
    fn note(&self, ended: Ended, report: &mut ShutdownReport) {
        let Ended { driver: Driver { name, level, policy, asked, .. }, end, server } = ended;
        report.add_cut_by(server);
        match (&end, asked, policy) {
            (DriverEnd::Finished, Some(asked), _) => {
                let took = asked.elapsed();
                tracing::info!(driver = name, ?took, "driver finished");
                report.finished.push(FinishedDriver { name, level, took });
                return;
            }
            (DriverEnd::Finished, None, Policy::Optional) => {
                tracing::info!(driver = name, "an optional driver finished");
            }
            _ => {
                tracing::error!(driver = name, %end, "a driver ended wrongly during the shutdown");
                report.failed.push((name.clone(), end.clone()));
            }
        }
        if asked.is_none() {
            self.tell_early(&name, level, &end);
        }
    }
}
