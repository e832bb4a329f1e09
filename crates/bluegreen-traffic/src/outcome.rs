use std::fmt;

use bluegreen_core::{Revision, Share};

use crate::event::Frost;
use crate::{DecisionRecord, Verdict};

/// How a shift ended. The decision record says by which figures.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The target serves alone.
    Promoted {
        /// What was decided.
        record: DecisionRecord,
    },
    /// The stable color serves alone again.
    RolledBack {
        /// Why.
        cause: Cause,
        /// What was decided.
        record: DecisionRecord,
    },
    /// It was frozen for too long: both colors keep what they have, and a person decides. The same
    /// call goes on with it.
    Frozen {
        /// Why.
        why: Frost,
        /// What the candidate keeps.
        share: Share,
        /// What was decided.
        record: DecisionRecord,
    },
    /// It was told to stop: both colors keep what they have. The same call goes on with it.
    Stopped {
        /// What the candidate keeps.
        share: Share,
        /// What was decided.
        record: DecisionRecord,
    },
}

/// Why a shift is rolled back.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// The candidate's figures.
    Unhealthy(Verdict),
    /// The candidate was not healthy before its first share.
    NotHealthy(String),
    /// Living processes did not follow this revision.
    NotFollowed(Revision),
    /// The balancer did not take the weights.
    Weights(String),
    /// The shift was frozen for too long.
    Frozen(Frost),
    /// It was asked for.
    Asked,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unhealthy(verdict) => verdict.fmt(f),
            Self::NotHealthy(reason) => write!(f, "the candidate was not healthy: {reason}"),
            Self::NotFollowed(revision) => {
                write!(f, "living processes did not follow revision {revision}")
            }
            Self::Weights(error) => write!(f, "the weights could not be written: {error}"),
            Self::Frozen(why) => write!(f, "frozen for too long: {why}"),
            Self::Asked => write!(f, "asked for"),
        }
    }
}

impl Outcome {
    /// What was decided, and by which figures.
    #[must_use]
    pub const fn record(&self) -> &DecisionRecord {
        match self {
            Self::Promoted { record }
            | Self::RolledBack { record, .. }
            | Self::Frozen { record, .. }
            | Self::Stopped { record, .. } => record,
        }
    }
}
