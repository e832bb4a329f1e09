use std::sync::atomic::{AtomicU64, Ordering};

/// How many slices of equal size a [`Share`](bluegreen_core::Share) counts in.
const SLICES: u64 = 1000;

/// The way from one request's slice to the next one's: prime to their number, so that all get a
/// turn, and of all such numbers the one that spreads short runs most evenly (tried out; a
/// fraction of 1000 that no small fraction comes near, as 619/1000 comes near 13/21).
const STRIDE: u64 = 703;

/// The distance between two slices in the number space that a share covers.
const WIDTH: u64 = u64::MAX / SLICES + 1;

/// Gives each request a point in the number space that shares are cut from.
///
/// Any 1,000 requests in a row stand on 1,000 different slices, so that a share of *n* per mille
/// gets exactly *n* of them; a shorter run differs from its share by fewer than four requests.
/// No randomness is needed for that, and none is used.
#[derive(Debug, Default)]
pub(crate) struct Split(AtomicU64);

impl Split {
    pub(crate) fn next_point(&self) -> u64 {
        point(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

const fn point(number: u64) -> u64 {
    (number % SLICES * STRIDE % SLICES) * WIDTH
}

#[cfg(test)]
mod tests {
    use super::*;
    use bluegreen_core::Share;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_thousand_requests_in_a_row_are_split_exactly(
            share in 0u16..=1000, from in 0u64..1 << 60,
        ) {
            let cut = Share::per_mille(share).unwrap();
            let covered = (from..from + 1000).filter(|n| cut.covers(point(*n))).count();
            prop_assert_eq!(covered, usize::from(share));
        }

        #[test]
        fn a_shorter_run_is_off_by_fewer_than_four(
            share in 0u16..=1000, from in 0u64..1 << 60, length in 1u32..1000,
        ) {
            let cut = Share::per_mille(share).unwrap();
            let covered = (from..from + u64::from(length)).filter(|n| cut.covers(point(*n))).count();
            let expected = f64::from(length) * f64::from(share) / 1000.0;
            prop_assert!((covered as f64 - expected).abs() < 4.0, "{} of {}", covered, expected);
        }
    }
}
