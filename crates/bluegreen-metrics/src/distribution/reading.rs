//! What was recorded since the last look.

use super::copy::{NO_MAX, NO_MIN, Octave, Shard};
use super::recent::Recent;
use crate::bucket::{self, OCTAVES, PER_OCTAVE};
use crate::histogram::{Filled, Histogram};
use crate::shard::Sharded;
use crate::sync::Ordering;

/// The single reader of a distribution: remembers what it has already taken.
#[derive(Debug)]
pub(crate) struct Reading {
    zeros: u64,
    octaves: Vec<Option<Box<Taken>>>,
    /// Extremes seen before the count of their record.
    pub(super) early_min: Vec<u64>,
    pub(super) early_max: Vec<u64>,
    recent_min: Recent,
    recent_max: Recent,
}

/// What is already taken of each bucket.
type Taken = [TakenBucket; PER_OCTAVE];

/// Count, offsets, and what is too large for these; all wrap around.
#[derive(Clone, Copy, Debug, Default)]
struct TakenBucket {
    count: u64,
    offsets: u64,
    high: u64,
}

impl Default for Reading {
    fn default() -> Self {
        let octaves = vec![None; OCTAVES];
        let (early_min, early_max) = (Vec::new(), Vec::new());
        let (recent_min, recent_max) = (Recent::default(), Recent::default());
        Self { zeros: 0, octaves, early_min, early_max, recent_min, recent_max }
    }
}

impl Reading {
    /// What came since the last call.
    ///
    /// A record in progress meanwhile is either in it or in the next one. Its count, once seen,
    /// brings its offset and extremes with it; an offset or extreme that is seen before its count
    /// is left for the next look.
    pub(crate) fn take(&mut self, shards: &Sharded<Shard>) -> Histogram {
        let mut histogram = Histogram { zeros: self.take_zeros(shards), ..Histogram::default() };
        for (number, taken) in self.octaves.iter_mut().enumerate() {
            take_octave(shards, number, taken, &mut histogram.filled);
        }
        self.take_extremes(shards, &mut histogram);
        histogram
    }

    fn take_zeros(&mut self, shards: &Sharded<Shard>) -> u64 {
        let total = shards
            .iter()
            .fold(0, |sum: u64, shard| sum.wrapping_add(shard.zeros.load(Ordering::Acquire)));
        total.wrapping_sub(std::mem::replace(&mut self.zeros, total))
    }

    /// Takes the extremes. One whose record is not counted yet waits for the next look, and what it
    /// displaced in its thread's copy counts in its place: that thread had finished with it. Where
    /// none is left of the outermost bucket, its record found a recent one wide enough.
    fn take_extremes(&mut self, shards: &Sharded<Shard>, histogram: &mut Histogram) {
        // Zero has no bucket and sorts below all, as `None` does.
        let place = |value: f64| bucket::index_of(value);
        let of_zeros = histogram.zeros > 0;
        let first = histogram.filled.first().filter(|_| !of_zeros);
        let last = histogram.filled.last();
        let (lowest, highest) = (first.map(|one| one.index), last.map(|one| one.index));
        let is_empty = histogram.count() == 0;
        let low = |bits: &u64| !is_empty && place(f64::from_bits(*bits)) >= lowest;
        let high = |bits: &u64| !is_empty && place(f64::from_bits(*bits)) <= highest;
        let recent_min = first.and_then(|bucket| self.recent_min.within(bucket));
        let recent_max = last.and_then(|bucket| self.recent_max.within(bucket));
        let mut mins: Vec<_> = self.early_min.extract_if(.., |bits| low(bits)).collect();
        let mut maxes: Vec<_> = self.early_max.extract_if(.., |bits| high(bits)).collect();
        for (copy, shard) in shards.numbered() {
            if let Some(min) = taken(shard.min.swap(NO_MIN, Ordering::Acquire), NO_MIN) {
                let displaced = taken(shard.displaced_min.load(Ordering::Relaxed), NO_MIN);
                self.recent_min.push(copy, [min, displaced.unwrap_or(0)].map(f64::from_bits));
                let counted = low(&min);
                mins.extend(if counted { Some(min) } else { displaced.filter(low) });
                self.early_min.extend((!counted).then_some(min));
            }
            if let Some(max) = taken(shard.max.swap(NO_MAX, Ordering::Acquire), NO_MAX) {
                let displaced = taken(shard.displaced_max.load(Ordering::Relaxed), NO_MAX);
                self.recent_max.push(copy, [max, displaced.unwrap_or(0)].map(f64::from_bits));
                let counted = high(&max);
                maxes.extend(if counted { Some(max) } else { displaced.filter(high) });
                self.early_max.extend((!counted).then_some(max));
            }
        }
        let min = mins.into_iter().min().map(f64::from_bits);
        let max = maxes.into_iter().max().map(f64::from_bits);
        histogram.min = min.filter(|min| place(*min) == lowest).or(recent_min);
        histogram.max = max.filter(|max| place(*max) == highest).or(recent_max);
        // Two of records in progress may be the wrong way round.
        if let (Some(min), Some(max)) = (histogram.min, histogram.max)
            && min > max
        {
            (histogram.min, histogram.max) = (Some(max), Some(min));
        }
    }
}

fn taken(bits: u64, none: u64) -> Option<u64> {
    (bits != none).then_some(bits)
}

fn take_octave<'a>(
    shards: &'a Sharded<Shard>,
    number: usize,
    taken: &mut Option<Box<Taken>>,
    filled: &mut Vec<Filled>,
) {
    let octave_of = |shard: &'a Shard| shard.octaves.get(number)?.get().map(Box::as_ref);
    let octaves = || shards.iter().filter_map(octave_of);
    if octaves().next().is_none() {
        return;
    }
    let taken = taken.get_or_insert_with(|| Box::new([TakenBucket::default(); PER_OCTAVE]));
    for (sub, taken) in taken.iter_mut().enumerate() {
        if let Some((count, offsets)) = take_bucket(octaves(), sub, taken) {
            filled.push(Filled { index: bucket::index(number, sub), count, offsets });
        }
    }
}

fn take_bucket<'a>(
    octaves: impl Iterator<Item = &'a Octave>,
    sub: usize,
    taken: &mut TakenBucket,
) -> Option<(u64, u128)> {
    let mut seen = TakenBucket::default();
    for octave in octaves {
        if let Some(bucket) = octave.buckets.get(sub) {
            seen.count = seen.count.wrapping_add(bucket.count.load(Ordering::Acquire));
            seen.offsets = seen.offsets.wrapping_add(bucket.offsets.load(Ordering::Relaxed));
        }
        if let Some(high) = octave.high.get().and_then(|high| high.get(sub)) {
            seen.high = seen.high.wrapping_add(high.load(Ordering::Relaxed));
        }
    }
    let new = seen.count.wrapping_sub(taken.count);
    if new == 0 {
        return None;
    }
    let (low, high) =
        (seen.offsets.wrapping_sub(taken.offsets), seen.high.wrapping_sub(taken.high));
    let offsets = (u128::from(high) << 32) + u128::from(low);
    let most = bucket::most_offsets(new);
    *taken = seen;
    if let Some(early) = offsets.checked_sub(most).filter(|early| *early > 0) {
        // Of a record in progress: left for the next look.
        let high = u64::try_from(early >> 32).unwrap_or(u64::MAX).min(high);
        taken.high = taken.high.wrapping_sub(high);
        let rest = u64::try_from(early - (u128::from(high) << 32)).unwrap_or(u64::MAX);
        taken.offsets = taken.offsets.wrapping_sub(rest);
    }
    Some((new, offsets.min(most)))
}
