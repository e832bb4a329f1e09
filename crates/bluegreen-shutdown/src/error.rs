use std::io;
use std::time::Duration;

use crate::Level;

/// A lifecycle cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleError {
    /// A level has no time at all.
    #[error("{level} of 0s does not fit: it must be above zero")]
    NoBudget {
        /// The level.
        level: Level,
    },
    /// There is no tokio runtime here, so that signals cannot be heard.
    #[error("a lifecycle needs a tokio runtime around it")]
    NoRuntime,
    /// The system refused to listen for a signal.
    #[error("the process cannot listen for signals")]
    Signals(#[source] io::Error),
}

/// A field of a [`ServerConfig`](crate::ServerConfig) does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} of {value:?} does not fit: it must be {bound}")]
pub struct ServerError {
    pub(crate) field: &'static str,
    pub(crate) value: Duration,
    pub(crate) bound: &'static str,
}
