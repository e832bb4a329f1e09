//! How far a backfill has come, and the item that remembers it.

use bluegreen_core::ContractVersion;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::BackfillError;
use crate::{ItemError, Key, KeyValue, Migration, Schema, Table, TableConfig, Versioned};

/// How far a backfill has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// What is scanned, so that a checkpoint is not taken for another table's.
    table: String,
    /// The schema version that items are taken to.
    target: ContractVersion,
    /// A random number of the run that wrote it, so that each run writes one of its own.
    run: u64,
    pub(super) segments: Vec<Segment>,
    #[serde(default)]
    pub(super) scanned: u64,
    #[serde(default)]
    pub(super) migrated: u64,
}

/// How far a segment of the scan has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) enum Segment {
    /// Not begun.
    #[default]
    Open,
    /// All items up to this one are done.
    After(PlainKey),
    /// All are.
    Done,
}

/// A key as a checkpoint has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PlainKey {
    partition: PlainValue,
    #[serde(default)]
    sort: Option<PlainValue>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum PlainValue {
    S(String),
    N(String),
    B(Vec<u8>),
}

impl Checkpoint {
    pub(super) fn new(table: &Table, target: ContractVersion, segments: u32) -> Self {
        let segments = (0..segments).map(|_| Segment::Open).collect();
        let table = table.dynamo().table().to_owned();
        Self { table, target, run: fastrand::u64(..), segments, scanned: 0, migrated: 0 }
    }

    fn is_of(&self, other: &Self) -> bool {
        (&self.table, self.target) == (&other.table, other.target) && !self.segments.is_empty()
    }
}

/// The item that remembers, where there is one.
#[derive(Debug)]
pub(super) struct Memory {
    kept: Option<(Table, Versioned<Checkpoint>)>,
    saved: Instant,
}

impl Memory {
    /// Nothing is remembered.
    pub(super) fn none() -> Self {
        Self { kept: None, saved: Instant::now() }
    }

    /// Finds where an earlier run of the same backfill came to, or begins as `fresh`.
    pub(super) async fn open(
        (table, key): &(Table, Key),
        fresh: Checkpoint,
    ) -> Result<(Self, Checkpoint), BackfillError> {
        let mut config = TableConfig::clone(&table.config);
        (config.gate, config.migration) = (None, Migration::OnWrite);
        config.schema = Schema::new("Backfill", ContractVersion::new(1, 0));
        let table = table.with_config(config);
        let found = table.get::<Checkpoint>(key).await?;
        let (item, checkpoint) = match found {
            Some(item) if item.value().is_of(&fresh) => {
                let checkpoint = Checkpoint { run: fresh.run, ..item.value().clone() };
                (item, checkpoint)
            }
            Some(other) => (other, fresh),
            None => (Versioned::new(key.clone(), fresh.clone()), fresh),
        };
        let mut memory = Self { kept: Some((table, item)), saved: Instant::now() };
        // Written in any case: the run before, if it still goes on, notices by it.
        memory.save(&checkpoint).await?;
        Ok((memory, checkpoint))
    }

    pub(super) const fn saved(&self) -> Instant {
        self.saved
    }

    /// Remembers.
    pub(super) async fn save(&mut self, checkpoint: &Checkpoint) -> Result<(), BackfillError> {
        self.saved = Instant::now();
        let Some((table, item)) = &mut self.kept else { return Ok(()) };
        item.value_mut().clone_from(checkpoint);
        table.save_patiently(item).await.map(drop).map_err(interference)
    }

    /// Forgets: there is nothing left to resume.
    pub(super) async fn forget(self) -> Result<(), BackfillError> {
        let Some((table, mut item)) = self.kept else { return Ok(()) };
        table.delete_patiently(&mut item).await.map_err(interference)
    }
}

fn interference(error: ItemError) -> BackfillError {
    match error {
        ItemError::Conflict { .. } | ItemError::AlreadyExists { .. } | ItemError::Gone => {
            BackfillError::AnotherRun
        }
        error => BackfillError::Item(error),
    }
}

impl From<&Key> for PlainKey {
    fn from(key: &Key) -> Self {
        Self { partition: key.partition().into(), sort: key.sort().map(Into::into) }
    }
}

impl From<&KeyValue> for PlainValue {
    fn from(value: &KeyValue) -> Self {
        match value {
            KeyValue::String(text) => Self::S(text.clone()),
            KeyValue::Number(text) => Self::N(text.clone()),
            KeyValue::Binary(bytes) => Self::B(bytes.clone()),
        }
    }
}

impl From<&PlainKey> for Key {
    fn from(key: &PlainKey) -> Self {
        let partition = Self::new(KeyValue::from(&key.partition));
        match &key.sort {
            Some(sort) => partition.with_sk(KeyValue::from(sort)),
            None => partition,
        }
    }
}

impl From<&PlainValue> for KeyValue {
    fn from(value: &PlainValue) -> Self {
        match value {
            PlainValue::S(text) => Self::String(text.clone()),
            PlainValue::N(text) => Self::Number(text.clone()),
            PlainValue::B(bytes) => Self::Binary(bytes.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_as_it_went() {
        for key in [
            Key::new("a"),
            Key::new(17).with_sk("b"),
            Key::new(vec![0, 255]).with_sk(KeyValue::Number("1.5".to_owned())),
        ] {
            let attributes = serde_dynamo::to_attribute_value::<_, _>(PlainKey::from(&key));
            let attributes: aws_sdk_dynamodb::types::AttributeValue = attributes.unwrap();
            let plain: PlainKey = serde_dynamo::from_attribute_value(attributes).unwrap();
            assert_eq!(Key::from(&plain), key);
        }
    }
}
