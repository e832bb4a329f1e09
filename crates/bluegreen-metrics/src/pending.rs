//! What is not sent yet, within bounded memory.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use crate::point::Point;

mod memory;

use memory::Memory;

/// CloudWatch takes two weeks back; an hour less keeps clear of the edge.
const OLDEST: Duration = Duration::from_secs((14 * 24 - 1) * 3600);
/// CloudWatch takes two hours ahead, as after a clock that was set back.
const NEWEST: Duration = Duration::from_secs(2 * 3600 - 60);

/// Points in order of age, oldest first.
#[derive(Debug)]
pub(crate) struct Pending {
    points: VecDeque<Point>,
    memory: Memory,
    max_memory: usize,
    in_call: usize,
}

impl Pending {
    pub(crate) fn new(max_memory: usize) -> Self {
        Self { points: VecDeque::new(), memory: Memory::default(), max_memory, in_call: 0 }
    }

    /// Adds new points; answers how many of the oldest had to go.
    pub(crate) fn add(&mut self, points: Vec<Point>) -> usize {
        for point in points {
            self.memory.add(&point);
            self.points.push_back(point);
        }
        self.shrink()
    }

    /// Takes so many of the oldest points. They count as being in a call until [`settled`](Self::settled) or [given back](Self::give_back); those
    /// of a call that was cut off stay.
    pub(crate) fn take(&mut self, count: usize) -> Vec<Point> {
        let count = count.min(self.points.len());
        let taken: Vec<_> = self.points.drain(..count).collect();
        taken.iter().for_each(|point| self.memory.remove(point));
        self.in_call += taken.len();
        taken
    }

    /// So many points in a call need no more care.
    pub(crate) fn settled(&mut self, points: usize) {
        self.in_call -= points;
    }

    /// Puts the points of a failed call back; answers how many of the oldest had to go.
    pub(crate) fn give_back(&mut self, points: Vec<Point>) -> usize {
        self.in_call -= points.len();
        for point in points.into_iter().rev() {
            self.memory.add(&point);
            self.points.push_front(point);
        }
        self.shrink()
    }

    /// Drops what CloudWatch no longer takes for its age, or not yet; answers how many.
    pub(crate) fn drop_stale(&mut self, now: SystemTime) -> usize {
        let before = self.points.len();
        let is_stale = |point: &Point| {
            now.duration_since(point.start).is_ok_and(|age| age > OLDEST)
                || point.start.duration_since(now).is_ok_and(|ahead| ahead > NEWEST)
        };
        let memory = &mut self.memory;
        self.points.retain(|point| {
            let stale = is_stale(point);
            if stale {
                memory.remove(point);
            }
            !stale
        });
        before - self.points.len()
    }

    /// Points waiting or in a call.
    pub(crate) fn len(&self) -> usize {
        self.points.len() + self.in_call
    }

    /// The points to take, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Point> {
        self.points.iter()
    }

    fn shrink(&mut self) -> usize {
        let mut dropped = 0;
        while self.memory.bytes() > self.max_memory
            && let Some(oldest) = self.points.pop_front()
        {
            self.memory.remove(&oldest);
            dropped += 1;
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::point::Samples;

    fn points(values: std::ops::Range<u64>) -> Vec<Point> {
        let start = |value| UNIX_EPOCH + Duration::from_secs(60 * value);
        values.flat_map(|value| Point::named("m", start(value), &[(value as f64, 1)])).collect()
    }

    fn values(points: &[Point]) -> Vec<f64> {
        let one = |point: &Point| match point.samples {
            Samples::One(value) => value,
            Samples::Many { .. } => f64::NAN,
        };
        points.iter().map(one).collect()
    }

    #[test]
    fn a_failed_call_joins_the_next_one_in_order() {
        let mut pending = Pending::new(1_000_000);
        assert_eq!(pending.add(points(0..3)), 0);
        let taken = pending.take(2);
        assert_eq!((values(&taken), pending.len()), (vec![0.0, 1.0], 3));
        assert_eq!(pending.give_back(taken), 0);
        assert_eq!(pending.add(points(3..4)), 0);
        assert_eq!(values(&pending.take(1_000)), [0.0, 1.0, 2.0, 3.0]);
        pending.settled(4);
        assert_eq!(pending.len(), 0);
        assert_eq!(pending.memory.bytes(), 0);
    }

    #[test]
    fn past_the_bound_the_oldest_go() {
        let one = &points(0..1)[0];
        let one = one.memory() + one.series.memory();
        let mut pending = Pending::new(5 * one);
        assert_eq!(pending.add(points(0..8)), 3);
        let taken = pending.take(2);
        assert_eq!(pending.add(points(8..10)), 0);
        assert_eq!(pending.give_back(taken), 2);
        assert_eq!(values(&pending.take(1_000)), [5.0, 6.0, 7.0, 8.0, 9.0]);
    }

    #[test]
    fn what_cloudwatch_would_refuse_for_its_age_goes() {
        let mut pending = Pending::new(1_000_000);
        pending.add(points(0..200));
        // Two weeks less an hour after minute 10, and an hour and 59 minutes before minute 150.
        assert_eq!(pending.drop_stale(UNIX_EPOCH + OLDEST + Duration::from_secs(600)), 10);
        assert_eq!(pending.drop_stale(UNIX_EPOCH + Duration::from_secs(31 * 60)), 49);
        assert_eq!(values(&pending.take(1_000)).len(), 141);
    }

    #[test]
    fn names_count_once_for_a_series_as_long_as_a_point_of_it_waits() {
        let name = "x".repeat(10_000);
        let one = Point::named(&name, UNIX_EPOCH, &[(1.0, 1)]);
        let mut pending = Pending::new(1_000_000);
        for _ in 0..50 {
            assert_eq!(pending.add(one.clone()), 0);
        }
        let bytes = pending.memory.bytes();
        assert!((10_000..10_000 + 50 * 256).contains(&bytes), "{bytes}");
        let taken = pending.take(49);
        assert!(pending.memory.bytes() > 10_000);
        let last = pending.take(1);
        assert_eq!(pending.memory.bytes(), 0);
        pending.give_back(last);
        pending.give_back(taken);
        assert_eq!(pending.memory.bytes(), bytes);
        assert_eq!(pending.drop_stale(UNIX_EPOCH + 2 * OLDEST), 50);
        assert_eq!(pending.memory.bytes(), 0);
        // Each of a series of its own, as when they come and are forgotten.
        let mut pending = Pending::new(100_000);
        let dropped: usize =
            (0..50).map(|_| pending.add(Point::named(&name, UNIX_EPOCH, &[(1.0, 1)]))).sum();
        assert_eq!((pending.len(), dropped), (9, 41));
    }
}
