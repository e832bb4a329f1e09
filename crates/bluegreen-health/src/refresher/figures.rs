//! What is measured, for whatever recorder the service has; nothing without the feature `metrics`.
//!
//! A status is 1 when healthy, 0.5 when degraded and 0 otherwise, so that its average over a fleet
//! is the part of the fleet that is well.

#[cfg(not(feature = "metrics"))]
pub(super) use off::{check, describe, process};
#[cfg(feature = "metrics")]
pub(super) use on::{check, describe, process};

#[cfg(feature = "metrics")]
mod on {
    use std::time::Duration;

    use metrics::{
        Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
    };

    use crate::{Check, Status};

    pub(in crate::refresher) fn describe() {
        describe_gauge!(
            "bluegreen_health_status",
            "How the process is: 1 healthy, 0.5 degraded, 0 otherwise."
        );
        describe_gauge!(
            "bluegreen_health_check_status",
            "How what a check asks is: 1 healthy, 0.5 degraded, 0 unhealthy."
        );
        describe_histogram!(
            "bluegreen_health_check_seconds",
            Unit::Seconds,
            "How long a run of a check took."
        );
        describe_counter!(
            "bluegreen_health_check_failures",
            Unit::Count,
            "Runs of a check that failed, by class."
        );
    }

    pub(in crate::refresher) fn process(status: Status) {
        gauge!("bluegreen_health_status").set(number(status));
    }

    pub(in crate::refresher) fn check(check: &Check, took: Duration) {
        let name = || check.name.clone();
        gauge!("bluegreen_health_check_status", "check" => name()).set(number(check.status));
        histogram!("bluegreen_health_check_seconds", "check" => name()).record(took);
        if let Some(kind) = check.kind {
            let class = kind.as_str();
            counter!("bluegreen_health_check_failures", "check" => name(), "class" => class)
                .increment(1);
        }
    }

    const fn number(status: Status) -> f64 {
        match status {
            Status::Healthy => 1.0,
            Status::Degraded => 0.5,
            Status::Unhealthy | Status::Draining => 0.0,
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod off {
    use std::time::Duration;

    use crate::{Check, Status};

    pub(in crate::refresher) const fn describe() {}

    pub(in crate::refresher) const fn process(_: Status) {}

    pub(in crate::refresher) const fn check(_: &Check, _: Duration) {}
}
