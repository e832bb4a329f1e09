use bluegreen_core::{ByColor, Phase, Release, Share, StoreError, UpdateError};

use crate::SourceError;

/// A field of a plan, of thresholds or of a configuration does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {found}: it must be {bound}")]
pub struct ConfigError {
    pub(crate) field: &'static str,
    pub(crate) found: String,
    pub(crate) bound: &'static str,
}

/// A shift could not be brought to an outcome. The deployment record says how far it came; what it
/// says is safe to continue from, by the same call again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShiftError {
    /// Another shift is under way.
    #[error("cannot shift: the deployment is in phase \"{phase}\"")]
    Busy {
        /// The phase found.
        phase: Phase,
    },
    /// The target runs another release than the one to be shifted to.
    #[error("cannot shift to release {wanted}: the record says {}", found.as_ref().map_or("none", Release::as_str))]
    OtherRelease {
        /// The release that was asked for.
        wanted: Release,
        /// The release in the record.
        found: Option<Release>,
    },
    /// Somebody else changed the deployment, so this shift lets go of it as it is.
    #[error("somebody else took the deployment over: it is in phase \"{phase}\"")]
    Superseded {
        /// The phase found.
        phase: Phase,
    },
    /// The deployment could not be written or read. A candidate that had a share keeps it.
    #[error("the deployment could not be changed")]
    Store(#[source] UpdateError),
    /// A rollback was not finished in time. What could not be done is named; all else is done.
    /// [`Shift::revert`](crate::Shift::revert) finishes it: [`Shift::run`](crate::Shift::run) would
    /// begin anew with a shift that is at share 0.
    #[error("the rollback was not finished in time: {left}")]
    RollbackUnfinished {
        /// What is left to do, in words.
        left: &'static str,
        /// The last error met.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl ShiftError {
    /// Whether the same call, or for an unfinished rollback `revert`, may succeed later without
    /// anybody's doing.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Store(UpdateError::Store(error)) => error.is_retryable(),
            Self::Store(UpdateError::Contended { .. }) | Self::RollbackUnfinished { .. } => true,
            Self::Busy { .. }
            | Self::OtherRelease { .. }
            | Self::Superseded { .. }
            | Self::Store(_) => false,
        }
    }
}

impl From<StoreError> for ShiftError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

/// Why the balancer does not have the weights it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BalanceError {
    #[error("the weights could not be written or read back")]
    Source(#[source] SourceError),
    #[error("the weights read back as blue {}, green {}", found.blue, found.green)]
    Differs { found: ByColor<Share> },
    #[error("the weights were not written in time")]
    TimedOut,
}
