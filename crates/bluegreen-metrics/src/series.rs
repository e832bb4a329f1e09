//! What CloudWatch knows as one metric, and what is recorded for it.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

use crate::amount::Taken;
use crate::counter::CounterCell;
use crate::dimensions::Dimension;
use crate::{Resolution, Unit};

/// Name, unit and dimensions of one metric, as CloudWatch keeps it.
#[derive(Debug)]
pub(crate) struct SeriesId {
    pub(crate) name: String,
    pub(crate) dimensions: Vec<Dimension>,
    pub(crate) resolution: Resolution,
    unit: Arc<OnceLock<Unit>>,
}

/// All that one series is published as: one for each set of dimensions.
pub(crate) type Targets = Arc<[Arc<SeriesId>]>;

impl SeriesId {
    pub(crate) fn new(
        name: &str,
        dimensions: Vec<Dimension>,
        resolution: Resolution,
        unit: Arc<OnceLock<Unit>>,
    ) -> Self {
        Self { name: name.to_owned(), dimensions, resolution, unit }
    }

    pub(crate) fn unit(&self) -> Unit {
        self.unit.get().copied().unwrap_or_default()
    }

    /// About how much memory it takes.
    pub(crate) fn memory(&self) -> usize {
        let dimension =
            |(name, value): &Dimension| size_of::<Dimension>() + name.len() + value.len();
        let dimensions: usize = self.dimensions.iter().map(dimension).sum();
        size_of::<Self>() + self.name.len() + dimensions
    }
}

/// A kind of series: what callers record in, and how the collector reads it.
pub(crate) trait Cell: Debug + Send + Sync + Sized + 'static {
    const KIND: &'static str;
    /// The metric that takes what is recorded under too many names.
    const OVERFLOW: &'static str;
    /// What the collector has taken so far.
    type Reading: Debug + Default + Send;

    /// A cell that counts what it refuses.
    fn make(refused: &Arc<CounterCell>) -> Self;

    /// The same where one was forgotten that [left](Self::left) something.
    fn resume(refused: &Arc<CounterCell>, _left: u64) -> Self {
        Self::make(refused)
    }

    /// What callers may go on from once the series was forgotten; nothing where every record stands
    /// for itself.
    fn left(&self) -> Option<u64> {
        None
    }

    /// What came since the last call.
    fn take(&self, reading: &mut Self::Reading) -> Taken;
}
