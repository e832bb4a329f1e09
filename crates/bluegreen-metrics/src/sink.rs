//! Where points go: calls to CloudWatch, or lines of a log.

use crate::batch;
use crate::emf::{self, Emf};
use crate::histogram::VALUES_PER_DATUM;
use crate::point::Point;
use crate::put::{Failed, Put};

#[derive(Debug)]
pub(crate) enum Sink {
    Calls(Put),
    Logs(Emf),
}

impl Sink {
    /// Points in the order in which they make the fewest deliveries.
    pub(crate) fn arranged(&self, points: Vec<Point>) -> Vec<Point> {
        match self {
            Self::Calls(_) => points,
            Self::Logs(_) => emf::arranged(points),
        }
    }

    /// How many of the points from the front go into one delivery of at most `limit`; at least one
    /// of any.
    pub(crate) fn fitting<'a>(
        &self,
        points: impl Iterator<Item = &'a Point>,
        limit: usize,
    ) -> usize {
        match self {
            Self::Calls(_) => batch::fitting(points, limit),
            Self::Logs(_) => emf::fitting(points, limit),
        }
    }

    /// Distinct values that one point may have.
    pub(crate) const fn values_per_point(&self) -> usize {
        match self {
            Self::Calls(_) => VALUES_PER_DATUM,
            Self::Logs(_) => emf::VALUES_PER_METRIC,
        }
    }

    /// Delivers once; a call takes no longer than `patience`.
    pub(crate) async fn deliver(
        &self,
        points: &[Point],
        patience: impl Future<Output = ()>,
    ) -> Result<(), Failed> {
        match self {
            Self::Calls(put) => put.put(points, patience).await,
            Self::Logs(emf) => emf.write(points).await,
        }
    }
}
