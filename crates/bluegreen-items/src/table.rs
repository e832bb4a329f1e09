mod migration;
mod outcome;
mod update;

use std::borrow::Cow;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use bluegreen_core::{Color, Revision, ServiceIdentity};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::attempts::Writing;
use crate::backfill::capacity::Capacity;
use crate::dynamo::{Answer, Consistency, Dynamo};
use crate::expression::Expression;
use crate::mark::Mark;
use crate::tries::Tries;
use crate::validity::Validity;
use crate::view::{Attribute, check_readable, decode_from, encode};
use crate::write::{Author, Lock, Reason, Write, lifted};
use crate::{
    Attributes, ConfigError, ItemError, Key, Migration, NewerSchema, RetryCounts, Schema,
    StoredItem, TableConfig, Versioned, WriteGate, WrittenSchema,
};
use outcome::{not_deleted, outcome_unknown};

/// A DynamoDB table whose items two releases share. Cheap to clone.
///
/// It holds items of any number of types: each call names its own, and each kind that has a schema
/// of its own has a handle of its own, by [`with_schema`](Self::with_schema). The SDK client's own
/// retries and time-outs apply to each call, within its [bound](TableConfig::call_timeout). Cancel safety: a call that is dropped has happened or
/// not; a [`Versioned`] that was being saved finds out at its next save.
#[derive(Clone, Debug)]
pub struct Table {
    dynamo: Dynamo,
    color: Color,
    pub(crate) config: Arc<TableConfig>,
}

/// What became of a [`save`](Table::save).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "something was written or nothing was")]
pub enum Saved {
    /// The change is stored.
    Written,
    /// The value did not change, so nothing was sent.
    Unchanged,
}

impl Table {
    /// The table of this name or ARN, written to as `identity`'s color.
    ///
    /// Calls go through a client of the same configuration, which watches their attempts. Where the
    /// configuration of `client` names no HTTP client it has connections of its own, so make one table
    /// and clone it.
    ///
    /// # Errors
    /// When a field of the configuration is wrong; the error names it with its value.
    #[expect(clippy::needless_pass_by_value, reason = "clients are taken by value everywhere")]
    pub fn new(
        client: Client,
        table: impl Into<String>,
        identity: &ServiceIdentity,
        config: TableConfig,
    ) -> Result<Self, ConfigError> {
        let table = table.into();
        config.check(&table)?;
        let dynamo = Dynamo::new(&client, table, &config);
        Ok(Self { dynamo, color: identity.color, config: Arc::new(config) })
    }

    /// The same table with the schema of another kind of its items.
    ///
    /// # Errors
    /// When the schema has no name.
    pub fn with_schema(&self, schema: Schema) -> Result<Self, ConfigError> {
        let config = TableConfig::clone(&self.config).with_schema(schema);
        config.check(self.dynamo.table())?;
        Ok(self.with_config(config))
    }

    /// The same table with a configuration that is known to fit.
    pub(crate) fn with_config(&self, config: TableConfig) -> Self {
        Self { config: Arc::new(config), ..self.clone() }
    }

    /// The same table, and what its writes consume is noted.
    pub(crate) fn metered(&self, meter: Arc<Capacity>) -> Self {
        Self { dynamo: self.dynamo.metered(meter), ..self.clone() }
    }

    /// How often calls of this table were repeated so far, by this handle and those made from it,
    /// the SDK's own repetitions included; the reasons are counted as `reason` of
    /// `bluegreen_items_retries` too.
    #[must_use]
    pub fn retries(&self) -> RetryCounts {
        self.dynamo.counters().read()
    }

    /// The schema version that is written now, and who keeps a newer one from it.
    ///
    /// # Errors
    /// [`ItemError::Held`] when not even the lowest that a step leads to may be written.
    pub fn written_schema(&self) -> Result<WrittenSchema, ItemError> {
        self.config.written_schema()
    }

    /// The item, when there is one. Strongly consistent: it sees every write answered before.
    ///
    /// # Errors
    /// When the item cannot be read as a `T`, has a newer major schema version, or the service
    /// does not answer.
    pub async fn get<T: DeserializeOwned>(
        &self,
        key: &Key,
    ) -> Result<Option<Versioned<T>>, ItemError> {
        self.get_with(key, Consistency::Strong).await
    }

    /// The item as it was a moment ago, at half the price. Changing it is safe, and a little more
    /// likely to meet a conflict.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_eventually_consistent<T: DeserializeOwned>(
        &self,
        key: &Key,
    ) -> Result<Option<Versioned<T>>, ItemError> {
        self.get_with(key, Consistency::Eventual).await
    }

    async fn get_with<T: DeserializeOwned>(
        &self,
        key: &Key,
        consistency: Consistency,
    ) -> Result<Option<Versioned<T>>, ItemError> {
        let key = key.to_attributes(&self.config.names)?;
        let Some(item) = self.dynamo.get(key, consistency).await? else { return Ok(None) };
        let stored = StoredItem::read(item, &self.config.names)?;
        let stored = match self.config.migration {
            Migration::OnWrite => stored,
            Migration::OnRead => self.migrated(stored).await?,
        };
        self.read_stored(stored).map(Some)
    }

    /// The item that these attributes are: one of a query or scan, or the current one of a
    /// conflict. They must be all of the item, so no projection.
    ///
    /// # Errors
    /// When the item cannot be read as a `T`, or has a newer major schema version.
    pub fn read<T: DeserializeOwned>(
        &self,
        attributes: Attributes,
    ) -> Result<Versioned<T>, ItemError> {
        self.read_stored(StoredItem::read(attributes, &self.config.names)?)
    }

    pub(crate) fn read_stored<T: DeserializeOwned>(
        &self,
        stored: StoredItem,
    ) -> Result<Versioned<T>, ItemError> {
        let known = self.config.schema.version();
        if let Some(found) = stored.schema_version()
            && found.major() > known.major()
            && self.config.newer_schema == NewerSchema::Refuse
        {
            return Err(ItemError::NewerSchema { found, known });
        }
        let key = Key::of(stored.attributes(), &self.config.names)?;
        let value = decode_from(self.seen(lifted(&stored, &self.config)?.iter()))?;
        Ok(Versioned::read(key, value, stored))
    }

    /// Creates an item that is not there yet.
    ///
    /// A creation whose reply was lost is not sent again, by the SDK neither, as it would bring back
    /// an item that was deleted since: the item is looked for instead, within the
    /// [budget](crate::TableConfig::budget). Found, it is recognized, whoever has written it since.
    ///
    /// # Errors
    /// [`ItemError::AlreadyExists`] with the current item when there is one;
    /// [`ItemError::OutcomeUnknown`] when a reply was lost and the item is not there, is another, or
    /// cannot be looked for (read it; where nobody deletes such items one that is not there can be
    /// created again); when the value cannot be written, is too large, or the service does not do it.
    pub async fn create<T: Serialize + DeserializeOwned>(
        &self,
        key: Key,
        value: T,
    ) -> Result<Versioned<T>, ItemError> {
        let mut item = Versioned::new(key, value);
        let mut tries = Tries::new(self);
        loop {
            match self.save(&mut item).await {
                Ok(_) => return Ok(item),
                // Once the item is dropped nobody can ask any more.
                Err(error) if item.unsettled().is_some() => tries.again(error, &item).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes what was changed since the item was read or saved, in one call; creates an item that
    /// was never stored.
    ///
    /// After an error that is [retryable](ItemError::is_retryable), or when the future was dropped,
    /// the same item can be saved again: a write that had been applied after all is recognized and
    /// not applied twice. One whose schema version may no longer be written by then is looked for and
    /// not sent again. After a conflict the item stays as it was; take the current one from the
    /// error and change that, as [`modify`](Self::modify) does by itself.
    ///
    /// ```
    /// # use bluegreen_items::{ItemError, Table, Versioned};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Order { total: u64 }
    /// # async fn example(orders: Table, mut order: Versioned<Order>) -> Result<(), ItemError> {
    /// order.value_mut().total += 1;
    /// if let Err(ItemError::Conflict { current }) = orders.save(&mut order).await {
    ///     let newer: Versioned<Order> = orders.read(current.into_attributes())?;
    ///     println!("{:?} wrote {}", newer.environment(), newer.value().total);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ItemError::Conflict`] with the current item when another write came first, and
    /// [`ItemError::Gone`] when the item was deleted; [`ItemError::AlreadyExists`] for a new item
    /// that is there; [`ItemError::OutcomeUnknown`]; when the value cannot be written, is too
    /// large, or the service does not do it.
    pub async fn save<T: Serialize + DeserializeOwned>(
        &self,
        item: &mut Versioned<T>,
    ) -> Result<Saved, ItemError> {
        self.save_for(item, Reason::Change).await
    }

    /// Settles what is open, then writes what is left to write.
    async fn save_for<T: Serialize + DeserializeOwned>(
        &self,
        item: &mut Versioned<T>,
        reason: Reason,
    ) -> Result<Saved, ItemError> {
        let earlier = self.settle(item).await?;
        loop {
            let Some(write) = self.write_of(item, reason)? else { return Ok(earlier) };
            item.set_unsettled(write);
            match self.send_open(item).await {
                // Nothing was written, and by now another version may be: that one, then.
                Err(ItemError::Held { .. })
                    if reason == Reason::Change && item.unsettled().is_none() => {}
                settled => return settled,
            }
        }
    }

    /// Deletes the item if it is still the one that was read. One whose reply was lost is done when
    /// there is no item.
    ///
    /// # Errors
    /// [`ItemError::Conflict`] with the current item when another write came first, and
    /// [`ItemError::Gone`] when the item was deleted by someone else, or never stored;
    /// [`ItemError::OutcomeUnknown`] when a reply was lost and there is another item by now, or code
    /// without this library's stamps wrote it; when the service does not do it.
    pub async fn delete<T>(&self, item: &mut Versioned<T>) -> Result<(), ItemError> {
        self.settle(item).await?;
        let stored = item.stored().ok_or(ItemError::Gone)?;
        let lock = Lock::on(stored.stamps());
        let key = item.key().to_attributes(&self.config.names)?;
        let expression = Expression::locked(&lock, &self.config.names);
        let (sends, validity) = (item.deletions().clone(), Validity::default());
        let writing = Writing { sends, validity, goes_once: false };
        let answer = match self.dynamo.delete(key, expression, writing).await {
            Err(ItemError::Stopped) if item.deletions().are_in_doubt() => {
                return Err(outcome_unknown());
            }
            answer => answer?,
        };
        let current = match answer {
            Answer::Done => None,
            Answer::Refused(current) => Some(self.current(item.key(), current).await?),
        };
        let in_doubt = item.settle_deletion().are_in_doubt();
        match current {
            None => Ok(()),
            Some(current) => not_deleted(&lock, in_doubt, current),
        }
    }

    pub(crate) const fn dynamo(&self) -> &Dynamo {
        &self.dynamo
    }

    /// The revision of the deployment that the gate knows, where there is one.
    pub(crate) fn revision(&self) -> Option<Revision> {
        self.config.gate.as_ref().and_then(WriteGate::revision)
    }

    /// Who writes now.
    pub(crate) fn author(&self) -> Result<Author<'_>, ItemError> {
        let WrittenSchema { version: target, held_by } = self.written_schema()?;
        let is_ignorant = held_by.is_some_and(|by| by.is_ignorance());
        let (config, now, mark) = (&self.config, self.config.clock.now(), Mark::random());
        Ok(Author { config, color: self.color, now, mark, target, is_ignorant })
    }

    /// The write that a changed item needs; nothing for one that did not change.
    pub(crate) fn write_of<T: Serialize + DeserializeOwned>(
        &self,
        item: &Versioned<T>,
        reason: Reason,
    ) -> Result<Option<Write>, ItemError> {
        let before = match (item.baseline()?, reason) {
            (Some(before), _) => Cow::Borrowed(before),
            (None, Reason::Change) => return Ok(None),
            (None, Reason::Migration) => Cow::Owned(encode(item.value())?),
        };
        let author = self.author()?;
        let after = encode(item.value())?;
        let view = |map: &Attributes| encode(&decode_from::<T>(self.seen(map.iter())).ok()?).ok();
        let write = match item.stored() {
            None => Some(author.create(item.key().to_attributes(&self.config.names)?, after)?),
            Some(stored) => author.over(stored).update(stored, &before, after, &view, reason)?,
        };
        if let Some(write) = &write {
            let nothing = Attributes::new();
            let stored = item.stored().map_or(&nothing, StoredItem::attributes);
            self.check_left::<T>(write, stored)?;
        }
        Ok(write)
    }

    /// Refuses a write that leaves an item which its own type cannot read.
    fn check_left<T: DeserializeOwned>(
        &self,
        write: &Write,
        stored: &Attributes,
    ) -> Result<(), ItemError> {
        let target = write.planned.version.major();
        if target >= self.config.schema.version().major() {
            return check_readable::<T>(self.seen(write.content.left_of(stored)));
        }
        let left = write.content.clone().applied_to(stored.clone());
        let left = StoredItem::read(left, &self.config.names)?;
        check_readable::<T>(self.seen(lifted(&left, &self.config)?.iter()))
    }

    /// What a value sees of an item: a type that takes all that is there could not read the marks.
    fn seen<'a>(
        &'a self,
        item: impl Iterator<Item = Attribute<'a>> + Clone,
    ) -> impl Iterator<Item = Attribute<'a>> + Clone {
        item.filter(|(name, _)| !self.config.names.is_mark(name))
    }
}
