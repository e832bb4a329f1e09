use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The number of a message within one run of a consumer.
pub(super) type Slot = u64;

/// A map by slot.
pub(super) type SlotMap<T> = HashMap<Slot, T, BuildHasherDefault<Spread>>;

/// Slots are counted here, nobody can choose them: one multiplication spreads them well enough.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(self.0 ^ u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // 2⁶⁴ divided by the golden ratio, as Knuth has it.
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
