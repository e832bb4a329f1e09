//! What is left of a window's sum.

use crate::bucket;
use crate::histogram::{Filled, Histogram};

/// What windows could not say of their sums yet.
///
/// A record in progress while a look is made may have its extreme or its offset in another window
/// than its count. Then the sum of an outermost bucket is not one that so many records between the
/// extremes can have. What is over goes to the other buckets of the window, as far as records may be
/// anywhere within them, and to later windows: the extremes stay, and so does the sum of all windows.
#[derive(Debug, Default)]
pub(super) struct Owed(f64);

impl Owed {
    pub(super) fn settle(&mut self, mut histogram: Histogram) -> Histogram {
        let possible: Vec<_> = possible(&histogram).collect();
        let of = |bucket: &Filled| bucket::sum(bucket.index, bucket.count, bucket.offsets);
        for (bucket, (least, most)) in histogram.filled.iter_mut().zip(&possible) {
            let sum = of(bucket);
            let over = sum - sum.clamp(*least, *most);
            if over.abs() > bucket::cut_off(bucket.index, bucket.count) {
                self.0 += over;
                bucket.offsets = bucket::offsets(bucket.index, bucket.count, sum - over);
            }
        }
        for (bucket, (least, most)) in histogram.filled.iter_mut().zip(&possible) {
            if self.0 == 0.0 {
                break;
            }
            let sum = of(bucket);
            let room = (least - sum).min(0.0)..=(most - sum).max(0.0);
            let taken = self.0.clamp(*room.start(), *room.end());
            self.0 -= taken;
            bucket.offsets = bucket::offsets(bucket.index, bucket.count, sum + taken);
        }
        histogram
    }
}

/// The least and the largest sum that each bucket can have, by what is known of its records.
fn possible(histogram: &Histogram) -> impl Iterator<Item = (f64, f64)> {
    let last = histogram.filled.len().saturating_sub(1);
    histogram.filled.iter().enumerate().map(move |(place, bucket)| {
        let (low, high) = bucket::edges(bucket.index);
        let within = |value: &f64| (low..=high).contains(value);
        let first = place == 0 && histogram.zeros == 0;
        let min = histogram.min.filter(|min| first && within(min));
        let max = histogram.max.filter(|max| place == last && within(max));
        if bucket.count == 1 {
            let single = max.or(min);
            return (single.unwrap_or(low), single.unwrap_or(high));
        }
        let (low, high) = (min.unwrap_or(low), max.unwrap_or(high));
        let others = (bucket.count - 1) as f64;
        (low * others + max.unwrap_or(low), high * others + min.unwrap_or(high))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bucket::Place;

    fn of(records: &[f64], min: f64, max: f64) -> Histogram {
        let (min, max) = (Some(min), Some(max));
        let none = Histogram { min, max, ..Histogram::default() };
        records.iter().fold(none, |all, value| {
            let Place::Bucket { octave, sub, offset } = Place::of(*value) else {
                panic!("{value}")
            };
            let (index, offsets) = (bucket::index(octave, sub), offset.into());
            let filled = vec![Filled { index, count: 1, offsets }];
            all.join(Histogram { filled, ..Histogram::default() })
        })
    }

    fn sum(histogram: &Histogram) -> f64 {
        histogram.values().iter().map(|(value, count)| value * *count as f64).sum()
    }

    #[test]
    fn the_sum_stays_though_an_extreme_is_of_a_record_that_is_not_counted_yet() {
        let mut owed = Owed::default();
        let window = owed.settle(of(&[128.5, 128.9, 300.0, 700.7], 128.1, 700.7));
        assert!((sum(&window) - 1258.1).abs() < 1e-7, "{window:?}");
        let values = window.values();
        assert_eq!((values[0], values[3]), ((128.1, 1), (700.7, 1)));
        assert!(owed.0.abs() < 1e-7, "{owed:?}");
    }

    #[test]
    fn what_has_no_room_in_its_window_comes_with_a_later_one() {
        let mut owed = Owed::default();
        let windows = [
            of(&[128.5, 128.9], 128.1, 128.9),
            of(&[128.1], 128.1, 128.1),
            of(&[100.0, 300.0, 900.0], 100.0, 900.0),
        ];
        let windows = windows.map(|window| owed.settle(window));
        let sums: Vec<_> = windows.iter().map(sum).collect();
        assert_eq!(sums[..2], [257.0, 128.1]);
        assert!((sums[2] - 1300.4).abs() < 1e-7, "{sums:?}");
        assert_eq!(windows[2].values().iter().map(|(_, count)| count).sum::<u64>(), 3);
    }

    proptest! {
        #[test]
        fn windows_without_a_record_in_progress_stay_as_they_are(
            records in prop::collection::vec(0.01..1e6f64, 1..100),
        ) {
            let least = records.iter().copied().reduce(f64::min).unwrap();
            let most = records.iter().copied().reduce(f64::max).unwrap();
            let window = of(&records, least, most);
            let mut owed = Owed::default();
            prop_assert_eq!(owed.settle(window.clone()), window);
            prop_assert_eq!(owed.0, 0.0);
        }

        #[test]
        fn with_any_extremes_nothing_of_the_sum_is_lost(
            windows in prop::collection::vec(
                (prop::collection::vec(100.0..110.0f64, 1..20), 99.0..105.0f64, 100.0..111.0f64),
                1..10,
            ),
        ) {
            let mut owed = Owed::default();
            let (mut published, mut recorded) = (0.0, 0.0);
            for (records, min, max) in windows {
                recorded += records.iter().sum::<f64>();
                let window = owed.settle(of(&records, min, min.max(max)));
                prop_assert_eq!(window.count(), records.len() as u64);
                published += sum(&window);
            }
            prop_assert!((published + owed.0 - recorded).abs() < 1e-9 * recorded, "{owed:?}");
        }
    }
}
