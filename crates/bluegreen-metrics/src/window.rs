//! Aligned stretches of wall time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The start of the stretch of `length` that holds `time`, counted from 1970.
pub(crate) fn start_of(time: SystemTime, length: Duration) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let length = length.as_secs().max(1);
    UNIX_EPOCH + Duration::from_secs(since.as_secs() / length * length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_starts_at_a_multiple_of_its_length() {
        for (millis, length, expected) in [
            (0, 60, 0),
            (59_999, 60, 0),
            (60_000, 60, 60),
            (61_500, 1, 61),
            (3_599_000, 300, 3_300),
        ] {
            let time = UNIX_EPOCH + Duration::from_millis(millis);
            let expected = UNIX_EPOCH + Duration::from_secs(expected);
            assert_eq!(start_of(time, Duration::from_secs(length)), expected, "{millis} {length}");
        }
        let before = UNIX_EPOCH - Duration::from_secs(5);
        assert_eq!(start_of(before, Duration::from_secs(60)), UNIX_EPOCH);
    }
}
