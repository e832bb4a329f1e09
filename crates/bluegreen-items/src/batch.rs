//! Many items at a time.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::tries::Tries;
use crate::{Attributes, ItemError, Key, Saved, Table, Versioned};

/// DynamoDB's limit for one `BatchGetItem`.
const MOST_KEYS: usize = 100;

impl Table {
    /// The items of these keys, in their order, nothing for each that is not there. A call for
    /// each hundred; what the service leaves out of an answer, for its size of 16 MB or for the
    /// table's rate, is asked for again after a pause, and so is a call that it turned away.
    /// Strongly consistent, each item by itself.
    ///
    /// # Errors
    /// [`ItemError::Throttled`] when items were left out until the
    /// [budget](crate::TableConfig::budget) was spent, or what the service said last; as [`get`](Self::get) for the first item
    /// that cannot be read.
    pub async fn get_many<T: DeserializeOwned>(
        &self,
        keys: &[Key],
    ) -> Result<Vec<Option<Versioned<T>>>, ItemError> {
        let mut seen = HashSet::new();
        let mut wanted = Vec::new();
        // The service refuses to be asked twice for one item.
        for key in keys.iter().filter(|key| seen.insert(key.normalized())) {
            wanted.push(key.to_attributes(&self.config.names)?);
        }
        let chunks: Vec<_> = wanted.chunks(MOST_KEYS).map(<[_]>::to_vec).collect();
        let found: Vec<_> = stream::iter(chunks)
            .map(|chunk| self.get_chunk(chunk))
            .buffer_unordered(self.config.parallel)
            .try_collect()
            .await?;
        let found: HashMap<Key, Attributes> = found.into_iter().flatten().collect();
        let item = |key: &Key| found.get(&key.normalized()).cloned();
        keys.iter().map(|key| item(key).map(|item| self.read(item)).transpose()).collect()
    }

    async fn get_chunk(
        &self,
        mut wanted: Vec<Attributes>,
    ) -> Result<Vec<(Key, Attributes)>, ItemError> {
        let mut tries = Tries::new(self);
        let mut items = Vec::with_capacity(wanted.len());
        loop {
            let answer = match self.dynamo().get_many(wanted.clone()).await {
                Err(error) if error.is_retryable() => {
                    tries.pause(&error).await.end(error)?;
                    continue;
                }
                answer => answer?,
            };
            let (found, left) = answer;
            if !found.is_empty() {
                tries.got_on();
            }
            for item in found {
                items.push((Key::of(&item, &self.config.names)?.normalized(), item));
            }
            if left.is_empty() {
                return Ok(items);
            }
            let source = format!("{} items were left out of the answer", left.len()).into();
            let throttled = ItemError::Throttled { retry_after: None, source };
            tries.pause(&throttled).await.end(throttled)?;
            wanted = left;
        }
    }

    /// Saves many items, several at a time, each as [`save`](Self::save) does, with its lock, and
    /// again where the service was busy; the outcomes in the order of the items.
    ///
    /// Each is a call of its own: DynamoDB's `BatchWriteItem` takes no conditions, so that none of
    /// its writes could be locked. To write all or none, use a [`Transaction`](crate::Transaction).
    ///
    /// Cancel safety: each item is as after a dropped `save`.
    pub async fn save_many<T: Serialize + DeserializeOwned>(
        &self,
        items: &mut [Versioned<T>],
    ) -> Vec<Result<Saved, ItemError>> {
        let saves: Vec<_> = items.iter_mut().map(|item| self.save_patiently(item)).collect();
        stream::iter(saves).buffered(self.config.parallel).collect().await
    }

    /// Deletes many items, several at a time, each as [`delete`](Self::delete) does, with its lock,
    /// and again where the service was busy; the outcomes in the order of the items.
    pub async fn delete_many<T>(&self, items: &mut [Versioned<T>]) -> Vec<Result<(), ItemError>> {
        let deletions: Vec<_> = items.iter_mut().map(|item| self.delete_patiently(item)).collect();
        stream::iter(deletions).buffered(self.config.parallel).collect().await
    }

    /// Saves an item, again where the service was busy.
    pub(crate) async fn save_patiently<T: Serialize + DeserializeOwned>(
        &self,
        item: &mut Versioned<T>,
    ) -> Result<Saved, ItemError> {
        let mut tries = Tries::new(self);
        loop {
            match self.save(item).await {
                Ok(saved) => return Ok(saved),
                Err(error) => tries.again(error, item).await?,
            }
        }
    }

    pub(crate) async fn delete_patiently<T>(
        &self,
        item: &mut Versioned<T>,
    ) -> Result<(), ItemError> {
        let mut tries = Tries::new(self);
        loop {
            match self.delete(item).await {
                Ok(()) => return Ok(()),
                Err(error) => tries.again(error, item).await?,
            }
        }
    }
}
