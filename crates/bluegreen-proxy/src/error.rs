use std::fmt;
use std::net::SocketAddr;

use bluegreen_core::{Color, Share};

/// A proxy could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// A field of the configuration cannot be used.
    #[error("{field} is {found}: allowed is {allowed}")]
    Config {
        /// The field.
        field: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        allowed: &'static str,
    },
}

impl ProxyError {
    pub(crate) fn config(field: &'static str, found: &str, allowed: &'static str) -> Self {
        Self::Config { field, found: found.to_owned(), allowed }
    }
}

/// A color cannot drain: it serves, or was asked to serve again while it drained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{color} does not drain: it gets {share} of the requests")]
pub struct DrainError {
    pub(crate) color: Color,
    pub(crate) share: Share,
}

impl DrainError {
    /// The color that was to drain.
    #[must_use]
    pub const fn color(&self) -> Color {
        self.color
    }
}

/// A color is not healthy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// It has no targets at all.
    #[error("{color} has no targets")]
    NoTargets {
        /// The color.
        color: Color,
    },
    /// Targets of it failed their check.
    #[error("{} of {checked} targets of {color} failed the check: {}", failed.len(), Listed(failed))]
    Failed {
        /// The color.
        color: Color,
        /// How many targets it has.
        checked: usize,
        /// Those that failed, and how.
        failed: Vec<(SocketAddr, CheckFailure)>,
    },
}

/// How a target failed a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckFailure {
    /// It took no connection, or closed it without an answer.
    #[error("unreachable")]
    Unreachable,
    /// It did not answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// It answered with this status.
    #[error("status {0}")]
    Status(u16),
    /// It passed this check and still has to pass more of them in a row to get requests.
    #[error("passed, but not often enough yet")]
    Rising,
}

struct Listed<'a>(&'a [(SocketAddr, CheckFailure)]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (address, failure)) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{address} {failure}")?;
        }
        Ok(())
    }
}
