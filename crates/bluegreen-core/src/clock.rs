use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Where wall time comes from: the system, or a fixed start that tokio's clock moves on.
///
/// Under tokio's paused clock the second form makes wall time follow the test.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    origin: Option<(SystemTime, Instant)>,
    /// By how many milliseconds somebody has set it since.
    set_by: Option<&'static AtomicI64>,
}

/// What sets a clock while others look at it, as an operator or a time server does.
#[derive(Clone, Copy, Debug)]
pub struct ClockHand {
    set_by: &'static AtomicI64,
}

impl ClockHand {
    /// Sets the clock ahead.
    pub fn ahead(&self, by: Duration) {
        self.set_by.fetch_add(millis(by), Ordering::Relaxed);
    }

    /// Sets the clock back.
    pub fn back(&self, by: Duration) {
        self.set_by.fetch_sub(millis(by), Ordering::Relaxed);
    }
}

fn millis(of: Duration) -> i64 {
    i64::try_from(of.as_millis()).unwrap_or(i64::MAX)
}

impl Clock {
    /// The system's wall clock.
    #[must_use]
    pub const fn system() -> Self {
        Self { origin: None, set_by: None }
    }

    /// A clock that shows `start` now and moves with tokio's.
    #[must_use]
    pub fn starting_at(start: SystemTime) -> Self {
        Self { origin: Some((start, Instant::now())), set_by: None }
    }

    /// The same, and what sets it: for tests of what becomes of a clock that steps. It stays in
    /// memory until the process ends.
    #[must_use]
    pub fn settable(start: SystemTime) -> (Self, ClockHand) {
        let set_by: &'static AtomicI64 = Box::leak(Box::default());
        let clock = Self { set_by: Some(set_by), ..Self::starting_at(start) };
        (clock, ClockHand { set_by })
    }

    /// The present wall time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        let now = match self.origin {
            // At the end of what a system can say it stands still rather than to panic.
            Some((start, since)) => start.checked_add(since.elapsed()).unwrap_or(start),
            #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
            None => SystemTime::now(),
        };
        let Some(set_by) = self.set_by else { return now };
        let set_by = set_by.load(Ordering::Relaxed);
        let by = Duration::from_millis(set_by.unsigned_abs());
        let set = if set_by < 0 { now.checked_sub(by) } else { now.checked_add(by) };
        set.unwrap_or(now)
    }

    /// The present wall time in milliseconds since 1970, 0 before it.
    #[must_use]
    pub fn now_millis(&self) -> u64 {
        let since = self.now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_started_clock_follows_the_paused_one() {
        let clock = Clock::starting_at(UNIX_EPOCH + Duration::from_secs(1_000));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(clock.now_millis(), 1_060_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_goes_on_from_there() {
        let (clock, hand) = Clock::settable(UNIX_EPOCH + Duration::from_secs(1_000));
        tokio::time::advance(Duration::from_secs(60)).await;
        hand.back(Duration::from_secs(100));
        assert_eq!(clock.now_millis(), 960_000);
        tokio::time::advance(Duration::from_secs(1)).await;
        hand.ahead(Duration::from_secs(500));
        assert_eq!(clock.now_millis(), 1_461_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_at_the_end_of_time_stays_there() {
        let Some(end) = UNIX_EPOCH.checked_add(Duration::from_secs(i64::MAX.unsigned_abs())) else {
            return;
        };
        let clock = Clock::starting_at(end);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(clock.now() >= end);
    }
}
