//! Changes that are tried again.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::tries::{Pause, Tries};
use crate::{ItemError, Key, Table, Versioned};

impl Table {
    /// Reads an item, changes it and saves it, again from the newer item where another write came
    /// first or the service was busy, with growing pauses under full jitter within the
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
        let mut tries = Tries::new(self);
        let mut item = self.found(key, &mut tries).await?;
        change(item.value_mut())?;
        loop {
            match self.save(&mut item).await {
                Ok(_) => return Ok(item),
                Err(ItemError::Conflict { current }) => {
                    let conflict = ItemError::Conflict { current: current.clone() };
                    let pause = tries.pause(&conflict).await;
                    pause.end(conflict)?;
                    item = match pause {
                        Pause::None => self.read_stored(*current)?,
                        // What the conflict showed is stale by now.
                        _ => self.found(key, &mut tries).await?,
                    };
                    change(item.value_mut())?;
                }
                Err(error) => tries.again(error, &item).await?,
            }
        }
    }

    /// The item, looked for again while the service does not answer.
    async fn found<T: DeserializeOwned>(
        &self,
        key: &Key,
        tries: &mut Tries<'_>,
    ) -> Result<Versioned<T>, ItemError> {
        loop {
            let error = match self.get(key).await {
                Ok(item) => return item.ok_or(ItemError::Gone),
                Err(error) => error,
            };
            if !error.is_retryable() {
                return Err(error);
            }
            tries.pause(&error).await.end(error)?;
        }
    }
}
