use std::time::Duration;

/// Growing delays between tries, with full jitter: each delay lies anywhere between nothing and a
/// bound that doubles from `base` up to `max`, so that a fleet does not come back in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    max: Duration,
}

impl Backoff {
    /// Delays bounded by `base` at first and by `max` at last.
    ///
    /// # Errors
    /// When `base` is zero or above `max`.
    pub const fn new(base: Duration, max: Duration) -> Result<Self, BackoffError> {
        if base.is_zero() || base.as_nanos() > max.as_nanos() {
            return Err(BackoffError { base, max });
        }
        Ok(Self { base, max })
    }

    /// The bound of the delay before try `attempt` (0 is the first repetition).
    #[must_use]
    pub fn bound(&self, attempt: u32) -> Duration {
        let factor = 1u32.checked_shl(attempt).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.max)
    }

    /// The delay before try `attempt`, by a random number over the whole of `u64`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bluegreen_core::Backoff;
    /// let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5))?;
    /// assert_eq!(backoff.delay(0, 0), Duration::ZERO);
    /// assert!(backoff.delay(40, u64::MAX) <= Duration::from_secs(5));
    /// # Ok::<(), bluegreen_core::BackoffError>(())
    /// ```
    #[must_use]
    pub fn delay(&self, attempt: u32, entropy: u64) -> Duration {
        jitter(self.bound(attempt), entropy)
    }
}

impl Default for Backoff {
    /// From 100 milliseconds to 20 seconds.
    fn default() -> Self {
        Self { base: Duration::from_millis(100), max: Duration::from_secs(20) }
    }
}

/// A point between nothing and `whole`, by a random number over the whole of `u64`.
pub(crate) fn jitter(whole: Duration, entropy: u64) -> Duration {
    let nanos = whole.as_nanos().saturating_mul(u128::from(entropy)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The bounds of a [`Backoff`] do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a backoff from {base:?} to {max:?} is impossible: base must be above zero and at most max"
)]
pub struct BackoffError {
    base: Duration,
    max: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_delay_stays_within_its_bound(base in 1u64.., max: u64, attempt: u32, entropy: u64) {
            let (base, max) = (Duration::from_nanos(base), Duration::from_nanos(max));
            let Ok(backoff) = Backoff::new(base, max) else { return Ok(()) };
            prop_assert!(backoff.delay(attempt, entropy) <= backoff.bound(attempt));
            prop_assert!(backoff.bound(attempt) <= max && backoff.bound(attempt) >= base);
        }
    }
}
