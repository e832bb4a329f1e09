use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Color, Phase, Share};

/// A phase in one word, so that the hot path reads share and target of the same instant.
///
/// From the low end: one bit *known*, one bit *shift*, one bit *green*, ten bits of share.
#[derive(Debug, Default)]
pub(super) struct PackedPhase(AtomicU64);

const KNOWN: u64 = 1;
const SHIFT: u64 = 1 << 1;
const GREEN: u64 = 1 << 2;
const SHARE_AT: u32 = 3;

impl PackedPhase {
    pub(super) fn set(&self, phase: Phase) {
        let (kind, color, share) = match phase {
            Phase::Only(color) => (0, color, Share::ZERO),
            Phase::Shift { to, share } => (SHIFT, to, share),
        };
        let color = if color == Color::Green { GREEN } else { 0 };
        let share = u64::from(share.as_per_mille()) << SHARE_AT;
        self.0.store(KNOWN | kind | color | share, Ordering::Release);
    }

    pub(super) fn get(&self) -> Option<Phase> {
        let word = self.0.load(Ordering::Acquire);
        if word & KNOWN == 0 {
            return None;
        }
        let color = if word & GREEN == 0 { Color::Blue } else { Color::Green };
        if word & SHIFT == 0 {
            return Some(Phase::Only(color));
        }
        let share = u16::try_from(word >> SHARE_AT).ok().and_then(|s| Share::per_mille(s).ok())?;
        Some(Phase::Shift { to: color, share })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_reads_back() {
        let packed = PackedPhase::default();
        assert_eq!(packed.get(), None);
        for color in Color::BOTH {
            packed.set(Phase::Only(color));
            assert_eq!(packed.get(), Some(Phase::Only(color)));
            for share in 0..=1000 {
                let phase = Phase::Shift { to: color, share: Share::per_mille(share).unwrap() };
                packed.set(phase);
                assert_eq!(packed.get(), Some(phase));
            }
        }
    }
}
