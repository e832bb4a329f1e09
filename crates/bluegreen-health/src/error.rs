use std::time::Duration;

/// A health cannot be built as described.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HealthError {
    /// A length of time does not fit.
    #[error("{field} of {value:?} does not fit: it must be {bound}")]
    Duration {
        /// The field's name.
        field: &'static str,
        /// What was found.
        value: Duration,
        /// What is allowed.
        bound: &'static str,
    },
    /// A length of time that a probe has for itself does not fit.
    #[error("the {field} of probe {probe:?}, {value:?}, must be above zero, at most a day")]
    Probe {
        /// The probe's name.
        probe: String,
        /// What does not fit.
        field: &'static str,
        /// What was found.
        value: Duration,
    },
    /// A probe's name is none, or is given twice.
    #[error(
        "the probe name {found:?} does not fit: it must not be empty, hold no colon and no control \
         character, and be given once"
    )]
    Name {
        /// The name that was found.
        found: String,
    },
    /// A group has a tag that no probe has, or none at all.
    #[error("the group {group:?} is of no probe by {tags:?}")]
    Group {
        /// The group's name.
        group: String,
        /// Its tags that no probe has.
        tags: Vec<String>,
    },
    /// A path is none, or is given twice, perhaps by the name of a group.
    #[error(
        "the path {found:?} does not fit: it must begin with a slash and not end with one, \
         hold no two in a row and visible ASCII other than ? and #, and be given once"
    )]
    Path {
        /// The path that was found.
        found: String,
    },
}
