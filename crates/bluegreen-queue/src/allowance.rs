use std::time::Duration;

use bluegreen_core::Share;

use crate::Flow;

/// How many messages a consumer may have in its hands at this moment, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) permits: u32,
    /// Time until the number grows or shrinks by itself.
    pub(crate) changes: Option<Duration>,
    /// Time until it shrinks by itself: a poll should be over by then.
    pub(crate) shrinks: Option<Duration>,
}

/// The allowance under `flow` of a consumer with `limit` permits, `elapsed` into its slices.
///
/// A share of the permits is rarely a whole number. Of each `slice` of time the next higher number
/// holds for the fraction and the lower one for the rest, so that on average the share is exact
/// and above zero even for a share of one per mille of one permit.
pub(crate) fn allowance(flow: Flow, limit: u32, elapsed: Duration, slice: Duration) -> Allowance {
    match flow {
        Flow::Closed => Allowance { permits: 0, changes: None, shrinks: None },
        Flow::Open => Allowance { permits: limit, changes: None, shrinks: None },
        Flow::Bounded(share) => bounded(share, limit, elapsed, slice),
    }
}

fn bounded(share: Share, limit: u32, elapsed: Duration, slice: Duration) -> Allowance {
    let exact = u64::from(limit) * u64::from(share.as_per_mille());
    let whole = u32::try_from(exact / 1000).unwrap_or(limit);
    let fraction = u32::try_from(exact % 1000).unwrap_or(0);
    if fraction == 0 {
        return Allowance { permits: whole, changes: None, shrinks: None };
    }
    let more = slice * fraction / 1000;
    let position = elapsed.as_nanos() % slice.as_nanos().max(1);
    let position = Duration::from_nanos(u64::try_from(position).unwrap_or(0));
    match more.checked_sub(position).filter(|left| !left.is_zero()) {
        Some(left) => Allowance { permits: whole + 1, changes: Some(left), shrinks: Some(left) },
        None => {
            let left = slice.saturating_sub(position);
            Allowance { permits: whole, changes: Some(left), shrinks: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SLICE: Duration = Duration::from_secs(10);

    #[test]
    fn fractions_of_a_permit_become_slices_of_time() {
        let at = |limit, per_mille, elapsed: u64| {
            let flow = Flow::Bounded(Share::per_mille(per_mille).unwrap());
            let found = allowance(flow, limit, Duration::from_millis(elapsed), SLICE);
            (found.permits, found.changes.map(|left| left.as_millis()), found.shrinks.is_some())
        };
        // permits, share, time → permits, change in, shrinks
        assert_eq!(at(10, 100, 0), (1, None, false));
        assert_eq!(at(10, 50, 0), (1, Some(5_000), true));
        assert_eq!(at(10, 50, 4_999), (1, Some(1), true));
        assert_eq!(at(10, 50, 5_000), (0, Some(5_000), false));
        assert_eq!(at(10, 50, 12_000), (1, Some(3_000), true));
        assert_eq!(at(10, 150, 6_000), (1, Some(4_000), false));
        assert_eq!(at(1, 1, 0), (1, Some(10), true));
    }

    proptest! {
        #[test]
        fn on_average_the_share_is_exact_and_never_zero(limit in 1u32..200, per_mille in 1u16..1000) {
            let flow = Flow::Bounded(Share::per_mille(per_mille).unwrap());
            let slice = Duration::from_secs(1);
            let sum: u64 = (0..1000)
                .map(|ms| allowance(flow, limit, Duration::from_millis(ms), slice).permits)
                .map(u64::from)
                .sum();
            prop_assert!(sum > 0);
            prop_assert_eq!(sum, u64::from(limit) * u64::from(per_mille));
        }
    }
}
