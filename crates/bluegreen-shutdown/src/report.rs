use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use crate::abandoned::keep_oldest;
use crate::driver::Wrongly;
use crate::line::InLine;
use crate::{AbandonedRequest, DriverEnd, Level, ServerReport, Signal};

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
            Self::Driver { name, end } => Wrongly(name, end).fmt(f),
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

/// A driver or hook that ended as it was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FinishedDriver {
    /// Its name.
    pub name: String,
    /// Its level.
    pub level: Level,
    /// How long it took from being asked: consumers at the signal, producers and hooks at their
    /// turn, all others when their level began.
    pub took: Duration,
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
    /// Drivers and hooks that ended as they were asked to, in that order.
    pub finished: Vec<FinishedDriver>,
    /// Drivers and hooks that failed, panicked or ended early, by name; the one that ended the
    /// process is among them.
    pub failed: Vec<(String, DriverEnd)>,
    /// Drivers and hooks that were cut off, and hooks that were not begun any more, by name.
    pub abandoned: Vec<String>,
    /// Requests whose client did not get the whole answer.
    pub requests_abandoned: u64,
    /// Connections that were cut while a request was under way.
    pub connections_cut: u64,
    /// Connections that a handler had taken over by an upgrade (websockets) and that were cut.
    pub upgrades_cut: u64,
    /// The oldest of these requests and upgrades by name, at most 20.
    pub abandoned_requests: Vec<AbandonedRequest>,
}

impl ShutdownReport {
    pub(crate) const fn new(cause: Cause) -> Self {
        Self {
            cause,
            levels: Vec::new(),
            finished: Vec::new(),
            failed: Vec::new(),
            abandoned: Vec::new(),
            requests_abandoned: 0,
            connections_cut: 0,
            upgrades_cut: 0,
            abandoned_requests: Vec::new(),
        }
    }

    /// Adds what a server has cut.
    pub(crate) fn add_cut_by(&mut self, server: Option<ServerReport>) {
        let Some(mut server) = server else { return };
        self.requests_abandoned += server.requests_abandoned;
        self.connections_cut += server.connections_cut;
        self.upgrades_cut += server.upgrades_cut;
        self.abandoned_requests.append(&mut server.abandoned);
        keep_oldest(&mut self.abandoned_requests);
    }

    fn anything_cut(&self) -> bool {
        !self.abandoned.is_empty() || self.requests_abandoned + self.upgrades_cut > 0
    }

    /// How it went, the worst first.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.levels.iter().any(|level| level.end == LevelEnd::Forced) {
            Outcome::Forced
        } else if !self.failed.is_empty() || matches!(self.cause, Cause::Driver { .. }) {
            Outcome::Failed
        } else if self.anything_cut() {
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
    /// thread: returning from `main` would, as a tokio runtime waits for `spawn_blocking`. No
    /// destructor runs, so a log writer that buffers is to be flushed before.
    pub fn exit(&self) -> ! {
        tracing::info!(report = %self, "exiting");
        std::process::exit(self.outcome().code().into())
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.outcome() {
            Outcome::Complete => "complete",
            Outcome::Failed if self.anything_cut() => "incomplete, and after a failure",
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
        for FinishedDriver { name, took, .. } in &self.finished {
            write!(f, "\n  driver {} finished in {took:.1?}", InLine(name))?;
        }
        for (name, end) in &self.failed {
            write!(f, "\n  {}", Wrongly(name, end))?;
        }
        for name in &self.abandoned {
            write!(f, "\n  driver {} abandoned", InLine(name))?;
        }
        self.write_cut(f)
    }
}

impl ShutdownReport {
    fn write_cut(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (requests, upgrades) = (self.requests_abandoned, self.upgrades_cut);
        if requests > 0 {
            let connections = number(self.connections_cut, "connection");
            write!(f, "\n  {} abandoned on {connections}", number(requests, "request"))?;
        }
        if upgrades > 0 {
            write!(f, "\n  {} cut", number(upgrades, "upgraded connection"))?;
        }
        for request in &self.abandoned_requests {
            write!(f, "\n    {request}")?;
        }
        let named = u64::try_from(self.abandoned_requests.len()).unwrap_or(u64::MAX);
        match (requests + upgrades).saturating_sub(named) {
            0 => Ok(()),
            more => write!(f, "\n    and {more} more"),
        }
    }
}

fn number(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
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
        (report.requests_abandoned, report.upgrades_cut) = (0, 1);
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
        let (name, level) = ("orders".to_owned(), Level::Consumers);
        report.finished.push(FinishedDriver { name, level, took });
        report.abandoned.push("outbox".to_owned());
        report.add_cut_by(Some(cut(3, 2)));
        assert_eq!(
            report.to_string(),
            "shutdown incomplete in 3.0s (SIGTERM)\n  \
             readiness 1.5s\n  \
             requests  1.5s, its time was over\n  \
             driver orders finished in 1.5s\n  \
             driver outbox abandoned\n  \
             3 requests abandoned on 3 connections\n  \
             2 upgraded connections cut\n    \
             upgraded connection GET /4 cut after 4.0s\n    \
             upgraded connection GET /3 cut after 3.0s\n    \
             request GET /2 cut after 2.0s\n    \
             request GET /1 cut after 1.0s\n    \
             request GET /0 cut after 0.0ns"
        );
    }

    #[test]
    fn what_was_abandoned_is_never_called_complete() {
        let mut report = report(Cause::Requested);
        report.failed.push(("audit".to_owned(), DriverEnd::Failed("disk full".to_owned())));
        assert!(report.to_string().starts_with("shutdown complete after a failure in"), "{report}");
        report.abandoned.push("outbox".to_owned());
        assert_eq!(report.outcome(), Outcome::Failed);
        let text = report.to_string();
        assert!(text.starts_with("shutdown incomplete, and after a failure in"), "{text}");
    }

    #[test]
    fn names_and_errors_forge_no_lines() {
        let name = "audit\n  driver orders".to_owned();
        let end = DriverEnd::Failed("gone\r\n\u{2028}\u{1b}[2K".to_owned());
        let mut report = report(Cause::Driver { name: name.clone(), end: end.clone() });
        report.failed.push((name.clone(), end));
        report.abandoned.push(name.clone());
        let (level, took) = (Level::Consumers, Duration::ZERO);
        report.finished.push(FinishedDriver { name, level, took });
        let text = report.to_string();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(!text.contains(['\r', '\u{2028}', '\u{1b}']), "{text}");
        let failed = r"driver audit\n  driver orders failed: gone\r\n\u{2028}\u{1b}[2K";
        assert!(text.contains(failed), "{text}");
    }

    #[test]
    fn of_many_abandoned_requests_the_oldest_are_named_and_the_rest_counted() {
        let mut report = report(Cause::Signal(Signal::Terminate));
        report.add_cut_by(Some(cut(15, 0)));
        report.add_cut_by(Some(cut(15, 1)));
        let text = report.to_string();
        assert_eq!(text.matches(" cut after ").count(), 20);
        assert!(text.contains("30 requests abandoned on 30 connections"), "{text}");
        assert!(text.contains("GET /15") && !text.contains("GET /0 "), "{text}");
        assert!(text.ends_with("and 11 more"), "{text}");
    }

    /// What a server cut: the oldest are the upgrades, and each is called by its age.
    fn cut(requests: u64, upgrades: u64) -> ServerReport {
        let named = (0..requests + upgrades).map(|age| {
            let path = format!("/{age}").parse().unwrap();
            let upgraded = age >= requests;
            AbandonedRequest::new(
                http::Method::GET,
                Some(&path),
                Duration::from_secs(age),
                upgraded,
            )
        });
        ServerReport {
            requests_abandoned: requests,
            connections_cut: requests,
            upgrades_cut: upgrades,
            abandoned: named.collect(),
            ..ServerReport::default()
        }
    }
}
