use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A stretch of wall time, its start included and its end not, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Window {
    /// Its first millisecond.
    pub start_ms: u64,
    /// The first millisecond after it.
    pub end_ms: u64,
}

impl Window {
    pub(crate) fn new(start: SystemTime, end: SystemTime) -> Self {
        Self { start_ms: millis(start), end_ms: millis(end) }
    }

    /// Its start.
    #[must_use]
    pub fn start(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.start_ms)
    }

    /// Its end.
    #[must_use]
    pub fn end(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.end_ms)
    }
}

pub(crate) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The last multiple of `period` since 1970 that is not after `time`.
pub(crate) fn aligned_down(time: SystemTime, period: Duration) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let beyond = since.as_nanos().checked_rem(period.as_nanos()).unwrap_or(0);
    time - Duration::from_nanos(u64::try_from(beyond).unwrap_or(0))
}

/// The first multiple of `period` since 1970 that is not before `time`.
pub(crate) fn aligned_up(time: SystemTime, period: Duration) -> SystemTime {
    let down = aligned_down(time, period);
    if down == time { time } else { down + period }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_align_to_whole_periods() {
        let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
        let minute = Duration::from_secs(60);
        for (time, down, up) in [(0, 0, 0), (1, 0, 60_000), (60_000, 60_000, 60_000)] {
            assert_eq!(aligned_down(at(time), minute), at(down));
            assert_eq!(aligned_up(at(time), minute), at(up));
        }
    }
}
