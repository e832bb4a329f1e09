//! What is counted, for whatever recorder the service has; nothing without the feature `metrics`.

#[cfg(feature = "metrics")]
fn add(name: &'static str) {
    metrics::counter!(name).increment(1);
}

#[cfg(not(feature = "metrics"))]
const fn add(_name: &'static str) {}

/// A write lost against another one.
pub(crate) fn conflict() {
    add("bluegreen_items_conflicts");
}

/// A write that the service refused was recognized as applied before.
pub(crate) fn recognized() {
    add("bluegreen_items_recognized_writes");
}

/// Whether a write was applied can no longer be told.
pub(crate) fn outcome_unknown() {
    add("bluegreen_items_unknown_outcomes");
}

/// A call or a change was tried again, for this reason.
#[cfg(feature = "metrics")]
pub(crate) fn retried(reason: &'static str) {
    metrics::counter!("bluegreen_items_retries", "reason" => reason).increment(1);
}

/// A call or a change was tried again, for this reason.
#[cfg(not(feature = "metrics"))]
pub(crate) const fn retried(_reason: &'static str) {}

/// An item of a newer schema version was stored in an earlier one, and lost something by it.
pub(crate) fn lossy() {
    add("bluegreen_items_lossy_steps_down");
}
