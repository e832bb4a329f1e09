//! Where a value falls: fixed log-linear buckets, 128 for each doubling.
//!
//! A bucket is at most 1/128 (0.79 %) wider than its lower edge, so that the mean of its values
//! lies within 1 % of each of them. The place is cut out of the bits of the float: the exponent
//! names the doubling, the next 7 bits the bucket, and the 28 bits after them the offset within it,
//! whose sum gives the mean of the bucket to 2⁻³⁵ of a value.

/// Doublings covered.
pub(crate) const OCTAVES: usize = 70;
/// Buckets of a doubling.
pub(crate) const PER_OCTAVE: usize = 1 << SUB_BITS;

/// Values below count as zero.
pub(crate) const SMALLEST: f64 = 1.0 / (1u64 << 30) as f64;
/// Values from here on are refused.
pub(crate) const TOO_LARGE: f64 = (1u64 << 40) as f64;

const SUB_BITS: u32 = 7;
const MANTISSA_BITS: u32 = 52;
/// So few that the sum of a bucket's offsets has room for 2³⁶ records in a window.
const OFFSET_BITS: u32 = 28;
const BELOW_SUB: u32 = MANTISSA_BITS - SUB_BITS;
/// The biased exponent of [`SMALLEST`].
const FIRST_EXPONENT: usize = 1023 - 30;

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Not a number, negative, or too large.
    Refused,
    /// Zero, or too small to be told from it.
    Zero,
    /// A bucket, and how far into it: 28 bits of the bucket's width.
    Bucket { octave: usize, sub: usize, offset: u64 },
}

impl Place {
    pub(crate) fn of(value: f64) -> Self {
        if !(0.0..TOO_LARGE).contains(&value) {
            return Self::Refused;
        }
        if value < SMALLEST {
            return Self::Zero;
        }
        let bits = value.to_bits();
        Self::Bucket {
            octave: (bits >> MANTISSA_BITS) as usize - FIRST_EXPONENT,
            sub: (bits >> BELOW_SUB) as usize % PER_OCTAVE,
            offset: (bits >> (BELOW_SUB - OFFSET_BITS)) & ((1 << OFFSET_BITS) - 1),
        }
    }
}

/// The number of a bucket, in order of size.
pub(crate) const fn index(octave: usize, sub: usize) -> usize {
    octave * PER_OCTAVE + sub
}

/// The number of the bucket that holds `value`; nothing for a value in none.
pub(crate) fn index_of(value: f64) -> Option<usize> {
    match Place::of(value) {
        Place::Bucket { octave, sub, .. } => Some(index(octave, sub)),
        Place::Refused | Place::Zero => None,
    }
}

/// The lower edge of a bucket, included.
pub(crate) fn lower_edge(index: usize) -> f64 {
    // Exponent and the first bits of the mantissa are the bucket's number, shifted by a constant.
    f64::from_bits(((index + FIRST_EXPONENT * PER_OCTAVE) as u64) << BELOW_SUB)
}

/// The upper edge of a bucket, excluded.
pub(crate) fn upper_edge(index: usize) -> f64 {
    lower_edge(index + 1)
}

/// The smallest and the largest value that a bucket can hold.
pub(crate) fn edges(index: usize) -> (f64, f64) {
    (lower_edge(index), upper_edge(index).next_down())
}

/// The sum of `count` values of a bucket whose offsets add up to `offsets`.
pub(crate) fn sum(index: usize, count: u64, offsets: u128) -> f64 {
    let low = lower_edge(index);
    let width = upper_edge(index) - low;
    count as f64 * low + offsets as f64 / (1u64 << OFFSET_BITS) as f64 * width
}

/// The offsets of so many values with that sum, as near as there are any.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is below zero is zero, and what is too large is bounded"
)]
pub(crate) fn offsets(index: usize, count: u64, sum: f64) -> u128 {
    let low = lower_edge(index);
    let above = (sum - count as f64 * low) / (upper_edge(index) - low);
    let offsets = (above * (1u64 << OFFSET_BITS) as f64).round() as u128;
    offsets.min(most_offsets(count))
}

/// By so much the sum of `count` values is smaller than they are, at most: their offsets are cut off.
pub(crate) fn cut_off(index: usize, count: u64) -> f64 {
    count as f64 * (upper_edge(index) - lower_edge(index)) / (1u64 << OFFSET_BITS) as f64
}

/// The largest sum of offsets that `count` values of a bucket can have.
pub(crate) const fn most_offsets(count: u64) -> u128 {
    count as u128 * ((1 << OFFSET_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_edges_of_the_range() {
        for (value, expected) in [
            (f64::NAN, Place::Refused),
            (f64::INFINITY, Place::Refused),
            (f64::NEG_INFINITY, Place::Refused),
            (-1.0, Place::Refused),
            (-f64::MIN_POSITIVE, Place::Refused),
            (TOO_LARGE, Place::Refused),
            (0.0, Place::Zero),
            (-0.0, Place::Zero),
            (f64::MIN_POSITIVE, Place::Zero),
            (SMALLEST.next_down(), Place::Zero),
            (SMALLEST, Place::Bucket { octave: 0, sub: 0, offset: 0 }),
            (1.0, Place::Bucket { octave: 30, sub: 0, offset: 0 }),
            (1.5, Place::Bucket { octave: 30, sub: 64, offset: 0 }),
            (
                TOO_LARGE.next_down(),
                Place::Bucket { octave: 69, sub: 127, offset: (1 << OFFSET_BITS) - 1 },
            ),
        ] {
            assert_eq!(Place::of(value), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket_and_the_bucket_within_one_percent(
            exponent in -30.0..40.0f64,
        ) {
            let value = exponent.exp2();
            let Place::Bucket { octave, sub, offset } = Place::of(value) else {
                return Err(TestCaseError::fail("in range"));
            };
            let index = index(octave, sub);
            let (low, high) = (lower_edge(index), upper_edge(index));
            prop_assert!(low <= value && value < high);
            prop_assert!((high - low) / low < 0.01);
            prop_assert!((sum(index, 1, offset.into()) - value).abs() <= value * 2f64.powi(-35));
        }
    }
}
