//! How much goes into one call.

use crate::point::Point;

/// Datums of one `PutMetricData`, by CloudWatch's limit.
pub(crate) const MOST_DATUMS: usize = 1_000;
/// CloudWatch's limit is 1 MB; the rest is for what is around the datums.
const MOST_BYTES: usize = 990_000;

/// How many points from the front fit into one call of at most `limit` datums; at least one of any.
pub(crate) fn fitting<'a>(points: impl Iterator<Item = &'a Point>, limit: usize) -> usize {
    of_sizes(points.map(Point::wire_size), limit)
}

/// How many calls datums of these sizes take.
pub(crate) fn calls(sizes: &[usize]) -> u64 {
    let (mut rest, mut calls) = (sizes, 0);
    while let Some((_, more)) = rest.split_at_checked(of_sizes(rest.iter().copied(), MOST_DATUMS))
        && !rest.is_empty()
    {
        calls += 1;
        rest = more;
    }
    calls
}

fn of_sizes(sizes: impl Iterator<Item = usize>, limit: usize) -> usize {
    let mut bytes = 0;
    let fits = |(place, size): &(usize, usize)| {
        bytes += size;
        *place == 0 || bytes <= MOST_BYTES
    };
    sizes.take(limit).enumerate().take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn points(count: usize, values: usize) -> Vec<Point> {
        let values: Vec<_> = (0..values).map(|value| (value as f64, 1)).collect();
        let point = |_| Point::named("m", UNIX_EPOCH, &values);
        (0..count).flat_map(point).collect()
    }

    #[test]
    fn a_call_is_filled_to_the_datums_or_the_bytes_whichever_comes_first() {
        assert_eq!(fitting(points(0, 1).iter(), MOST_DATUMS), 0);
        assert_eq!(fitting(points(3, 1).iter(), MOST_DATUMS), 3);
        assert_eq!(fitting(points(2_000, 1).iter(), MOST_DATUMS), 1_000);
        assert_eq!(fitting(points(2_000, 1).iter(), 7), 7);
        for (sizes, expected) in [
            (vec![], 0),
            (vec![100; 1_000], 1),
            (vec![100; 1_001], 2),
            (vec![MOST_BYTES / 2; 5], 3),
            // No datum is as large, but none may stop the count.
            (vec![MOST_BYTES + 1; 2], 2),
        ] {
            assert_eq!(calls(&sizes), expected);
        }
        let full = points(1_000, 150);
        let size = full[0].wire_size();
        assert_eq!(fitting(full.iter(), MOST_DATUMS), MOST_BYTES / size);
    }
}
