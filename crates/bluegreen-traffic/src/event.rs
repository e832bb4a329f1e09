use std::fmt;

use bluegreen_core::{ByColor, Color, Release, Revision, Share};

use crate::{Cause, Missing, Verdict, Window};

/// Something that happens in a shift, as it happens.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The shift begins, or goes on after a crash or a stop.
    Began {
        /// The color that work moves to.
        to: Color,
        /// The release there.
        release: Release,
        /// What it has already.
        share: Share,
    },
    /// The candidate was asked whether it is healthy, and is not yet.
    NotHealthy {
        /// What is wrong.
        reason: String,
    },
    /// Every living process follows this revision.
    Followed {
        /// The revision.
        revision: Revision,
        /// How many follow it.
        followed: usize,
        /// The processes that ended before they did.
        expired: Vec<String>,
    },
    /// Processes do not follow this revision although they live.
    NotFollowed {
        /// The revision.
        revision: Revision,
    },
    /// The candidate has this share now, by the store and by the balancer.
    Shifted {
        /// The share.
        share: Share,
    },
    /// The figures were judged.
    Looked {
        /// The candidate's share.
        share: Share,
        /// The time that the figures are of.
        window: Window,
        /// What they say.
        verdict: Verdict,
    },
    /// The balancer has other weights than were written: somebody else writes them too.
    Drift {
        /// What was written.
        wanted: ByColor<Share>,
        /// What is there.
        found: ByColor<Share>,
    },
    /// Writing or reading the weights failed; it is tried again.
    WeightsFailed {
        /// What went wrong, with its causes.
        error: String,
    },
    /// The store cannot be reached; it is tried again.
    StoreFailed {
        /// What went wrong, with its causes.
        error: String,
    },
    /// The share is held, as it cannot be told whether the candidate is good, or not be changed.
    Frozen {
        /// The share that is held.
        share: Share,
        /// Why.
        why: Frost,
    },
    /// What it was frozen for is over, and the shift goes on.
    Thawed {
        /// The share it goes on with.
        share: Share,
    },
    /// The stable color is asked back.
    RollingBack {
        /// Why.
        cause: Cause,
    },
    /// The shift is over: the target serves alone.
    Promoted {
        /// The target.
        color: Color,
    },
    /// The rollback is over: the stable color serves alone.
    RolledBack {
        /// The stable color.
        color: Color,
    },
}

/// Why a shift is frozen.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Frost {
    /// Both colors are bad, so the candidate is not blamed.
    BothUnhealthy,
    /// There is no evidence.
    NoEvidence(Missing),
    /// The store does not take the next step, so the candidate is watched at the share it has.
    Store,
}

impl fmt::Display for Frost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BothUnhealthy => f.write_str("both colors are unhealthy"),
            Self::NoEvidence(missing) => missing.fmt(f),
            Self::Store => f.write_str("the store does not take the next step"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Began { to, release, share } => {
                write!(f, "shift to release {release} on {to}, at {share}")
            }
            Self::NotHealthy { reason } => write!(f, "the candidate is not healthy yet: {reason}"),
            Self::Followed { revision, followed, expired } => {
                let expired = expired.len();
                write!(f, "revision {revision} is followed by {followed}, {expired} expired")
            }
            Self::NotFollowed { revision } => write!(f, "revision {revision} is not followed"),
            Self::Shifted { share } => write!(f, "the candidate has {share}"),
            Self::Looked { share, verdict, .. } => write!(f, "at {share}: {verdict}"),
            Self::Drift { wanted, found } => write!(
                f,
                "drift: the balancer has blue {} green {}, written was blue {} green {}",
                found.blue, found.green, wanted.blue, wanted.green
            ),
            Self::WeightsFailed { error } => write!(f, "weights: {error}"),
            Self::StoreFailed { error } => write!(f, "store: {error}"),
            Self::Frozen { share, why } => write!(f, "frozen at {share}: {why}"),
            Self::Thawed { share } => write!(f, "going on at {share}"),
            Self::RollingBack { cause } => write!(f, "rolling back: {cause}"),
            Self::Promoted { color } => write!(f, "promoted: {color} serves alone"),
            Self::RolledBack { color } => write!(f, "rolled back: {color} serves alone"),
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
