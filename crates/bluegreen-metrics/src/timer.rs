use std::time::Duration;

use tokio::time::Instant;

use crate::Distribution;

/// How long something takes, of which percentiles matter.
///
/// A [`Distribution`] in the metric's unit, and costs the same. Clones record into the same series.
///
/// ```
/// # async fn example(metrics: &bluegreen_metrics::Metrics) -> Result<(), bluegreen_metrics::MetricsError> {
/// use bluegreen_metrics::TimeUnit;
///
/// let queries = metrics.timer("QueryTime", TimeUnit::Milliseconds)?;
/// let running = queries.start();
/// // … the query …
/// running.stop();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a timer is empty until something is timed"]
pub struct Timer {
    values: Distribution,
    unit: TimeUnit,
}

/// The units of time that CloudWatch knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Thousandths of a second.
    Milliseconds,
    /// Millionths of a second.
    Microseconds,
}

impl TimeUnit {
    pub(crate) fn of(self, time: Duration) -> f64 {
        // Whole nanoseconds and one division, so that whole milliseconds stay whole.
        let nanos = time.as_nanos() as f64;
        match self {
            Self::Seconds => nanos / 1e9,
            Self::Milliseconds => nanos / 1e6,
            Self::Microseconds => nanos / 1e3,
        }
    }
}

impl From<TimeUnit> for crate::Unit {
    fn from(unit: TimeUnit) -> Self {
        match unit {
            TimeUnit::Seconds => Self::Seconds,
            TimeUnit::Milliseconds => Self::Milliseconds,
            TimeUnit::Microseconds => Self::Microseconds,
        }
    }
}

impl Timer {
    pub(crate) fn new(values: Distribution, unit: TimeUnit) -> Self {
        Self { values, unit }
    }

    /// Records a time taken elsewhere.
    pub fn record(&self, time: Duration) {
        self.values.record(self.unit.of(time));
    }

    /// Begins to take the time, until what is returned is dropped or stopped; a future that is
    /// dropped half-way is so recorded with the time until then.
    pub fn start(&self) -> Timing<'_> {
        Timing { timer: self, since: Instant::now(), counts: true }
    }
}

/// Something that is being timed: its end is recorded when it is dropped.
#[derive(Debug)]
#[must_use = "dropped at once it records no time at all"]
pub struct Timing<'a> {
    timer: &'a Timer,
    since: Instant,
    counts: bool,
}

impl Timing<'_> {
    /// Ends it here, which is where dropping it would, too.
    pub fn stop(self) {
        drop(self);
    }

    /// Ends it without a record.
    pub fn discard(mut self) {
        self.counts = false;
    }
}

impl Drop for Timing<'_> {
    fn drop(&mut self) {
        if self.counts {
            self.timer.record(self.since.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_times_are_recorded_as_whole_numbers() {
        for n in (0..100_000u32).chain([86_400_000, u32::MAX]) {
            let whole = f64::from(n);
            let millis = Duration::from_millis(n.into());
            assert_eq!(TimeUnit::Milliseconds.of(millis), whole);
            assert_eq!(TimeUnit::Microseconds.of(Duration::from_micros(n.into())), whole);
            assert_eq!(TimeUnit::Seconds.of(Duration::from_secs(n.into())), whole);
        }
    }
}
