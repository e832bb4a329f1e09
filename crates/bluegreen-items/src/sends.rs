use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The sends of one write that may have been applied, the SDK's own repetitions included.
///
/// A send that the service turned away, for its rate or for a condition that does not hold, was not
/// applied. Only after one without such an answer may a later one be refused because of the write
/// itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sends {
    doubtful: Arc<AtomicU32>,
}

impl Sends {
    /// Whether one of them may have been applied although the last one was refused.
    pub(crate) fn are_in_doubt(&self) -> bool {
        self.doubtful.load(Ordering::Relaxed) > 0
    }

    /// One is on its way.
    pub(crate) fn begun(&self) {
        self.doubtful.fetch_add(1, Ordering::Relaxed);
    }

    /// The service said that it did not apply the one on its way.
    pub(crate) fn turned_away(&self) {
        self.doubtful.fetch_sub(1, Ordering::Relaxed);
    }
}
