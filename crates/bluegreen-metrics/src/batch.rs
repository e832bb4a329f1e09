//! How much goes into one call.

use crate::point::Point;

/// Datums of one `PutMetricData`, by CloudWatch's limit.
pub(crate) const MOST_DATUMS: usize = 1_000;
/// CloudWatch's limit is 1 MB; the rest is for what is around the datums.
const MOST_BYTES: usize = 990_000;

/// How many points from the front fit into one call of at most `limit` datums; at least one of any.
pub(crate) fn fitting<'a>(points: impl Iterator<Item = &'a Point>, limit: usize) -> usize {
    let mut bytes = 0;
    let fits = |(place, point): &(usize, &Point)| {
        bytes += point.wire_size();
        *place == 0 || bytes <= MOST_BYTES
    };
    points.take(limit).enumerate().take_while(fits).count()
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
        let full = points(1_000, 150);
        let size = full[0].wire_size();
        assert_eq!(fitting(full.iter(), MOST_DATUMS), MOST_BYTES / size);
    }
}
