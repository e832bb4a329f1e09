//! Extremes that were taken lately.

use crate::bucket;
use crate::histogram::Filled;

/// The extremes that each copy had when they were taken the last two times, and those before them.
///
/// A record that finds them wide enough leaves them as they are. Where they are taken in that very
/// instant, its count comes to a later look without an extreme of its own, and what was taken then is
/// as wide at least. Two times, as its thread may have made new ones by then, which a look took that
/// had not seen the count.
#[derive(Debug, Default)]
pub(super) struct Recent(Vec<[Taken; 2]>);

/// An extreme and the one that it has displaced. Zero stands for none: it has no bucket.
type Taken = [f64; 2];

impl Recent {
    pub(super) fn push(&mut self, copy: usize, taken: Taken) {
        if self.0.len() <= copy {
            self.0.resize(copy + 1, [[0.0; 2]; 2]);
        }
        if let Some([last, before]) = self.0.get_mut(copy) {
            *before = std::mem::replace(last, taken);
        }
    }

    /// The one that is nearest to the mean of that bucket, among those within it.
    pub(super) fn within(&self, bucket: &Filled) -> Option<f64> {
        let mean = bucket::sum(bucket.index, bucket.count, bucket.offsets) / bucket.count as f64;
        let far = |extreme: &f64| (extreme - mean).abs();
        let within = |extreme: &f64| bucket::index_of(*extreme) == Some(bucket.index);
        let extremes = self.0.iter().flatten().flatten().copied().filter(within);
        extremes.min_by(|one, other| far(one).total_cmp(&far(other)))
    }
}
