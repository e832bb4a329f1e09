//! One thread's copy of a distribution, and how a record gets into it.
//!
//! A record writes extremes, offset and count in this order. Who sees a count sees all of its record;
//! [`Reading`](super::reading) looks in the opposite order. Checked with loom (`tests/shards_loom.rs`
//! compiles both files against loom's atomics, over fewer buckets).

use crate::bucket::{OCTAVES, PER_OCTAVE, Place};
use crate::shard::Writer;
use crate::sync::{AtomicU64, OnceLock, Ordering};

#[derive(Debug)]
pub(crate) struct Shard {
    pub(super) zeros: AtomicU64,
    /// The bits of the extremes since the last collection: of positive floats the order of the bits
    /// is that of the values.
    pub(super) min: AtomicU64,
    pub(super) max: AtomicU64,
    /// The extremes before these, whose records had ended when these began.
    pub(super) displaced_min: AtomicU64,
    pub(super) displaced_max: AtomicU64,
    pub(super) octaves: [OnceLock<Box<Octave>>; OCTAVES],
}

#[derive(Debug)]
pub(super) struct Octave {
    pub(super) buckets: [Bucket; PER_OCTAVE],
    /// What is too large for the offsets of values recorded many times over: units of 2³².
    pub(super) high: OnceLock<Box<[AtomicU64; PER_OCTAVE]>>,
}

#[derive(Debug, Default)]
pub(super) struct Bucket {
    pub(super) count: AtomicU64,
    pub(super) offsets: AtomicU64,
}

/// No smallest value yet.
pub(super) const NO_MIN: u64 = u64::MAX;
/// No largest value yet. Zero itself needs no telling apart: it is never above another.
pub(super) const NO_MAX: u64 = 0;

impl Default for Shard {
    fn default() -> Self {
        Self {
            zeros: AtomicU64::new(0),
            min: AtomicU64::new(NO_MIN),
            max: AtomicU64::new(NO_MAX),
            displaced_min: AtomicU64::new(NO_MIN),
            displaced_max: AtomicU64::new(NO_MAX),
            octaves: std::array::from_fn(|_| OnceLock::new()),
        }
    }
}

impl Shard {
    /// Records a value of that place, so many times over: at most 2³² − 1. What is refused has no place.
    #[inline]
    pub(super) fn record(&self, place: Place, value: f64, times: u64, writer: Writer) {
        match place {
            Place::Refused => {}
            Place::Zero => {
                self.stretch(0, writer);
                writer.add(&self.zeros, times, Ordering::Release);
            }
            Place::Bucket { octave, sub, offset } => {
                self.stretch(value.to_bits(), writer);
                let octave = self.octaves.get(octave).map(|octave| octave.get_or_init(empty));
                if let Some((octave, bucket)) =
                    octave.and_then(|octave| Some((octave, octave.buckets.get(sub)?)))
                {
                    let offsets = if times == 1 {
                        offset
                    } else {
                        octave.add_high(sub, offset * times, writer)
                    };
                    // The count last: who sees it also sees the offset and the extremes.
                    writer.add(&bucket.offsets, offsets, Ordering::Relaxed);
                    writer.add(&bucket.count, times, Ordering::Release);
                }
            }
        }
    }

    /// Widens the extremes; a mere look once they are wide enough.
    pub(super) fn stretch(&self, bits: u64, writer: Writer) {
        writer.lower(&self.min, &self.displaced_min, bits);
        writer.raise(&self.max, &self.displaced_max, bits);
    }
}

impl Octave {
    /// Adds what is above 32 bits; answers what is below.
    #[cold]
    fn add_high(&self, sub: usize, offsets: u64, writer: Writer) -> u64 {
        let high = self.high.get_or_init(|| Box::new(std::array::from_fn(|_| AtomicU64::new(0))));
        if let Some(high) = high.get(sub) {
            writer.add(high, offsets >> 32, Ordering::Relaxed);
        }
        offsets & u64::from(u32::MAX)
    }
}

fn empty() -> Box<Octave> {
    let buckets = std::array::from_fn(|_| Bucket::default());
    Box::new(Octave { buckets, high: OnceLock::new() })
}
