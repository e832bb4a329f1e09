use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Where wall time comes from: the system, or a fixed start that tokio's clock moves on.
///
/// Under tokio's paused clock the second form makes wall time follow the test.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    origin: Option<(SystemTime, Instant)>,
}

impl Clock {
    /// The system's wall clock.
    #[must_use]
    pub const fn system() -> Self {
        Self { origin: None }
    }

    /// A clock that shows `start` now and moves with tokio's.
    #[must_use]
    pub fn starting_at(start: SystemTime) -> Self {
        Self { origin: Some((start, Instant::now())) }
    }

    /// The present wall time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        match self.origin {
            // At the end of what a system can say it stands still rather than to panic.
            Some((start, since)) => start.checked_add(since.elapsed()).unwrap_or(start),
            #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
            None => SystemTime::now(),
        }
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
    async fn a_clock_at_the_end_of_time_stays_there() {
        let Some(end) = UNIX_EPOCH.checked_add(Duration::from_secs(i64::MAX.unsigned_abs())) else {
            return;
        };
        let clock = Clock::starting_at(end);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(clock.now() >= end);
    }
}
