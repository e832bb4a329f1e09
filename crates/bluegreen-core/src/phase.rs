use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Color, Share};

/// Which color serves, and how much of it.
///
/// Read it through [`weight`](Self::weight), [`role`](Self::role) and
/// [`may_return`](Self::may_return); code that matches on the variants instead will be wrong the
/// day a variant is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Phase {
    /// One color serves, and the decision is final: the other may be taken away.
    Only(Color),
    /// Work moves to a color, in either direction. At share 0 the target is deployed and serves
    /// nothing; at the full share it serves everything and the other can still be asked back.
    Shift {
        /// The color that work moves to.
        to: Color,
        /// What the target gets.
        share: Share,
    },
}

/// What a color is to the deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "every reader must decide for every role")]
pub enum Role {
    /// The color that served before this shift, or the only one.
    Stable,
    /// The color that a shift moves work to.
    Candidate,
    /// The color that has no part in the deployment.
    Idle,
}

impl Phase {
    /// The part of the work that `color` gets.
    #[must_use]
    pub fn weight(self, color: Color) -> Share {
        match self {
            Self::Only(only) if only == color => Share::FULL,
            Self::Only(_) => Share::ZERO,
            Self::Shift { to, share } if to == color => share,
            Self::Shift { share, .. } => share.rest(),
        }
    }

    /// What `color` is to the deployment.
    #[must_use]
    pub fn role(self, color: Color) -> Role {
        match self {
            Self::Only(only) if only == color => Role::Stable,
            Self::Only(_) => Role::Idle,
            Self::Shift { to, .. } if to == color => Role::Candidate,
            Self::Shift { .. } => Role::Stable,
        }
    }

    /// Whether `color` serves, or may be asked to without being deployed again. Until this is
    /// false nothing may be done that its release does not understand.
    #[must_use]
    pub fn may_return(self, color: Color) -> bool {
        self.role(color) != Role::Idle
    }

    /// The color to keep when in doubt: the only one, or the one a shift comes from.
    #[must_use]
    pub fn stable(self) -> Color {
        match self {
            Self::Only(color) => color,
            Self::Shift { to, .. } => to.other(),
        }
    }

    /// The color that work moves to, while it moves.
    #[must_use]
    pub fn candidate(self) -> Option<Color> {
        match self {
            Self::Only(_) => None,
            Self::Shift { to, .. } => Some(to),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only(color) => write!(f, "only {color}"),
            Self::Shift { to, share } => write!(f, "shift to {to} at {share}"),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stable => "stable",
            Self::Candidate => "candidate",
            Self::Idle => "idle",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Color::{Blue, Green};

    #[test]
    fn every_phase_answers_for_both_colors() {
        let tenth = Share::percent(10).unwrap();
        let ninety = Share::percent(90).unwrap();
        let full = Share::FULL;
        let zero = Share::ZERO;
        // phase, (weight, role, may return) of blue, the same of green
        let table = [
            (Phase::Only(Blue), (full, Role::Stable, true), (zero, Role::Idle, false)),
            (Phase::Only(Green), (zero, Role::Idle, false), (full, Role::Stable, true)),
            (
                Phase::Shift { to: Green, share: zero },
                (full, Role::Stable, true),
                (zero, Role::Candidate, true),
            ),
            (
                Phase::Shift { to: Green, share: tenth },
                (ninety, Role::Stable, true),
                (tenth, Role::Candidate, true),
            ),
            (
                Phase::Shift { to: Blue, share: full },
                (full, Role::Candidate, true),
                (zero, Role::Stable, true),
            ),
        ];
        for (phase, blue, green) in table {
            for (color, expected) in [(Blue, blue), (Green, green)] {
                let found = (phase.weight(color), phase.role(color), phase.may_return(color));
                assert_eq!(found, expected, "{phase}, {color}");
            }
        }
    }

    #[test]
    fn a_phase_is_written_as_people_read_it() {
        let shift = Phase::Shift { to: Green, share: Share::percent(25).unwrap() };
        let json = serde_json::to_string(&shift).unwrap();
        assert_eq!(json, r#"{"shift":{"to":"green","share":250}}"#);
        assert_eq!(serde_json::from_str::<Phase>(&json).unwrap(), shift);
        assert!(serde_json::from_str::<Phase>(r#"{"pause":{"to":"green"}}"#).is_err());
    }
}
