use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use crate::{DriverEnd, Level, Signal};

/// Why a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A signal asked for it.
    Signal(Signal),
    /// A [`Trigger`](crate::Trigger) asked for it.
    Requested,
    /// A driver without which the process is of no use ended by itself.
    Driver {
        /// The driver's name.
        name: String,
        /// How it ended.
        end: DriverEnd,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => signal.fmt(f),
            Self::Requested => f.write_str("requested by the program"),
            Self::Driver { name, end: DriverEnd::Finished } => {
                write!(f, "driver {name} ended early")
            }
            Self::Driver { name, end } => write!(f, "driver {name} {end}"),
        }
    }
}

/// How a level was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LevelEnd {
    /// Everything in it was done.
    Finished,
    /// Its time was over first.
    DeadlinePassed,
    /// A second signal ended it.
    Forced,
}

/// One level of a shutdown that has taken place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LevelReport {
    /// The level.
    pub level: Level,
    /// How long it took.
    pub took: Duration,
    /// How it was left.
    pub end: LevelEnd,
}

/// How a shutdown went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Everything was finished. Exit code 0.
    Complete,
    /// A driver failed, or ended the process. Exit code 1.
    Failed,
    /// Something was not finished in time and was abandoned. Exit code 2.
    Abandoned,
    /// A second signal ended everything at once. Exit code 3.
    Forced,
}

impl Outcome {
    const fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Failed => 1,
            Self::Abandoned => 2,
            Self::Forced => 3,
        }
    }
}

/// What a shutdown finished, what it gave up, and how long it took.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "its exit code tells the orchestrator how it went"]
pub struct ShutdownReport {
    /// Why the process ended.
    pub cause: Cause,
    /// The levels that were gone through, first to last.
    pub levels: Vec<LevelReport>,
    /// Drivers that failed, panicked or ended early, by name.
    pub failed: Vec<(String, DriverEnd)>,
    /// Drivers that were cut off, by name.
    pub abandoned: Vec<String>,
    /// Requests that got no answer, or not the whole of it.
    pub requests_abandoned: u64,
    /// Connections that were cut while a request was under way.
    pub connections_cut: u64,
}

impl ShutdownReport {
    pub(crate) const fn new(cause: Cause) -> Self {
        Self {
            cause,
            levels: Vec::new(),
            failed: Vec::new(),
            abandoned: Vec::new(),
            requests_abandoned: 0,
            connections_cut: 0,
        }
    }

    /// How it went, the worst first.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.levels.iter().any(|level| level.end == LevelEnd::Forced) {
            Outcome::Forced
        } else if !self.failed.is_empty() || matches!(self.cause, Cause::Driver { .. }) {
            Outcome::Failed
        } else if !self.abandoned.is_empty() || self.requests_abandoned > 0 {
            Outcome::Abandoned
        } else {
            Outcome::Complete
        }
    }

    /// The exit code by [`outcome`](Self::outcome).
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        self.outcome().code().into()
    }

    /// Logs the report and ends the process with its exit code, without waiting for what blocks a
    /// thread: returning from `main` would, as a tokio runtime waits for `spawn_blocking`.
    pub fn exit(&self) -> ! {
        tracing::info!(report = %self, "exiting");
        std::process::exit(self.outcome().code().into())
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.outcome() {
            Outcome::Complete => "complete",
            Outcome::Failed => "complete after a failure",
            Outcome::Abandoned => "incomplete",
            Outcome::Forced => "forced",
        };
        let took: Duration = self.levels.iter().map(|level| level.took).sum();
        write!(f, "shutdown {how} in {took:.1?} ({})", self.cause)?;
        for level in &self.levels {
            let end = match level.end {
                LevelEnd::Finished => "",
                LevelEnd::DeadlinePassed => ", its time was over",
                LevelEnd::Forced => ", forced by a second signal",
            };
            write!(f, "\n  {:<9} {:.1?}{end}", level.level, level.took)?;
        }
        for (name, end) in &self.failed {
            write!(f, "\n  driver {name} {end}")?;
        }
        for name in &self.abandoned {
            write!(f, "\n  driver {name} abandoned")?;
        }
        if self.requests_abandoned > 0 {
            let (requests, connections) = (self.requests_abandoned, self.connections_cut);
            write!(f, "\n  {requests} requests abandoned on {connections} connections")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(cause: Cause) -> ShutdownReport {
        ShutdownReport::new(cause)
    }

    #[test]
    fn the_worst_that_happened_decides_the_outcome() {
        let mut report = report(Cause::Signal(Signal::Terminate));
        assert_eq!(report.outcome(), Outcome::Complete);
        report.requests_abandoned = 1;
        assert_eq!(report.outcome(), Outcome::Abandoned);
        report.failed.push(("outbox".to_owned(), DriverEnd::Finished));
        assert_eq!(report.outcome(), Outcome::Failed);
        let (level, took) = (Level::Requests, Duration::ZERO);
        report.levels.push(LevelReport { level, took, end: LevelEnd::Forced });
        assert_eq!(report.outcome(), Outcome::Forced);
    }

    #[test]
    fn a_driver_that_ends_the_process_is_a_failure() {
        let cause = Cause::Driver { name: "consumer".to_owned(), end: DriverEnd::Finished };
        assert_eq!(report(cause).outcome(), Outcome::Failed);
    }

    #[test]
    fn the_report_reads_as_text() {
        let mut report = report(Cause::Signal(Signal::Terminate));
        let took = Duration::from_millis(1_500);
        report.levels = vec![
            LevelReport { level: Level::Readiness, took, end: LevelEnd::Finished },
            LevelReport { level: Level::Requests, took, end: LevelEnd::DeadlinePassed },
        ];
        report.abandoned.push("outbox".to_owned());
        (report.requests_abandoned, report.connections_cut) = (3, 2);
        assert_eq!(
            report.to_string(),
            "shutdown incomplete in 3.0s (SIGTERM)\n  \
             readiness 1.5s\n  \
             requests  1.5s, its time was over\n  \
             driver outbox abandoned\n  \
             3 requests abandoned on 2 connections"
        );
    }
}
