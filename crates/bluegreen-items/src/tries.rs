use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{ItemError, TableConfig, Versioned, counters};

/// The tries of one change.
#[derive(Debug)]
pub(crate) struct Tries<'a> {
    config: &'a TableConfig,
    deadline: Instant,
    pauses: u32,
}

/// How a pause went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// There was none: the first try again is at once.
    None,
    /// Time has passed.
    Slept,
    /// No time is left for another try.
    Spent,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(config: &'a TableConfig) -> Self {
        Self { config, deadline: Instant::now() + config.budget, pauses: 0 }
    }

    /// Waits before the next try.
    pub(crate) async fn pause(&mut self) -> Pause {
        let Some(index) = self.pauses.checked_sub(1) else {
            self.pauses = 1;
            counters::retried();
            return Pause::None;
        };
        let delay = self.config.backoff.delay(index, fastrand::u64(..));
        // A pause of nothing must not lead to a try after the deadline.
        if Instant::now() + delay.max(Duration::from_nanos(1)) > self.deadline {
            return Pause::Spent;
        }
        self.pauses = self.pauses.saturating_add(1);
        counters::retried();
        sleep(delay).await;
        Pause::Slept
    }

    /// Waits when saving the same item again may help, and answers the error when not.
    ///
    /// The SDK has repeated the call already. This goes on within the budget: a busy service is worth
    /// another try, and whether a write was applied can be asked for by nobody else once the item is
    /// dropped.
    pub(crate) async fn again<T>(
        &mut self,
        error: ItemError,
        item: &Versioned<T>,
    ) -> Result<(), ItemError> {
        if !error.is_retryable() {
            return Err(final_word(error, item));
        }
        tracing::warn!(%error, key = %item.key(), "the item was not saved, trying again");
        match self.pause().await {
            Pause::None | Pause::Slept => Ok(()),
            Pause::Spent => Err(final_word(error, item)),
        }
    }
}

/// The error to end with: a write that is still open can be asked for by nobody any more.
fn final_word<T>(error: ItemError, item: &Versioned<T>) -> ItemError {
    if item.unsettled().is_some() && error.leaves_open() {
        counters::outcome_unknown();
        tracing::warn!(%error, key = %item.key(), "whether the item was saved is unknown");
        return ItemError::OutcomeUnknown;
    }
    error
}
