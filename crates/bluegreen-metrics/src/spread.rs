//! What is sent of a window's buckets.

use crate::bucket;
use crate::histogram::{Filled, Histogram};

/// A value and how often it stands for a record.
type Counted = (f64, u64);

impl Histogram {
    /// The values to send, in order of size: of each bucket the mean, and the window's smallest and
    /// largest record as values of their own. Count, minimum and maximum are those of the records;
    /// the sum is, to 2⁻³⁵ of each.
    pub(crate) fn values(&self) -> Vec<Counted> {
        let mut values = Vec::with_capacity(self.filled.len() + 3);
        if self.zeros > 0 {
            values.push((0.0, self.zeros));
        }
        let last = self.filled.len().saturating_sub(1);
        for (place, bucket) in self.filled.iter().enumerate() {
            let within = |value: &f64| bucket::index_of(*value) == Some(bucket.index);
            let first = place == 0 && self.zeros == 0;
            let min = self.min.filter(|min| first && within(min));
            let max = self.max.filter(|max| place == last && within(max));
            spread(*bucket, min, max, &mut values);
        }
        values
    }
}

/// One bucket as values: the known extremes as they are, the rest as its mean.
fn spread(bucket: Filled, min: Option<f64>, max: Option<f64>, values: &mut Vec<Counted>) {
    let mut push = |value: f64, count: u64| match values.last_mut() {
        // Each value may stand only once in a datum.
        Some((last, counted)) if last.to_bits() == value.to_bits() => *counted += count,
        _ => values.push((value, count)),
    };
    // A single record is both extremes at once.
    let (min, max) = if bucket.count == 1 { (None, max.or(min)) } else { (min, max) };
    let extremes = min.into_iter().chain(max);
    let taken = u64::from(min.is_some()) + u64::from(max.is_some());
    let rest = bucket.count - taken;
    if let Some(min) = min {
        push(min, 1);
    }
    if rest > 0 {
        let sum = bucket::sum(bucket.index, bucket.count, bucket.offsets);
        let mean = (sum - extremes.sum::<f64>()) / rest as f64;
        let low = min.unwrap_or_else(|| bucket::lower_edge(bucket.index));
        let high = max.unwrap_or_else(|| bucket::upper_edge(bucket.index).next_down());
        push(mean.max(low).min(high), rest);
    }
    if let Some(max) = max {
        push(max, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::Place;

    fn of(records: &[f64]) -> Histogram {
        records.iter().fold(Histogram::default(), |all, value| {
            let mut one =
                Histogram { min: Some(*value), max: Some(*value), ..Histogram::default() };
            match Place::of(*value) {
                Place::Refused => panic!("{value} is refused"),
                Place::Zero => one.zeros = 1,
                Place::Bucket { octave, sub, offset } => one.filled.push(Filled {
                    index: bucket::index(octave, sub),
                    count: 1,
                    offsets: offset.into(),
                }),
            }
            all.join(one)
        })
    }

    #[test]
    fn the_extremes_are_values_of_their_own_and_the_rest_are_means() {
        for (records, expected) in [
            (&[][..], &[][..]),
            (&[3.3], &[(3.3, 1)]),
            (&[3.3, 3.3], &[(3.3, 2)]),
            (&[3.3, 3.3, 3.3], &[(3.3, 3)]),
            (&[0.0, 0.0], &[(0.0, 2)]),
            (&[0.0, 7.7], &[(0.0, 1), (7.7, 1)]),
            (&[1.0, 2.0], &[(1.0, 1), (2.0, 1)]),
            (&[128.0, 128.25, 128.5, 128.75], &[(128.0, 1), (128.375, 2), (128.75, 1)]),
            (&[128.0, 128.5, 300.0], &[(128.0, 1), (128.5, 1), (300.0, 1)]),
        ] {
            assert_eq!(of(records).values(), expected, "{records:?}");
        }
    }

    #[test]
    fn an_extreme_of_another_bucket_is_not_believed() {
        let mut histogram = of(&[128.0, 300.0]);
        (histogram.min, histogram.max) = (Some(5.0), Some(200.0));
        assert_eq!(histogram.values(), [(128.0, 1), (300.0, 1)]);
    }
}
