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
    /// A probe's time-out does not fit.
    #[error("the time-out of probe {probe:?}, {value:?}, must be above zero, below a day")]
    Timeout {
        /// The probe's name.
        probe: String,
        /// What was found.
        value: Duration,
    },
    /// A probe's name is empty or taken.
    #[error("the probe name {found:?} is empty or taken")]
    Name {
        /// The name that was found.
        found: String,
    },
    /// A path is none, or is given twice.
    #[error("the path {found:?} does not fit: it must begin with a slash and be given once")]
    Path {
        /// The path that was found.
        found: String,
    },
}
