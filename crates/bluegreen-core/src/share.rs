use std::fmt;

use serde::{Deserialize, Serialize};

/// The part of the work that a color gets, in per mille: 0 to 1000.
///
/// A share outside that range cannot be built, and none is read from a record.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "u16", into = "u16")]
pub struct Share(u16);

impl Share {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Everything.
    pub const FULL: Self = Self(1000);

    /// A share in per mille.
    ///
    /// # Errors
    /// When `per_mille` is above 1000.
    pub const fn per_mille(per_mille: u16) -> Result<Self, ShareError> {
        if per_mille > 1000 { Err(ShareError { per_mille }) } else { Ok(Self(per_mille)) }
    }

    /// A share in percent.
    ///
    /// # Errors
    /// When `percent` is above 100.
    pub const fn percent(percent: u8) -> Result<Self, ShareError> {
        Self::per_mille(percent as u16 * 10)
    }

    /// The share in per mille, 0 to 1000.
    #[must_use]
    pub const fn as_per_mille(self) -> u16 {
        self.0
    }

    /// What is left for the other color.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self(1000 - self.0)
    }

    /// Whether this is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether this is everything.
    #[must_use]
    pub const fn is_full(self) -> bool {
        self.0 == 1000
    }

    /// Whether `point`, anywhere in a number space that is cut into 1000 equal slices, lies within
    /// this share. A growing share keeps every point it had, so a sticky key moves at most once.
    ///
    /// ```
    /// # use bluegreen_core::Share;
    /// let tenth = Share::percent(10)?;
    /// assert!(tenth.covers(0) && !tenth.covers(u64::MAX));
    /// assert!((0..=u64::MAX).step_by(1 << 60).all(|key| Share::FULL.covers(key)));
    /// # Ok::<(), bluegreen_core::ShareError>(())
    /// ```
    #[must_use]
    pub const fn covers(self, point: u64) -> bool {
        // The high word of point × 1000 is the slice; no modulo, so no bias.
        let slice = (point as u128 * 1000) >> 64;
        slice < self.0 as u128
    }
}

impl TryFrom<u16> for Share {
    type Error = ShareError;

    fn try_from(per_mille: u16) -> Result<Self, ShareError> {
        Self::per_mille(per_mille)
    }
}

impl From<Share> for u16 {
    fn from(share: Share) -> Self {
        share.0
    }
}

impl fmt::Display for Share {
    /// In percent, with a decimal only where it is needed: `5 %`, `0.5 %`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 10, self.0 % 10) {
            (whole, 0) => write!(f, "{whole} %"),
            (whole, tenth) => write!(f, "{whole}.{tenth} %"),
        }
    }
}

/// The share is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a share of {per_mille} per mille is out of range: allowed are 0 to 1000")]
pub struct ShareError {
    per_mille: u16,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_share_out_of_range_is_never_built(per_mille: u16) {
            prop_assert_eq!(Share::per_mille(per_mille).is_ok(), per_mille <= 1000);
            let read = serde_json::from_str::<Share>(&per_mille.to_string());
            prop_assert_eq!(read.is_ok(), per_mille <= 1000);
        }

        #[test]
        fn a_growing_share_keeps_every_point(point: u64, small in 0u16..=1000, more in 0u16..=1000) {
            let (small, large) = (small.min(more), small.max(more));
            let kept = !Share::per_mille(small).unwrap().covers(point)
                || Share::per_mille(large).unwrap().covers(point);
            prop_assert!(kept);
        }
    }

    #[test]
    fn a_share_covers_its_part_of_evenly_spread_points() {
        let share = Share::per_mille(137).unwrap();
        let covered = (0..100_000u64).filter(|i| share.covers(i * (u64::MAX / 100_000))).count();
        assert!((13_690..=13_710).contains(&covered), "{covered}");
    }

    #[test]
    fn percent_reads_as_people_write_it() {
        assert_eq!(Share::percent(5).unwrap().to_string(), "5 %");
        assert_eq!(Share::per_mille(5).unwrap().to_string(), "0.5 %");
        assert_eq!(Share::FULL.to_string(), "100 %");
    }
}
