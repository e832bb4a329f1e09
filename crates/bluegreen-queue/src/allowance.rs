use std::time::Duration;

use bluegreen_core::Share;

use crate::Flow;

/// How many messages a consumer may have in its hands at this moment, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) permits: u32,
    /// Whether a receive may wait for messages that are not there yet.
    pub(crate) may_wait: bool,
    /// Time until any of this changes by itself.
    pub(crate) changes: Option<Duration>,
    /// Time until it becomes less by itself: a receive that waits should be over by then.
    pub(crate) shrinks: Option<Duration>,
}

/// The allowance under `flow` of a consumer with `limit` permits, `elapsed` into its slices.
///
/// A busy queue is shared by permits. A share of them is rarely a whole number: of each `slice` of
/// time the next higher number holds for the fraction and the lower one for the rest, so that on
/// average the share is exact and above zero even for a share of one per mille of one permit.
///
/// An idle queue is shared by time, as a message goes to any of those who wait for it, however few
/// permits they have: the candidate waits for its share of each slice only.
///
/// Both begin with the slice, and slices with the wall clock: what a fleet of any size gets of an
/// idle queue is what arrives in that part of the time, at most.
pub(crate) fn allowance(flow: Flow, limit: u32, elapsed: Duration, slice: Duration) -> Allowance {
    let always = |permits| Allowance { permits, may_wait: true, changes: None, shrinks: None };
    match flow {
        Flow::Closed => always(0),
        Flow::Open => always(limit),
        Flow::Bounded(share) => bounded(share, limit, elapsed, slice),
    }
}

fn bounded(share: Share, limit: u32, elapsed: Duration, slice: Duration) -> Allowance {
    let exact = u64::from(limit) * u64::from(share.as_per_mille());
    let whole = u32::try_from(exact / 1000).unwrap_or(limit);
    let fraction = u32::try_from(exact % 1000).unwrap_or(0);
    let position = elapsed.as_nanos() % slice.as_nanos().max(1);
    let position = Duration::from_nanos(u64::try_from(position).unwrap_or(0));
    let until = |end: Duration| end.checked_sub(position).filter(|left| !left.is_zero());
    let more = until(slice * fraction / 1000);
    let window = until(slice * u32::from(share.as_per_mille()) / 1000);
    let next = slice.saturating_sub(position);
    Allowance {
        permits: if more.is_some() { whole + 1 } else { whole },
        may_wait: window.is_some(),
        changes: [more, window, Some(next)].into_iter().flatten().min(),
        shrinks: [more, window].into_iter().flatten().min(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SLICE: Duration = Duration::from_secs(10);

    fn at(limit: u32, per_mille: u16, elapsed: u64) -> (u32, bool, u128, Option<u128>) {
        let flow = Flow::Bounded(Share::per_mille(per_mille).unwrap());
        let found = allowance(flow, limit, Duration::from_millis(elapsed), SLICE);
        let millis = |time: Option<Duration>| time.map(|left| left.as_millis());
        let changes = millis(found.changes).unwrap();
        (found.permits, found.may_wait, changes, millis(found.shrinks))
    }

    #[test]
    fn fractions_of_a_permit_and_of_an_idle_queue_become_slices_of_time() {
        // permits, share, time → permits, may wait, change in, less in
        let table = [
            ((10, 100, 0), (1, true, 1_000, Some(1_000))),
            ((10, 100, 1_000), (1, false, 9_000, None)),
            ((10, 50, 0), (1, true, 500, Some(500))),
            ((10, 50, 500), (1, false, 4_500, Some(4_500))),
            ((10, 50, 4_999), (1, false, 1, Some(1))),
            ((10, 50, 5_000), (0, false, 5_000, None)),
            ((10, 50, 12_000), (1, false, 3_000, Some(3_000))),
            ((10, 150, 6_000), (1, false, 4_000, None)),
            ((1, 1, 0), (1, true, 10, Some(10))),
        ];
        for ((limit, per_mille, elapsed), expected) in table {
            assert_eq!(at(limit, per_mille, elapsed), expected, "{limit} {per_mille} {elapsed}");
        }
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
            let waits = (0..1000).filter(|ms| {
                let found = allowance(flow, limit, Duration::from_millis(*ms), slice);
                // What may wait for messages may also take one.
                assert!(!found.may_wait || found.permits > 0);
                found.may_wait
            });
            prop_assert_eq!(waits.count(), usize::from(per_mille));
            prop_assert!(sum > 0);
            prop_assert_eq!(sum, u64::from(limit) * u64::from(per_mille));
        }
    }
}
