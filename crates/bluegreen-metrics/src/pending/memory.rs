//! About how much memory points take, with the names of their series.

use std::collections::HashMap;
use std::sync::Arc;

use crate::point::Point;

/// Names and dimensions count once for all points of a series: a series that is forgotten lives on in
/// what waits, and of those that come and go there is no end.
#[derive(Debug, Default)]
pub(super) struct Memory {
    bytes: usize,
    /// How many points of each series there are, by its address, which is its own as long as one is.
    points: HashMap<usize, usize>,
}

impl Memory {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn add(&mut self, point: &Point) {
        let points = self.points.entry(address(point)).or_default();
        if *points == 0 {
            self.bytes += point.series.memory();
        }
        *points += 1;
        self.bytes += point.memory();
    }

    pub(super) fn remove(&mut self, point: &Point) {
        self.bytes -= point.memory();
        let Some(points) = self.points.get_mut(&address(point)) else { return };
        *points -= 1;
        if *points == 0 {
            self.bytes -= point.series.memory();
            self.points.remove(&address(point));
        }
    }
}

fn address(point: &Point) -> usize {
    Arc::as_ptr(&point.series).addr()
}
