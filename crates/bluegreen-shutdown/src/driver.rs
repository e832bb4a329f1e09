use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;

use tokio::task::{AbortHandle, Id, JoinSet};

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
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
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

/// A driver that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) level: Level,
    pub(crate) policy: Policy,
    pub(crate) end: DriverEnd,
    pub(crate) server: Option<ServerReport>,
}

#[derive(Debug)]
struct Driver {
    name: String,
    level: Level,
    policy: Policy,
    abort: AbortHandle,
}

/// The running drivers. Dropping it ends them at once.
#[derive(Debug, Default)]
pub(crate) struct Drivers {
    tasks: JoinSet<Result<Done, BoxError>>,
    running: HashMap<Id, Driver>,
}

impl Drivers {
    pub(crate) fn spawn(
        &mut self,
        level: Level,
        name: String,
        policy: Policy,
        driver: impl Future<Output = Result<Done, BoxError>> + Send + 'static,
    ) {
        let abort = self.tasks.spawn(driver);
        self.running.insert(abort.id(), Driver { name, level, policy, abort });
    }

    pub(crate) fn any_at(&self, level: Level) -> bool {
        self.running.values().any(|driver| driver.level == level)
    }

    /// The next driver that ends; waits for ever when none is running. Cancel safe.
    pub(crate) async fn next_end(&mut self) -> Ended {
        while let Some(joined) = self.tasks.join_next_with_id().await {
            let (id, end, server) = match joined {
                Ok((id, Ok(done))) => {
                    tracing::debug!(report = done.report, "a driver's report");
                    (id, DriverEnd::Finished, done.server)
                }
                Ok((id, Err(error))) => (id, DriverEnd::Failed(chain(error.as_ref())), None),
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
            if let Some(Driver { name, level, policy, .. }) = self.running.remove(&id) {
                return Ended { name, level, policy, end, server };
            }
        }
        std::future::pending().await
    }

    /// Ends, the hard way, what still runs at a level (or at all); answers the names.
    pub(crate) fn abandon(&mut self, level: Option<Level>) -> Vec<String> {
        let caught = |driver: &Driver| level.is_none_or(|level| driver.level == level);
        let ids: Vec<_> =
            self.running.iter().filter(|(_, driver)| caught(driver)).map(|(id, _)| *id).collect();
        let mut names: Vec<_> = ids
            .into_iter()
            .filter_map(|id| self.running.remove(&id))
            .map(|driver| {
                driver.abort.abort();
                driver.name
            })
            .collect();
        names.sort();
        names
    }
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
