use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Tally;

/// What the figures of a window say about the candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
#[expect(clippy::exhaustive_enums, reason = "a shift must act on every verdict")]
pub enum Verdict {
    /// It is as good as it has to be.
    Healthy {
        /// The figures.
        evidence: Evidence,
    },
    /// It is bad, and the stable color is not.
    Unhealthy {
        /// In what it is bad.
        breaches: Vec<Breach>,
        /// The figures.
        evidence: Evidence,
    },
    /// Both colors are bad: something that both depend on is, so the candidate is not blamed.
    BothUnhealthy {
        /// In what the candidate is bad.
        breaches: Vec<Breach>,
        /// The figures.
        evidence: Evidence,
    },
    /// It cannot be told. That is never a pass.
    NoEvidence {
        /// What is missing.
        why: Missing,
        /// The figures, as far as there are any.
        evidence: Evidence,
    },
}

/// The figures that a verdict rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evidence {
    /// What the stable color was compared by: its live figures, or those of the step before.
    pub stable: Tally,
    /// The candidate.
    pub candidate: Tally,
    /// Whether `stable` is from the step before, as the stable color has no requests any more.
    pub stable_is_earlier: bool,
}

/// Why there is no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Missing {
    /// Metrics of a color have not come, and may still.
    Late,
    /// Metrics of a color have not come, though they should have.
    Absent,
    /// The candidate has had no requests, or gets none any more.
    NoTraffic,
    /// The candidate has had too few requests to judge by.
    TooFew,
    /// The metrics could not be read.
    Unreadable,
    /// The balancer had other weights than were written, so what was seen is of no known share.
    Drift,
}

/// A limit that the candidate has broken, with the figures. Rates are parts of one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "breach")]
#[non_exhaustive]
pub enum Breach {
    /// Too many of its requests fail.
    ErrorRate {
        /// The rate found.
        found: f64,
        /// The highest rate allowed.
        limit: f64,
    },
    /// More of its requests fail than of the stable color's.
    ErrorRateOverStable {
        /// The rate found.
        found: f64,
        /// The stable color's rate.
        stable: f64,
        /// The highest difference allowed.
        limit: f64,
    },
    /// Its requests take too long, on average.
    Latency {
        /// The mean found, in milliseconds.
        found_ms: f64,
        /// The highest mean allowed, in milliseconds.
        limit_ms: f64,
    },
    /// Its requests take longer than the stable color's, on average.
    LatencyOverStable {
        /// The mean found, in milliseconds.
        found_ms: f64,
        /// The stable color's mean, in milliseconds.
        stable_ms: f64,
        /// The highest difference allowed, in milliseconds.
        limit_ms: f64,
    },
}

impl Verdict {
    /// The figures.
    #[must_use]
    pub const fn evidence(&self) -> &Evidence {
        match self {
            Self::Healthy { evidence }
            | Self::Unhealthy { evidence, .. }
            | Self::BothUnhealthy { evidence, .. }
            | Self::NoEvidence { evidence, .. } => evidence,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let evidence = self.evidence();
        match self {
            Self::Healthy { .. } => write!(f, "healthy")?,
            Self::Unhealthy { breaches, .. } => write!(f, "unhealthy: {}", List(breaches))?,
            Self::BothUnhealthy { breaches, .. } => {
                write!(f, "both colors unhealthy: {}", List(breaches))?;
            }
            Self::NoEvidence { why, .. } => write!(f, "no evidence: {why}")?,
        }
        let earlier = if evidence.stable_is_earlier { " before" } else { "" };
        write!(f, " (candidate {}, stable{earlier} {})", evidence.candidate, evidence.stable)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests, {} errors", self.requests, self.errors)?;
        match self.mean_latency() {
            Some(mean) => write!(f, ", mean {:.1} ms", mean.as_secs_f64() * 1e3),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Late => "metrics are late",
            Self::Absent => "metrics are absent",
            Self::NoTraffic => "the candidate gets no requests",
            Self::TooFew => "the candidate has had too few requests",
            Self::Unreadable => "the metrics cannot be read",
            Self::Drift => "somebody else keeps changing the weights",
        })
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ErrorRate { found, limit } => {
                write!(f, "{:.2} % errors, allowed are {:.2} %", found * 1e2, limit * 1e2)
            }
            Self::ErrorRateOverStable { found, stable, limit } => write!(
                f,
                "{:.2} % errors against {:.2} % of the stable color, allowed are {:.2} points more",
                found * 1e2,
                stable * 1e2,
                limit * 1e2
            ),
            Self::Latency { found_ms, limit_ms } => {
                write!(f, "{found_ms:.1} ms mean latency, allowed are {limit_ms:.1} ms")
            }
            Self::LatencyOverStable { found_ms, stable_ms, limit_ms } => write!(
                f,
                "{found_ms:.1} ms mean latency against {stable_ms:.1} ms of the stable color, \
                 allowed are {limit_ms:.1} ms more"
            ),
        }
    }
}

struct List<'a>(&'a [Breach]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, breach) in self.0.iter().enumerate() {
            write!(f, "{}{breach}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}
