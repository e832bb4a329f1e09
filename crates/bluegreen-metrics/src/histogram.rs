//! The values of one window in buckets.

/// Distinct values of one datum, by CloudWatch's limit.
pub(crate) const VALUES_PER_DATUM: usize = 150;

/// A distribution over one window.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histogram {
    pub(crate) zeros: u64,
    pub(crate) filled: Vec<Filled>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
}

/// A bucket with values in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filled {
    pub(crate) index: usize,
    pub(crate) count: u64,
    pub(crate) offsets: u128,
}

impl Histogram {
    pub(crate) fn count(&self) -> u64 {
        let counts = self.filled.iter().map(|bucket| bucket.count);
        counts.fold(self.zeros, u64::saturating_add)
    }

    /// Both histograms in one.
    pub(crate) fn join(mut self, other: Self) -> Self {
        self.zeros = self.zeros.saturating_add(other.zeros);
        self.filled.extend(other.filled);
        self.filled.sort_unstable_by_key(|bucket| bucket.index);
        self.filled.dedup_by(|next, kept| {
            let same = next.index == kept.index;
            if same {
                kept.count = kept.count.saturating_add(next.count);
                kept.offsets = kept.offsets.saturating_add(next.offsets);
            }
            same
        });
        let least = |a: Option<f64>, b| a.into_iter().chain(b).reduce(f64::min);
        let most = |a: Option<f64>, b| a.into_iter().chain(b).reduce(f64::max);
        self.min = least(self.min, other.min);
        self.max = most(self.max, other.max);
        self
    }
}
