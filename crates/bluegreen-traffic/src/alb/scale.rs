//! Between shares and weights. Pure.

use bluegreen_core::{ByColor, Share};

/// The weights of two shares that make a whole: percent where that is exact, as people write them,
/// per mille else. Both fit into the 0 to 999 that ELB allows, and their ratio is exact.
pub(super) fn weights(shares: ByColor<Share>) -> ByColor<i32> {
    let even = shares.iter().all(|(_, share)| share.as_per_mille() % 10 == 0);
    let divisor = if even { 10 } else { 1 };
    shares.map(|_, share| i32::from(share.as_per_mille() / divisor))
}

/// The shares of two weights, to the nearest per mille; both nothing where both weights are.
pub(super) fn shares(weights: ByColor<i32>) -> ByColor<Share> {
    let weights = weights.map(|_, weight| u64::from(weight.unsigned_abs()));
    let sum = weights.blue + weights.green;
    let blue = (weights.blue * 1000 + sum / 2).checked_div(sum);
    let blue = blue.and_then(|blue| u16::try_from(blue).ok());
    let Some(blue) = blue.and_then(|blue| Share::per_mille(blue).ok()) else {
        return ByColor::default();
    };
    ByColor { blue, green: blue.rest() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_fits_into_weights_and_reads_back_exactly() {
        for per_mille in 0..=1000 {
            let blue = Share::per_mille(per_mille).unwrap();
            let wanted = ByColor { blue, green: blue.rest() };
            let weights = weights(wanted);
            assert!(weights.iter().all(|(_, weight)| (0..=999).contains(weight)), "{per_mille}");
            assert_eq!(shares(weights), wanted);
        }
        let tenth = Share::percent(10).unwrap();
        assert_eq!(
            weights(ByColor { blue: tenth.rest(), green: tenth }),
            ByColor { blue: 90, green: 10 }
        );
        assert_eq!(shares(ByColor { blue: 0, green: 0 }), ByColor::default());
        assert_eq!(shares(ByColor { blue: 1, green: 2 }).green.as_per_mille(), 667);
    }
}
