//! Changes of parts of an item, by expression.

use crate::transaction::{Bundle, Bundled, Part};
use crate::tries::Tries;
use crate::write::Planned;
use crate::{ItemError, Key, NewerSchema, StoredItem, Table, Update, counters};

impl Table {
    /// Changes parts of an item without reading it first, in one call.
    ///
    /// It has the guarantees of a [`save`](Self::save): the item must be there, its version grows,
    /// so that whoever read it before meets a conflict, and it is applied once although replies are
    /// lost. The last comes from sending it as a transaction of one, which costs twice the write
    /// units of a plain update. An item of an earlier schema version is migrated first, by a call
    /// of its own.
    ///
    /// Cancel safety: dropped before it is ready, it has happened or not, and cannot be asked for
    /// again.
    ///
    /// # Errors
    /// [`ItemError::ConditionFailed`] with the current item, [`ItemError::Conflict`] for another
    /// version than the one demanded, [`ItemError::Gone`] without an item;
    /// [`ItemError::Held`] while the [gate](crate::WriteGate) keeps the present schema version from
    /// being written, where it [only does not know](crate::HeldBy::is_ignorance) for an item of an
    /// earlier version: [`modify`](Self::modify) works then; [`ItemError::OutcomeUnknown`] when the
    /// service did not say within the [budget](crate::TableConfig::budget) whether it happened.
    pub async fn update(&self, key: &Key, update: Update) -> Result<(), ItemError> {
        let mut tries = Tries::new(self);
        loop {
            let bundle = Bundle::new(vec![self.part_of(key, &update)?]);
            let refusals = match bundle.send(&mut tries).await {
                Ok(Bundled::Applied) => return Ok(()),
                Ok(Bundled::Refused(refusals)) => refusals,
                Err(error) if error.leaves_open() && bundle.sends().are_in_doubt() => {
                    counters::outcome_unknown();
                    return Err(ItemError::OutcomeUnknown);
                }
                Err(error) => return Err(error),
            };
            let refusal = refusals.into_iter().next().map(|refused| refused.error);
            match refusal.unwrap_or(ItemError::Gone) {
                ItemError::NotMigrated { current, needed } => {
                    if let Some(by) = self.written_schema()?.held_by {
                        return Err(ItemError::Held { version: needed, by });
                    }
                    let migrated = self.migrated(StoredItem::clone(&current)).await?;
                    let error = ItemError::NotMigrated { current, needed };
                    if self.mislabeled(&migrated).is_some() {
                        return Err(error);
                    }
                    tries.pause(&error).await.end(error)?;
                }
                error => return Err(error),
            }
        }
    }

    /// The part of a transaction that makes an update.
    pub(crate) fn part_of(&self, key: &Key, update: &Update) -> Result<Part, ItemError> {
        // Where only nobody knows who reads, an item that has the version keeps it, and its
        // condition demands that it has.
        if let Some(by) = self.written_schema()?.held_by
            && !by.is_ignorance()
        {
            return Err(ItemError::Held { version: self.config.schema.version(), by });
        }
        let expression = update.expression(&self.author()?)?;
        let attributes = key.to_attributes(&self.config.names)?;
        let request = self.dynamo.update_part(attributes, expression)?;
        let kind = update.kind();
        // Its condition demands that the item is stored in that version.
        let planned = Some(Planned { version: self.config.schema.version(), is_kept: true });
        Ok(Part { table: self.clone(), key: key.clone(), request, kind, planned })
    }

    /// What is wrong with an item for an update in the words of the present schema version.
    pub(crate) fn mislabeled(&self, current: &StoredItem) -> Option<ItemError> {
        let (schema, known) = (&self.config.schema, self.config.schema.version());
        let found = schema.version_of(current.schema_version());
        if found.major() < known.major() {
            let current = Box::new(current.clone());
            return Some(ItemError::NotMigrated { current, needed: known });
        }
        let is_newer = found.major() > known.major();
        let is_refused = self.config.newer_schema == NewerSchema::Refuse;
        (is_newer && is_refused).then_some(ItemError::NewerSchema { found, known })
    }
}
