//! The points between two steps of a write, at which tests let a process die.

#[cfg(not(test))]
pub(super) const fn passed() {}

/// Aborts the process at the n-th point, n being what the environment says.
#[cfg(test)]
pub(super) fn passed() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static PASSED: AtomicU32 = AtomicU32::new(0);
    let Ok(last) = std::env::var(ABORT_AT) else {
        return;
    };
    if PASSED.fetch_add(1, Ordering::SeqCst) + 1 == last.parse::<u32>().unwrap() {
        std::process::abort();
    }
}

#[cfg(test)]
pub(super) const ABORT_AT: &str = "BLUEGREEN_STATE_ABORT_AT";
