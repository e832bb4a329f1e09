use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::tries::Tries;
use crate::{ItemError, Key, Saved, StoredItem, Table, Versioned};

/// What became of an [`upsert`](Table::upsert), with the item as it is stored now.
#[derive(Debug)]
#[non_exhaustive]
pub enum Upserted<T> {
    /// There was none; it is the value.
    Created(Versioned<T>),
    /// There was one, and the value was laid over it.
    Updated(Versioned<T>),
    /// There was one that says the same already.
    Unchanged(Versioned<T>),
    /// There was one that the value was not to replace.
    Declined(Versioned<T>),
}

impl<T> Upserted<T> {
    /// The item, whatever became of it.
    #[must_use]
    pub const fn item(&self) -> &Versioned<T> {
        match self {
            Self::Created(item)
            | Self::Updated(item)
            | Self::Unchanged(item)
            | Self::Declined(item) => item,
        }
    }

    /// The same by value.
    #[must_use]
    pub fn into_item(self) -> Versioned<T> {
        match self {
            Self::Created(item)
            | Self::Updated(item)
            | Self::Unchanged(item)
            | Self::Declined(item) => item,
        }
    }
}

impl Table {
    /// Stores a value whether the item is there or not: creates it, or lays the value over what is
    /// there, so that what the value does not know survives. One call where it is not there, two
    /// where it is.
    ///
    /// # Errors
    /// As [`modify`](Self::modify), except that no item is no error; and
    /// [`ItemError::OutcomeUnknown`] as [`create`](Self::create), when a reply was lost and the item
    /// is not there. The same upsert once more is right then where nobody deletes such items: it
    /// creates the item, or lays the value over what is there, later changes of the same attributes
    /// included.
    pub async fn upsert<T: Serialize + DeserializeOwned>(
        &self,
        key: Key,
        value: T,
    ) -> Result<Upserted<T>, ItemError> {
        self.upsert_if(key, value, |_| true).await
    }

    /// The same, unless the item is there and `may_replace` says no of what is in it. It is asked
    /// of each version of the item that comes in the way.
    ///
    /// ```
    /// # use bluegreen_items::{ItemError, Key, Table, Upserted};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Reading { taken_at: u64, degrees: i32 }
    /// # async fn example(readings: Table, key: Key, latest: Reading) -> Result<(), ItemError> {
    /// let taken_at = latest.taken_at;
    /// match readings.upsert_if(key, latest, |stored: &Reading| stored.taken_at < taken_at).await? {
    ///     Upserted::Declined(newer) => println!("there is one of {}", newer.value().taken_at),
    ///     stored => println!("stored as version {:?}", stored.item().version()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`upsert`](Self::upsert).
    pub async fn upsert_if<T: Serialize + DeserializeOwned>(
        &self,
        key: Key,
        value: T,
        mut may_replace: impl FnMut(&T) -> bool,
    ) -> Result<Upserted<T>, ItemError> {
        let mut tries = Tries::new(self);
        let mut item = Versioned::new(key.clone(), value);
        loop {
            let is_new = item.stored().is_none();
            let error = match self.save(&mut item).await {
                Ok(_) if is_new => return Ok(Upserted::Created(item)),
                Ok(Saved::Written) => return Ok(Upserted::Updated(item)),
                Ok(Saved::Unchanged) => return Ok(Upserted::Unchanged(item)),
                Err(error) => error,
            };
            match error {
                ItemError::AlreadyExists { current } | ItemError::Conflict { current } => {
                    let stored = StoredItem::clone(&current);
                    let conflict = ItemError::Conflict { current };
                    tries.pause(&conflict).await.end(conflict)?;
                    let value = item.into_value();
                    item = self.read_stored(stored)?;
                    if !may_replace(item.value()) {
                        return Ok(Upserted::Declined(item));
                    }
                    *item.value_mut() = value;
                }
                ItemError::Gone => {
                    tries.pause(&ItemError::Gone).await.end(ItemError::Gone)?;
                    item = Versioned::new(key.clone(), item.into_value());
                }
                error => tries.again(error, &item).await?,
            }
        }
    }
}
