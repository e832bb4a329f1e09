use std::time::Duration;

use bluegreen_core::{Figures, Observation, Reading};
use serde::{Deserialize, Serialize};

/// The sum of what was seen of one color over a window, and how much of it was not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tally {
    /// Requests answered.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// The time all requests took together, in microseconds.
    pub latency_us: u64,
    /// The periods with figures.
    pub counted: u32,
    /// The periods in which this color had no requests.
    pub quiet: u32,
    /// The periods that neither color has reported.
    pub late: u32,
    /// The periods that only this color has not reported.
    pub absent: u32,
}

impl Tally {
    /// The sum of observations.
    #[must_use]
    pub fn of(observations: &[Observation]) -> Self {
        let mut tally = Self::default();
        for observation in observations {
            match &observation.reading {
                Reading::Counted(figures) => tally.count(figures),
                Reading::NoTraffic => tally.quiet += 1,
                Reading::Late => tally.late += 1,
                Reading::Absent => tally.absent += 1,
            }
        }
        tally
    }

    fn count(&mut self, figures: &Figures) {
        let latency = u64::try_from(figures.latency.as_micros()).unwrap_or(u64::MAX);
        self.requests = self.requests.saturating_add(figures.requests);
        self.errors = self.errors.saturating_add(figures.errors);
        self.latency_us = self.latency_us.saturating_add(latency);
        self.counted += 1;
    }

    /// The sum of two windows.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            errors: self.errors.saturating_add(other.errors),
            latency_us: self.latency_us.saturating_add(other.latency_us),
            counted: self.counted.saturating_add(other.counted),
            quiet: self.quiet.saturating_add(other.quiet),
            late: self.late.saturating_add(other.late),
            absent: self.absent.saturating_add(other.absent),
        }
    }

    /// Failed requests of all, 0 to 1; nothing where there were no requests.
    #[must_use]
    pub fn error_rate(&self) -> Option<f64> {
        self.figures().error_rate()
    }

    /// The mean time of a request; nothing where there were no requests.
    #[must_use]
    pub fn mean_latency(&self) -> Option<Duration> {
        self.figures().mean_latency()
    }

    fn figures(&self) -> Figures {
        Figures::new(self.requests, self.errors, Duration::from_micros(self.latency_us))
    }

    /// The periods that are not known.
    pub(crate) const fn missing(&self) -> u32 {
        self.late.saturating_add(self.absent)
    }

    pub(crate) const fn periods(&self) -> u32 {
        self.counted.saturating_add(self.quiet).saturating_add(self.missing())
    }
}
