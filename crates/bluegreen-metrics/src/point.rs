//! What one series has to say about one window, in the size of one datum.

use std::sync::Arc;
use std::time::SystemTime;

use crate::dimensions::Dimension;
use crate::series::SeriesId;

/// One datum to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) series: Arc<SeriesId>,
    /// The start of the window.
    pub(crate) start: SystemTime,
    pub(crate) samples: Samples,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Samples {
    One(f64),
    Many { values: Vec<f64>, counts: Vec<f64> },
}

/// What a point takes beside its values: the point itself and the queue around it.
const POINT_BYTES: usize = 128;
const VALUE_BYTES: usize = 16;

/// Of one datum in CBOR the map, the names of its fields, timestamp, longest unit and resolution, and
/// the heads of its lists, rounded up.
const WIRE_DATUM: usize = 116;
/// The map of one dimension, and the names of its fields.
const WIRE_DIMENSION: usize = 13;
/// A value and its count: eight bytes and a type each.
const WIRE_VALUE: usize = 18;

impl Samples {
    fn of(values: &[(f64, u64)]) -> Self {
        match values {
            [(value, 1)] => Self::One(*value),
            values => Self::Many {
                values: values.iter().map(|(value, _)| *value).collect(),
                counts: values.iter().map(|(_, count)| *count as f64).collect(),
            },
        }
    }
}

impl Point {
    /// Counted values as points of at most so many.
    pub(crate) fn many(
        series: &Arc<SeriesId>,
        start: SystemTime,
        values: &[(f64, u64)],
        limit: usize,
    ) -> impl Iterator<Item = Self> {
        values.chunks(limit.max(1)).map(move |values| Self {
            series: Arc::clone(series),
            start,
            samples: Samples::of(values),
        })
    }

    /// How many distinct values it has; none where it has a single one.
    pub(crate) fn values(&self) -> usize {
        match &self.samples {
            Samples::One(_) => 0,
            Samples::Many { values, .. } => values.len(),
        }
    }

    /// About how much memory it takes.
    pub(crate) fn memory(&self) -> usize {
        POINT_BYTES + self.values() * VALUE_BYTES
    }

    /// At most how much of a request it takes, before compression.
    pub(crate) fn wire_size(&self) -> usize {
        wire_size(&self.series, self.values())
    }
}

/// At most how much of a request a datum of so many values takes, before compression.
pub(crate) fn wire_size(series: &SeriesId, values: usize) -> usize {
    let dimension = |(name, value): &Dimension| WIRE_DIMENSION + wire_text(name) + wire_text(value);
    let dimensions: usize = series.dimensions.iter().map(dimension).sum();
    WIRE_DATUM + wire_text(&series.name) + dimensions + values * WIRE_VALUE
}

/// A text with its length before it.
fn wire_text(text: &str) -> usize {
    let head = match text.len() {
        ..24 => 1,
        24..256 => 2,
        _ => 3,
    };
    head + text.len()
}

#[cfg(test)]
impl Point {
    /// A point of a series of its own name.
    pub(crate) fn named(name: &str, start: SystemTime, values: &[(f64, u64)]) -> Vec<Self> {
        use std::sync::OnceLock;
        let dimensions = vec![
            ("Environment".to_owned(), "blue".to_owned()),
            ("Service".to_owned(), "orders".to_owned()),
        ];
        let unit = Arc::new(OnceLock::from(crate::Unit::Milliseconds));
        let id = SeriesId::new(name, dimensions, crate::Resolution::Minute, unit);
        Self::many(&Arc::new(id), start, values, 150).collect()
    }
}
