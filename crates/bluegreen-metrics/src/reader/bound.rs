//! Which requests lie above a bound, and which within it.
//!
//! Requests are published as the means of buckets, each at most 0.79 % wide, so a bound that lies in
//! the middle of a bucket would count its requests now here, now there, by who else was in it. A
//! bound therefore counts from the upper edge of its bucket: below the edge is within, from it on is
//! above, whoever else is there.

use std::time::Duration;

use crate::{TimeUnit, bucket};

/// What CloudWatch is asked for lies so far below the edge, in milliseconds: less than a nanosecond,
/// the step of what is recorded, so that it parts the last request below the edge from the first
/// one at it.
const BELOW: f64 = 1e-7;

/// The shortest time, in milliseconds, that lies above a bound.
fn edge(bound: Duration) -> f64 {
    let millis = TimeUnit::Milliseconds.of(bound);
    // Bounds are checked: all of them fall into a bucket.
    bucket::index_of(millis).map_or(millis, bucket::upper_edge)
}

/// The statistic that counts what lies above the bound. CloudWatch's lower bounds are exclusive.
pub(super) fn above(bound: Duration) -> String {
    format!("TC({:.7}:)", edge(bound) - BELOW)
}

/// The statistic that counts what lies within the bound. CloudWatch's upper bounds are inclusive.
pub(super) fn within(bound: Duration) -> String {
    format!("TC(:{:.7})", edge(bound) - BELOW)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::distribution::{DistributionCell, Reading};
    use crate::series::Cell as _;

    #[test]
    fn a_bound_counts_from_the_edge_of_its_bucket() {
        for (millis, first_above, statistic) in [
            (1.0, 1.007_812_5, "TC(1.0078124:)"),
            (100.0, 100.5, "TC(100.4999999:)"),
            (250.0, 251.0, "TC(250.9999999:)"),
            (250.9, 251.0, "TC(250.9999999:)"),
            (251.0, 252.0, "TC(251.9999999:)"),
            (1_001.0, 1_004.0, "TC(1003.9999999:)"),
            (86_400_000.0, 86_507_520.0, "TC(86507519.9999999:)"),
        ] {
            let bound = Duration::from_secs_f64(millis / 1e3);
            assert_eq!(edge(bound), first_above, "{millis}");
            assert!(first_above <= millis * 1.007_9, "at most 0.79 % above {millis}");
            assert_eq!(above(bound), statistic);
            assert_eq!(within(bound), statistic.replace("TC(", "TC(:").replace(":)", ")"));
        }
    }

    /// How many lie above and within, as CloudWatch counts what is published.
    fn counted(bound: Duration, requests: &[Duration]) -> (u64, u64) {
        let cell = DistributionCell::make(&Arc::default());
        requests.iter().for_each(|took| cell.record(TimeUnit::Milliseconds.of(*took), 1));
        let text = above(bound);
        let number: f64 = text["TC(".len()..text.len() - ":)".len()].parse().unwrap();
        let values = cell.read(&mut Reading::default()).values();
        let (mut above, mut within) = (0, 0);
        for (value, count) in values {
            *if value > number { &mut above } else { &mut within } += count;
        }
        (above, within)
    }

    proptest! {
        #[test]
        fn who_else_is_in_its_bucket_moves_no_request_over_a_bound(
            bound in 1_000_000u64..1_000_000_000,
            near in prop::collection::vec(-20_000_000i64..20_000_000, 1..40),
        ) {
            let requests: Vec<_> = near
                .into_iter()
                .map(|near| Duration::from_nanos(bound.saturating_add_signed(near)))
                .collect();
            let bound = Duration::from_nanos(bound);
            let edge = edge(bound);
            let above = requests.iter().filter(|took| TimeUnit::Milliseconds.of(**took) >= edge).count() as u64;
            prop_assert_eq!(counted(bound, &requests), (above, requests.len() as u64 - above));
            // Never one that took no longer than the bound itself.
            let longer = requests.iter().filter(|took| **took > bound).count() as u64;
            prop_assert!(above <= longer);
        }
    }
}
