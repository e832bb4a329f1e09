//! Items of earlier schema versions are stored in the one that may be written.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::write::Reason;
use crate::{ItemError, Key, Saved, StoredItem, Table, Versioned};

impl Table {
    /// Stores an item in the schema version that may be written, if it has an earlier one, with
    /// all of the type's fields; and whatever was changed in it.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub async fn migrate<T: Serialize + DeserializeOwned>(
        &self,
        item: &mut Versioned<T>,
    ) -> Result<Saved, ItemError> {
        // What is open may be a migration, so it is settled before the question.
        let earlier = self.settle(item).await?;
        let reason = match item.stored() {
            Some(stored) if self.is_earlier(stored)? => Reason::Migration,
            _ => Reason::Change,
        };
        match self.save_for(item, reason).await? {
            Saved::Written => Ok(Saved::Written),
            Saved::Unchanged => Ok(earlier),
        }
    }

    /// Whether an item has an earlier schema version, or none, where it could have a later.
    pub(crate) fn is_earlier(&self, stored: &StoredItem) -> Result<bool, ItemError> {
        let target = self.written_schema()?.version;
        Ok(stored.schema_version().is_none_or(|found| found < target))
    }

    /// The item after it was stored in the schema version that may be written, if it had an
    /// earlier major one. A migration that fails is no reason not to read: the item is answered as
    /// it is.
    pub(super) async fn migrated(&self, stored: StoredItem) -> Result<StoredItem, ItemError> {
        let version = self.config.schema.version_of(stored.schema_version());
        let is_earlier =
            self.written_schema().is_ok_and(|written| version.major() < written.version.major());
        if !is_earlier {
            return Ok(stored);
        }
        let key = Key::of(stored.attributes(), &self.config.names)?;
        let migrated = match self.author().and_then(|author| author.over(&stored).migrate(&stored))
        {
            Ok(write) => self.send(&key, &write).await.map(|()| write),
            Err(error) => Err(error),
        };
        match migrated {
            Ok(write) => {
                let attributes = write.content.applied_to(stored.into_attributes());
                StoredItem::read(attributes, &self.config.names)
            }
            // Whoever came first has changed it, and has migrated it or will.
            Err(ItemError::Conflict { current }) => Ok(*current),
            Err(error) => {
                tracing::warn!(%error, %key, "the item was read and not migrated");
                Ok(stored)
            }
        }
    }
}
