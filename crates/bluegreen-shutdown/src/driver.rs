use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;

use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::Instant;

use crate::line::InLine;
use crate::server::Roster;
use crate::{Level, ServerReport};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How a driver ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DriverEnd {
    /// It returned without an error.
    Finished,
    /// It returned this error.
    Failed(String),
    /// It panicked with this message.
    Panicked(String),
}

impl fmt::Display for DriverEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Failed(error) => write!(f, "failed: {}", InLine(error)),
            Self::Panicked(message) => write!(f, "panicked: {}", InLine(message)),
        }
    }
}

/// The end of a driver by name, where finishing was too early.
pub(crate) struct Wrongly<'a>(pub(crate) &'a str, pub(crate) &'a DriverEnd);

impl fmt::Display for Wrongly<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name, end) = self;
        match end {
            DriverEnd::Finished => write!(f, "driver {} ended early", InLine(name)),
            end => write!(f, "driver {} {end}", InLine(name)),
        }
    }
}

/// Whether the process can go on without a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Essential,
    Optional,
}

/// What a driver leaves behind when it returns.
#[derive(Debug)]
pub(crate) struct Done {
    /// Its report as text, for the log.
    pub(crate) report: String,
    /// What a server gave up.
    pub(crate) server: Option<ServerReport>,
}

/// A driver as it is known from its birth to its end.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) name: String,
    pub(crate) level: Level,
    pub(crate) policy: Policy,
    /// When it was asked to end.
    pub(crate) asked: Option<Instant>,
    /// A server's open connections, to tell what is lost if it is abandoned.
    pub(crate) roster: Option<Roster>,
}

impl Driver {
    pub(crate) const fn new(level: Level, name: String, policy: Policy) -> Self {
        Self { name, level, policy, asked: None, roster: None }
    }
}

/// A driver that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) driver: Driver,
    pub(crate) end: DriverEnd,
    pub(crate) server: Option<ServerReport>,
}

/// The running drivers. Dropping it ends them at once.
#[derive(Debug, Default)]
pub(crate) struct Drivers {
    tasks: JoinSet<Result<Done, String>>,
    running: HashMap<Id, (Driver, AbortHandle)>,
}

impl Drivers {
    pub(crate) fn spawn(
        &mut self,
        driver: Driver,
        run: impl Future<Output = Result<Done, String>> + Send + 'static,
    ) -> Id {
        let abort = self.tasks.spawn(run);
        let id = abort.id();
        self.running.insert(id, (driver, abort));
        id
    }

    pub(crate) fn any_at(&self, level: Level) -> bool {
        self.running.values().any(|(driver, _)| driver.level == level)
    }

    pub(crate) fn is_running(&self, id: Id) -> bool {
        self.running.contains_key(&id)
    }

    /// Writes down that the drivers of a level are asked to end.
    pub(crate) fn asked(&mut self, level: Level, now: Instant) {
        let drivers = self.running.values_mut().map(|(driver, _)| driver);
        for driver in drivers.filter(|driver| driver.level == level) {
            // Consumers are asked once more when their level comes; the first time counts.
            driver.asked.get_or_insert(now);
        }
    }

    /// Writes down that it is a driver's turn to end.
    pub(crate) fn turn_of(&mut self, id: Id, now: Instant) {
        if let Some((driver, _)) = self.running.get_mut(&id) {
            driver.asked = Some(now);
        }
    }

    /// The next driver that ends; waits for ever when none is running. Cancel safe.
    pub(crate) async fn next_end(&mut self) -> Ended {
        while let Some(joined) = self.tasks.join_next_with_id().await {
            let (id, end, server) = match joined {
                Ok((id, Ok(done))) => {
                    tracing::debug!(report = done.report, "a driver's report");
                    (id, DriverEnd::Finished, done.server)
                }
                Ok((id, Err(error))) => (id, DriverEnd::Failed(error), None),
                Err(error) => {
                    let id = error.id();
                    let text = error.try_into_panic().map_or_else(
                        |_| "it was aborted".to_owned(),
                        |payload| message(payload.as_ref()),
                    );
                    (id, DriverEnd::Panicked(text), None)
                }
            };
            // Abandoned ones were named when they were abandoned.
            if let Some((driver, _)) = self.running.remove(&id) {
                return Ended { driver, end, server };
            }
        }
        std::future::pending().await
    }

    /// Ends, the hard way, the drivers that fit; answers what they were, by name.
    pub(crate) fn abandon(&mut self, fits: impl Fn(Id, &Driver) -> bool) -> Vec<Abandoned> {
        let now = Instant::now();
        let mut abandoned: Vec<_> = self
            .running
            .extract_if(|id, (driver, _)| fits(*id, driver))
            .map(|(_, (driver, abort))| {
                // Looked at before the abort, which takes the connections along.
                let server = driver.roster.map(|roster| roster.lost(now));
                abort.abort();
                Abandoned { name: driver.name, server }
            })
            .collect();
        abandoned.sort_by(|one, other| one.name.cmp(&other.name));
        abandoned
    }
}

/// A driver that was cut off.
#[derive(Debug)]
pub(crate) struct Abandoned {
    pub(crate) name: String,
    /// What a server leaves undone.
    pub(crate) server: Option<ServerReport>,
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What a panic said.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}
