//! Changes that are tried again.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use crate::{ItemError, Key, Table, TableConfig, Versioned, counters};

impl Table {
    /// Reads an item, changes it and saves it, again from the newer item where another write came
    /// first, with growing pauses under full jitter within the
    /// [budget](crate::TableConfig::budget).
    ///
    /// `change` may run several times, each time on a fresh value; what it does is applied once.
    /// Two calls where nobody interferes: a read and a write.
    ///
    /// # Errors
    /// [`ItemError::Gone`] when there is no item; [`ItemError::Conflict`] when others came first
    /// until the budget was spent; [`ItemError::OutcomeUnknown`] when it was spent on a service that
    /// did not say whether the write happened; as [`get`](Self::get) and [`save`](Self::save).
    pub async fn modify<T: Serialize + DeserializeOwned>(
        &self,
        key: &Key,
        mut change: impl FnMut(&mut T),
    ) -> Result<Versioned<T>, ItemError> {
        self.try_modify(key, |value| {
            change(value);
            Ok(())
        })
        .await
    }

    /// The same with a change that may refuse: nothing is written then, and its error is answered.
    ///
    /// ```
    /// # use bluegreen_items::{ItemError, Key, Table};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Stock { left: u32 }
    /// #[derive(Debug)]
    /// enum Refusal {
    ///     SoldOut,
    ///     Item(ItemError),
    /// }
    ///
    /// impl From<ItemError> for Refusal {
    ///     fn from(error: ItemError) -> Self {
    ///         Self::Item(error)
    ///     }
    /// }
    ///
    /// # async fn example(stocks: Table, key: Key) -> Result<(), Refusal> {
    /// let take = |stock: &mut Stock| -> Result<(), Refusal> {
    ///     stock.left = stock.left.checked_sub(1).ok_or(Refusal::SoldOut)?;
    ///     Ok(())
    /// };
    /// let stock = stocks.try_modify(&key, take).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `change` answers, and as [`modify`](Self::modify).
    pub async fn try_modify<T, E>(
        &self,
        key: &Key,
        mut change: impl FnMut(&mut T) -> Result<(), E>,
    ) -> Result<Versioned<T>, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<ItemError>,
    {
        let mut tries = Tries::new(&self.config);
        let mut item = self.get(key).await?.ok_or(ItemError::Gone)?;
        change(item.value_mut())?;
        loop {
            match self.save(&mut item).await {
                Ok(_) => return Ok(item),
                Err(ItemError::Conflict { current }) => {
                    item = match tries.pause().await {
                        Pause::None => self.read_stored(*current)?,
                        // What the conflict showed is stale by now.
                        Pause::Slept => self.get(key).await?.ok_or(ItemError::Gone)?,
                        Pause::Spent => return Err(ItemError::Conflict { current }.into()),
                    };
                    change(item.value_mut())?;
                }
                Err(error) => tries.again(error, &item).await?,
            }
        }
    }

    /// Stores a value whether the item is there or not: creates it, or lays the value over what is
    /// there, so that what the value does not know survives. One call where it is not there, two
    /// where it is.
    ///
    /// # Errors
    /// As [`modify`](Self::modify), except that no item is no error.
    pub async fn upsert<T: Serialize + DeserializeOwned>(
        &self,
        key: Key,
        value: T,
    ) -> Result<Versioned<T>, ItemError> {
        let mut tries = Tries::new(&self.config);
        let mut item = Versioned::new(key.clone(), value);
        loop {
            let Err(error) = self.save(&mut item).await else { return Ok(item) };
            match error {
                ItemError::AlreadyExists { current } | ItemError::Conflict { current } => {
                    if let Pause::Spent = tries.pause().await {
                        return Err(ItemError::Conflict { current });
                    }
                    let value = item.into_value();
                    item = self.read_stored(*current)?;
                    *item.value_mut() = value;
                }
                ItemError::Gone => {
                    if let Pause::Spent = tries.pause().await {
                        return Err(ItemError::Gone);
                    }
                    item = Versioned::new(key.clone(), item.into_value());
                }
                error => tries.again(error, &item).await?,
            }
        }
    }
}

/// The tries of one change.
#[derive(Debug)]
struct Tries<'a> {
    config: &'a TableConfig,
    deadline: Instant,
    pauses: u32,
}

/// How a pause went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// There was none: the first try again is at once.
    None,
    /// Time has passed.
    Slept,
    /// No time is left for another try.
    Spent,
}

impl<'a> Tries<'a> {
    fn new(config: &'a TableConfig) -> Self {
        Self { config, deadline: Instant::now() + config.budget, pauses: 0 }
    }

    /// Waits before the next try.
    async fn pause(&mut self) -> Pause {
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
    /// The SDK has repeated the call already. This goes on only to learn whether a write was
    /// applied that nobody else can ask for any more once the item is dropped.
    async fn again<T>(&mut self, error: ItemError, item: &Versioned<T>) -> Result<(), ItemError> {
        if !error.is_retryable() {
            return Err(error);
        }
        tracing::warn!(%error, key = %item.key(), "the item was not saved, trying again");
        match self.pause().await {
            Pause::None | Pause::Slept => Ok(()),
            Pause::Spent if item.unsettled().is_some() => {
                counters::outcome_unknown();
                Err(ItemError::OutcomeUnknown)
            }
            Pause::Spent => Err(error),
        }
    }
}
