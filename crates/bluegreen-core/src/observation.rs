use std::time::{Duration, SystemTime};

use crate::{Color, Latencies};

/// What was seen of one color in one aligned stretch of time.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Observation {
    /// The color that was looked at.
    pub color: Color,
    /// The start of the stretch, a multiple of its length since 1970.
    pub start: SystemTime,
    /// The length of the stretch: a minute, or a second where metrics are that fine.
    pub length: Duration,
    /// What the metrics say.
    pub reading: Reading,
    /// How long the requests took, where the reader counts them by bounds.
    pub latencies: Option<Latencies>,
}

/// What the metrics of a stretch say. Nothing seen is never the same as nothing wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a judge must decide for every kind of reading")]
pub enum Reading {
    /// There were requests, and these are their figures; zero errors are a fact here.
    Counted(Figures),
    /// The pipeline works and this color had no requests.
    NoTraffic,
    /// This color has not reported this stretch, or not all of it, and it may still come.
    Late,
    /// This color has not reported this stretch, or not all of it, though it should long have.
    Absent,
}

/// Figures that add up over stretches of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Figures {
    /// Requests answered.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Those of them that took longer than the reader's bound, where it counts them.
    pub slow: Option<u64>,
    /// The time all requests took together.
    pub latency: Duration,
}

impl Observation {
    /// An observation.
    #[must_use]
    pub const fn new(color: Color, start: SystemTime, length: Duration, reading: Reading) -> Self {
        Self { color, start, length, reading, latencies: None }
    }

    /// The same with how long the requests took.
    #[must_use]
    pub fn with_latencies(mut self, latencies: Latencies) -> Self {
        self.latencies = Some(latencies);
        self
    }

    /// The figures, where there are any.
    #[must_use]
    pub const fn figures(&self) -> Option<&Figures> {
        match &self.reading {
            Reading::Counted(figures) => Some(figures),
            Reading::NoTraffic | Reading::Late | Reading::Absent => None,
        }
    }
}

impl Figures {
    /// Figures without a count of slow requests.
    #[must_use]
    pub const fn new(requests: u64, errors: u64, latency: Duration) -> Self {
        Self { requests, errors, slow: None, latency }
    }

    /// The same with a count of slow requests.
    #[must_use]
    pub const fn with_slow(mut self, slow: u64) -> Self {
        self.slow = Some(slow);
        self
    }

    /// The sum of two stretches; the slow count stays only where both have one.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            errors: self.errors.saturating_add(other.errors),
            slow: self.slow.zip(other.slow).map(|(a, b)| a.saturating_add(b)),
            latency: self.latency.saturating_add(other.latency),
        }
    }

    /// Failed requests of all, 0 to 1; nothing where there were no requests.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate of counts far below 2^53")]
    pub fn error_rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }

    /// The mean time of a request; nothing where there were no requests.
    #[must_use]
    pub fn mean_latency(&self) -> Option<Duration> {
        let nanos = self.latency.as_nanos().checked_div(u128::from(self.requests))?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_requests_have_no_rate_and_no_mean() {
        assert_eq!(Figures::default().error_rate(), None);
        assert_eq!(Figures::default().mean_latency(), None);
    }

    #[test]
    fn figures_add_up() {
        let one = Figures::new(10, 1, Duration::from_millis(500)).with_slow(2);
        let sum = one.plus(Figures::new(30, 1, Duration::from_millis(1_500)).with_slow(1));
        assert_eq!(sum.error_rate(), Some(0.05));
        assert_eq!(sum.mean_latency(), Some(Duration::from_millis(50)));
        assert_eq!(sum.slow, Some(3));
        assert_eq!(sum.plus(Figures::new(1, 0, Duration::ZERO)).slow, None);
    }
}
