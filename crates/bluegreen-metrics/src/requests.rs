//! The figures of requests: one record makes count, error and latency, so that they add up.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::TimeUnit;
use crate::counter::CounterCell;
use crate::distribution::{DistributionCell, Reading};
use crate::histogram::Histogram;
use crate::series::Cell as _;
use crate::shard::Sharded;

/// Requests, counted. Always sent, zero included: the sign that this color reports at all.
pub(crate) const REQUEST_COUNT: &str = "RequestCount";
/// Those of them that failed.
pub(crate) const ERROR_COUNT: &str = "ErrorCount";
/// How long each took, in milliseconds.
pub(crate) const REQUEST_LATENCY: &str = "RequestLatency";
/// How many were being worked on at the end of the window.
pub(crate) const IN_FLIGHT: &str = "InFlight";

/// A request is recorded once, when it ends, in the distribution of its outcome; the counts are
/// those of the distributions, so no window can hold an error without its request or a request
/// without its latency.
#[derive(Debug)]
pub(crate) struct RequestsCell {
    started: Sharded<AtomicU64>,
    succeeded: DistributionCell,
    failed: DistributionCell,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Succeeded,
    Failed,
}

/// What came in one window.
#[derive(Debug)]
pub(crate) struct RequestWindow {
    pub(crate) latency: Histogram,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) in_flight: u64,
}

/// The single reader.
#[derive(Debug, Default)]
pub(crate) struct RequestsReading {
    succeeded: Reading,
    failed: Reading,
    ended: u64,
}

impl RequestsCell {
    pub(crate) fn new(refused: &Arc<CounterCell>) -> Self {
        Self {
            started: Sharded::default(),
            succeeded: DistributionCell::make(refused),
            failed: DistributionCell::make(refused),
        }
    }

    pub(crate) fn start(&self) {
        self.started.add(1);
    }

    pub(crate) fn end(&self, ending: Ending, took: Duration) {
        let millis = TimeUnit::Milliseconds.of(took);
        match ending {
            Ending::Succeeded => self.succeeded.record(millis, 1),
            Ending::Failed => self.failed.record(millis, 1),
        }
    }
}

impl RequestsReading {
    pub(crate) fn take(&mut self, cell: &RequestsCell) -> RequestWindow {
        let (succeeded, failed) =
            (cell.succeeded.read(&mut self.succeeded), cell.failed.read(&mut self.failed));
        let errors = failed.count();
        let latency = succeeded.join(failed);
        let requests = latency.count();
        self.ended = self.ended.wrapping_add(requests);
        // Read after the endings: each of them has its start in here.
        let in_flight = cell.started.sum().wrapping_sub(self.ended);
        RequestWindow { latency, requests, errors, in_flight }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_milliseconds_are_whole_latencies() {
        let (cell, mut reading) = (RequestsCell::new(&Arc::default()), RequestsReading::default());
        for millis in 1..20_000u32 {
            cell.end(Ending::Succeeded, Duration::from_millis(millis.into()));
            let latency = reading.take(&cell).latency;
            assert_eq!(latency.values(), [(f64::from(millis), 1)]);
        }
    }

    #[test]
    fn count_errors_latency_and_in_flight_come_of_one_record() {
        let cell = RequestsCell::new(&Arc::default());
        let mut reading = RequestsReading::default();
        (0..5).for_each(|_| cell.start());
        cell.end(Ending::Succeeded, Duration::from_millis(10));
        cell.end(Ending::Failed, Duration::from_millis(30));
        let window = reading.take(&cell);
        assert_eq!((window.requests, window.errors, window.in_flight), (2, 1, 3));
        assert_eq!(window.latency.values(), [(10.0, 1), (30.0, 1)]);
        (0..3).for_each(|_| cell.end(Ending::Succeeded, Duration::ZERO));
        let window = reading.take(&cell);
        assert_eq!((window.requests, window.errors, window.in_flight), (3, 0, 0));
        let window = reading.take(&cell);
        assert_eq!((window.requests, window.errors, window.in_flight), (0, 0, 0));
    }
}
