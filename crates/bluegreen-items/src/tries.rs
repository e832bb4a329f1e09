use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::retry::{Classify, RetryClass};
use crate::{ItemError, Table, Versioned, counters};

/// The tries of one change.
#[derive(Debug)]
pub(crate) struct Tries<'a> {
    table: &'a Table,
    deadline: Instant,
    pauses: u32,
}

/// How a pause went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// There was none: after another's write the first try again is at once.
    None,
    /// Time has passed.
    Slept,
    /// No time is left for another try.
    Spent,
    /// The process stops, so there is no other try.
    Stopped,
}

impl Pause {
    /// The error to end with where there is no other try.
    pub(crate) fn end(self, error: ItemError) -> Result<(), ItemError> {
        match self {
            Self::None | Self::Slept => Ok(()),
            Self::Spent => Err(error),
            Self::Stopped => Err(ItemError::Stopped),
        }
    }
}

/// A service that turns calls away gets four times the pause of one that failed.
const THROTTLED: u32 = 2;

impl<'a> Tries<'a> {
    pub(crate) fn new(table: &'a Table) -> Self {
        Self { table, deadline: Instant::now() + table.config.budget, pauses: 0 }
    }

    /// Waits before the try after this error: by its class, and as long as the service asks.
    pub(crate) async fn pause(&mut self, error: &ItemError) -> Pause {
        let (config, counters) = (&self.table.config, self.table.dynamo().counters());
        if config.stop.is_requested() {
            return Pause::Stopped;
        }
        let class = error.retry_class();
        let delay = match (class, self.pauses) {
            (None, 0) => None,
            (None, pauses) => Some(pauses - 1),
            (Some(RetryClass::Throttling), pauses) => Some(pauses.saturating_add(THROTTLED)),
            (Some(_), pauses) => Some(pauses),
        };
        let delay = delay.map(|index| {
            let delay = config.backoff.delay(index, fastrand::u64(..));
            delay.max(error.retry_after().unwrap_or_default())
        });
        // A pause of nothing must not lead to a try after the deadline.
        let until = delay.map(|delay| Instant::now() + delay.max(Duration::from_nanos(1)));
        if until.is_some_and(|until| until > self.deadline) {
            if class.is_some() {
                counters.gave_up();
            }
            return Pause::Spent;
        }
        self.pauses = self.pauses.saturating_add(1);
        if let Some(delay) = delay {
            tokio::select! {
                biased;
                _ = config.stop.requested() => return Pause::Stopped,
                () = sleep(delay) => {}
            }
        }
        match class {
            Some(class) => counters.retried(class),
            None => counters.lost_race(),
        }
        if delay.is_some() { Pause::Slept } else { Pause::None }
    }

    /// The try before was good for something, so that pauses begin anew.
    pub(crate) const fn got_on(&mut self) {
        self.pauses = 0;
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
        let pause = self.pause(&error).await;
        pause.end(error).map_err(|error| final_word(error, item))
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
