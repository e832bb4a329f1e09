use std::time::Duration;

/// How long requests took, counted between bounds: what adds up over stretches of time, where
/// percentiles do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// Bound and how many took up to it, but more than the bound before; in order of the bounds.
    counts: Vec<(Duration, u64)>,
    slower: u64,
}

impl Latencies {
    /// Counts of requests that took up to each bound, but more than the next lower one, and of those
    /// that took more than the highest.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bluegreen_core::Latencies;
    /// let millis = Duration::from_millis;
    /// let latencies = Latencies::new([(millis(100), 900), (millis(250), 95)], 5);
    /// assert_eq!(latencies.count(), 1_000);
    /// assert_eq!(latencies.quantile(0.99), Some(millis(250)));
    /// assert_eq!(latencies.quantile(0.999), None); // Above the highest bound.
    /// ```
    #[must_use]
    pub fn new(counts: impl IntoIterator<Item = (Duration, u64)>, slower: u64) -> Self {
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(bound, _)| *bound);
        counts.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
        Self { counts, slower }
    }

    /// All requests.
    #[must_use]
    pub fn count(&self) -> u64 {
        let counts = self.counts.iter().map(|(_, count)| *count);
        counts.fold(self.slower, u64::saturating_add)
    }

    /// How many took more than the highest bound.
    #[must_use]
    pub const fn slower(&self) -> u64 {
        self.slower
    }

    /// Each bound, lowest first, with how many took up to it, but more than the one before.
    pub fn iter(&self) -> impl Iterator<Item = (Duration, u64)> {
        self.counts.iter().copied()
    }

    /// The lowest bound that this part of the requests, 0 to 1, did not exceed: the percentile,
    /// rounded up to a bound. Nothing when there were no requests, or it lies above the highest
    /// bound.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank below 2^53, clamped by the cast itself, which saturates"
        )]
        let rank = ((self.count() as f64 * part.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0u64;
        let reached = self.counts.iter().find(|(_, count)| {
            seen = seen.saturating_add(*count);
            seen >= rank
        });
        reached.map(|(bound, _)| *bound)
    }

    /// Both together; nothing where their bounds differ, as no count could be given then.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Option<Self> {
        let bounds = |of: &Self| of.iter().map(|(bound, _)| bound).collect::<Vec<_>>();
        if bounds(self) != bounds(other) {
            return None;
        }
        let pairs = self.iter().zip(other.iter());
        let counts = pairs.map(|((bound, one), (_, other))| (bound, one.saturating_add(other)));
        Some(Self { counts: counts.collect(), slower: self.slower.saturating_add(other.slower) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_quantile_is_the_bound_that_the_part_did_not_exceed() {
        let latencies = Latencies::new([(millis(250), 9), (millis(100), 90)], 1);
        for (part, expected) in [
            (0.0, Some(100)),
            (0.9, Some(100)),
            (0.91, Some(250)),
            (0.99, Some(250)),
            (0.995, None),
            (1.0, None),
            (7.0, None),
            (f64::NAN, Some(100)),
        ] {
            assert_eq!(latencies.quantile(part), expected.map(millis), "{part}");
        }
        assert_eq!(Latencies::default().quantile(0.5), None);
    }

    #[test]
    fn stretches_add_up_where_their_bounds_are_the_same() {
        let one = Latencies::new([(millis(100), 1), (millis(200), 2)], 3);
        let other = Latencies::new([(millis(200), 20), (millis(100), 10)], 30);
        let sum = one.plus(&other).unwrap();
        assert_eq!(sum, Latencies::new([(millis(100), 11), (millis(200), 22)], 33));
        assert_eq!(sum.count(), 66);
        assert_eq!(one.plus(&Latencies::new([(millis(100), 1)], 0)), None);
    }

    #[test]
    fn one_bound_given_twice_is_one() {
        let twice = Latencies::new([(millis(100), 1), (millis(100), 2)], 0);
        assert_eq!(twice.iter().collect::<Vec<_>>(), [(millis(100), 3)]);
    }
}
