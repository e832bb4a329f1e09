//! CPU time, which a busy machine disturbs less than wall time.

use rustix::time::{ClockId, clock_gettime};

/// The CPU time this process has used so far, in nanoseconds.
pub(crate) fn nanoseconds() -> f64 {
    of(ClockId::ProcessCPUTime)
}

/// The CPU time this thread has used so far, in nanoseconds.
pub(crate) fn thread_nanoseconds() -> f64 {
    of(ClockId::ThreadCPUTime)
}

fn of(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    #[expect(clippy::cast_precision_loss, reason = "a process that ran 100 days would lose 1 ns")]
    let (seconds, nanoseconds) = (time.tv_sec as f64, time.tv_nsec as f64);
    seconds * 1e9 + nanoseconds
}

/// The median of several measurements.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
