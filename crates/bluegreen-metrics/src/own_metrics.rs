//! The metrics that this crate publishes itself, by name.

use std::sync::Arc;

use crate::MetricsError;
use crate::counter::CounterCell;
use crate::dimensions::Labels;
use crate::registry::Registry;
use crate::requests::{ERROR_COUNT, IN_FLIGHT, REQUEST_COUNT, REQUEST_LATENCY};
use crate::stats::DropCause;

const FAILED_SENDS: &str = "MetricsFailedSends";
const DROPPED: &str = "MetricsDropped";
/// A name of its own: under the other one a declared total would count each drop twice.
const DROPPED_BY_CAUSE: &str = "MetricsDroppedByCause";
const RESENT: &str = "MetricsResent";
const REFUSED: &str = "MetricsRefused";
const FOLDED: &str = "MetricsFolded";
/// The label that tells drops of one cause from those of another.
const CAUSE: &str = "Cause";
/// What is recorded under too many names.
pub(crate) const OVERFLOW_COUNTER: &str = "OverflowCounter";
pub(crate) const OVERFLOW_GAUGE: &str = "OverflowGauge";
pub(crate) const OVERFLOW_DISTRIBUTION: &str = "OverflowDistribution";
/// Events of level ERROR, by target.
pub(crate) const ERROR_EVENTS: &str = "ErrorEvents";

/// The metrics about the metrics, sent only when there is something to tell.
#[derive(Debug, Default)]
pub(crate) struct OwnMetrics {
    pub(crate) failed_sends: Arc<CounterCell>,
    pub(crate) dropped: Arc<CounterCell>,
    pub(crate) dropped_by_cause: [Arc<CounterCell>; 5],
    pub(crate) resent: Arc<CounterCell>,
}

impl OwnMetrics {
    /// Has them published, those that the registry counts included.
    pub(crate) fn of(registry: &Registry) -> Self {
        let own = Self::default();
        for (name, cell) in [
            (FAILED_SENDS, &own.failed_sends),
            (DROPPED, &own.dropped),
            (RESENT, &own.resent),
            (REFUSED, registry.refused()),
            (FOLDED, registry.folded()),
        ] {
            registry.adopt(name, Labels::default(), cell);
        }
        for (cause, cell) in DropCause::ALL.iter().zip(&own.dropped_by_cause) {
            registry.adopt(DROPPED_BY_CAUSE, Labels::one(CAUSE, cause.as_str()), cell);
        }
        own
    }
}

/// Whether a metric is about the metrics.
pub(crate) fn is_own(name: &str) -> bool {
    [FAILED_SENDS, DROPPED, DROPPED_BY_CAUSE, RESENT, REFUSED, FOLDED].contains(&name)
}

/// Keeps a caller's metrics out of those that this crate publishes and reads.
pub(crate) fn check_not_reserved(name: &str) -> Result<(), MetricsError> {
    const OTHERS: [&str; 8] = [
        REQUEST_COUNT,
        ERROR_COUNT,
        REQUEST_LATENCY,
        IN_FLIGHT,
        ERROR_EVENTS,
        OVERFLOW_COUNTER,
        OVERFLOW_GAUGE,
        OVERFLOW_DISTRIBUTION,
    ];
    if OTHERS.contains(&name) || is_own(name) {
        let bound = "none of the metrics that this crate publishes itself";
        return Err(MetricsError::Name { field: "metric", found: name.to_owned(), bound });
    }
    Ok(())
}
