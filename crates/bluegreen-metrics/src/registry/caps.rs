//! How many series there may be, and what is said of the first one too many.

use crate::dimensions::Labels;

/// Sets of label names of one metric that have an overflow series of their own.
const OVERFLOW_SHAPES: usize = 10;

/// The most series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caps {
    /// With labels, of one metric.
    pub(crate) of_metric: usize,
    /// Of all metrics.
    pub(crate) in_all: usize,
}

/// What has got too many, just now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Overflowing {
    /// The combinations of labels of one metric.
    Labels {
        /// The one that ran away.
        label: String,
    },
    /// The names of metrics.
    Names,
    /// The routes.
    Routes,
}

impl Overflowing {
    /// To be called without a lock: who hears it may record.
    pub(super) fn tell(&self, name: &str, caps: Caps) {
        let Caps { of_metric: max_series, in_all: max_total_series } = caps;
        match self {
            Self::Labels { label } => tracing::warn!(
                metric = name,
                label,
                max_series,
                max_total_series,
                "a metric has too many combinations of labels: further ones go into one series"
            ),
            Self::Names => tracing::warn!(
                metric = name,
                max_total_series,
                "there are too many series: metrics of further names go into one of their kind"
            ),
            Self::Routes => tracing::warn!(
                label = super::routes::ROUTE,
                first = name,
                max_series,
                max_total_series,
                "there are too many routes: further ones go into one series"
            ),
        }
    }
}

/// The labels of the series that takes what is too many: the same names as long as those are few,
/// so that a set of dimensions stays what a dashboard knows.
pub(super) fn folded(labels: &Labels, is_known: impl Fn(&Labels) -> bool, shapes: usize) -> Labels {
    let same_names = labels.folded();
    if is_known(&same_names) || shapes < OVERFLOW_SHAPES { same_names } else { Labels::overflow() }
}
