use std::num::NonZeroU32;

/// A state that turns good after `rise` good results in a row and bad after `fall` bad ones, so
/// that one odd result does not move it.
///
/// ```
/// # use std::num::NonZeroU32;
/// # use bluegreen_core::RiseFall;
/// let two = NonZeroU32::new(2).unwrap();
/// let mut state = RiseFall::starting_bad(two, two);
/// assert_eq!(state.observe(true), None);
/// assert_eq!(state.observe(true), Some(true));
/// assert_eq!(state.observe(false), None);
/// assert!(state.is_good());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RiseFall {
    rise: NonZeroU32,
    fall: NonZeroU32,
    good: bool,
    against: u32,
}

impl RiseFall {
    /// A state that is bad until it has risen.
    #[must_use]
    pub const fn starting_bad(rise: NonZeroU32, fall: NonZeroU32) -> Self {
        Self { rise, fall, good: false, against: 0 }
    }

    /// A state that is good until it has fallen.
    #[must_use]
    pub const fn starting_good(rise: NonZeroU32, fall: NonZeroU32) -> Self {
        Self { rise, fall, good: true, against: 0 }
    }

    /// Takes one result in; the new state where this result changed it.
    pub fn observe(&mut self, good: bool) -> Option<bool> {
        if good == self.good {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let needed = if self.good { self.fall } else { self.rise };
        if self.against < needed.get() {
            return None;
        }
        self.good = good;
        self.against = 0;
        Some(good)
    }

    /// The state.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.good
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_never_changes_faster_than_its_thresholds(
            rise in 1u32..6, fall in 1u32..6, good: bool, results: Vec<bool>,
        ) {
            let (rise, fall) = (NonZeroU32::new(rise).unwrap(), NonZeroU32::new(fall).unwrap());
            let mut state = if good {
                RiseFall::starting_good(rise, fall)
            } else {
                RiseFall::starting_bad(rise, fall)
            };
            for (at, result) in results.iter().enumerate() {
                if let Some(now) = state.observe(*result) {
                    let needed = if now { rise } else { fall }.get() as usize;
                    prop_assert!(at + 1 >= needed);
                    prop_assert!(results[at + 1 - needed..=at].iter().all(|r| *r == now));
                }
            }
        }
    }
}
