//! How far a backfill has come, and the item that remembers it.

use bluegreen_core::{ContractVersion, Revision};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{BackfillError, EarlierFailure};
use crate::{ItemError, Key, KeyValue, Migration, Schema, Table, TableConfig, Versioned};

/// How many segments a checkpoint has room for, each with the longest of keys.
pub(super) const MOST_SEGMENTS: u32 = 100;

/// How many failures a checkpoint names; all are counted.
const MOST_FAILURES: usize = 10;

/// How much of the reason of a failure is kept, in characters.
const LONGEST_REASON: usize = 200;

/// How far a backfill has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The name of the table that is scanned, so that a checkpoint is not taken for another's.
    table: String,
    /// What the service calls this table in particular, where it was asked: one that was deleted and
    /// created anew under the same name is another.
    #[serde(default)]
    table_id: Option<String>,
    /// The contract that is written.
    contract: String,
    /// The schema version that items are taken to.
    target: ContractVersion,
    /// The revision of the deployment in force. Under another one an older release may have written
    /// behind the cursors, so what was done then is gone through again.
    #[serde(default)]
    pub(super) revision: Option<Revision>,
    /// A random number of the run that wrote it, so that each run writes one of its own.
    run: u64,
    pub(super) segments: Vec<Segment>,
    #[serde(default)]
    pub(super) scanned: u64,
    #[serde(default)]
    pub(super) migrated: u64,
    #[serde(default)]
    pub(super) failed: u64,
    /// The first of those that failed.
    #[serde(default)]
    pub(super) failures: Vec<Failure>,
}

/// An item that could not be migrated, as a checkpoint has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    #[serde(default)]
    key: Option<PlainKey>,
    reason: String,
}

/// What was done with a page.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) scanned: u64,
    pub(super) migrated: u64,
    pub(super) failures: Vec<Failure>,
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
    B(#[serde(with = "bytes")] Vec<u8>),
}

impl Checkpoint {
    pub(super) fn new(table: &Table, segments: u32) -> Self {
        let schema = &table.config.schema;
        Self {
            table: table.dynamo().table_name().to_owned(),
            table_id: None,
            contract: schema.contract().to_owned(),
            target: schema.version(),
            revision: table.revision(),
            run: fastrand::u64(..),
            segments: (0..segments).map(|_| Segment::Open).collect(),
            scanned: 0,
            migrated: 0,
            failed: 0,
            failures: Vec::new(),
        }
    }

    /// The same of the table with this id.
    pub(super) fn with_table_id(mut self, id: Option<String>) -> Self {
        self.table_id = id;
        self
    }

    /// Whether it remembers the same backfill, and one that is worth to go on with. One that is done
    /// was left behind.
    fn is_of(&self, other: &Self) -> bool {
        let what = |it: &Self| (it.table.clone(), it.contract.clone(), it.target, it.revision);
        let ids = self.table_id.as_ref().zip(other.table_id.as_ref());
        let is_same_table = ids.is_none_or(|(one, two)| one == two);
        what(self) == what(other) && is_same_table && !self.is_done()
    }

    /// Whether all of the table was gone through.
    pub(super) fn is_done(&self) -> bool {
        self.segments.iter().all(|segment| *segment == Segment::Done)
    }

    /// All is to be gone through again.
    pub(super) fn reopen(&mut self, revision: Option<Revision>) {
        self.revision = revision;
        self.segments.fill(Segment::Open);
        (self.scanned, self.migrated, self.failed) = (0, 0, 0);
        self.failures.clear();
    }

    /// A page of a segment is done.
    pub(super) fn advance(&mut self, segment: usize, next: Segment, tally: Tally) {
        let failed = u64::try_from(tally.failures.len()).unwrap_or(u64::MAX);
        self.scanned = self.scanned.saturating_add(tally.scanned);
        self.migrated = self.migrated.saturating_add(tally.migrated);
        self.failed = self.failed.saturating_add(failed);
        let room = MOST_FAILURES.saturating_sub(self.failures.len());
        self.failures.extend(tally.failures.into_iter().take(room));
        if let Some(segment) = self.segments.get_mut(segment) {
            *segment = next;
        }
    }
}

impl Failure {
    pub(super) fn new(key: Option<&Key>, error: &ItemError) -> Self {
        let reason = error.to_string().chars().take(LONGEST_REASON).collect();
        Self { key: key.map(PlainKey::from), reason }
    }
}

impl From<&Failure> for EarlierFailure {
    fn from(failure: &Failure) -> Self {
        Self { key: failure.key.as_ref().map(Key::from), reason: failure.reason.clone() }
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
        let table = plain(table);
        let found = table.get::<Checkpoint>(key).await?;
        let (item, checkpoint) = match found {
            Some(item) if item.value().is_of(&fresh) => {
                let found = item.value().clone();
                let table_id = fresh.table_id.or(found.table_id);
                let checkpoint = Checkpoint { run: fresh.run, table_id, ..found };
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

    /// Opens all segments of the checkpoint that is there: the gate holds the version back, and
    /// whoever it holds it back for may write behind the cursors.
    pub(super) async fn reopen((table, key): &(Table, Key)) -> Result<(), BackfillError> {
        let table = plain(table);
        let Some(mut item) = table.get::<Checkpoint>(key).await? else { return Ok(()) };
        let revision = item.value().revision;
        item.value_mut().reopen(revision);
        table.save_patiently(&mut item).await.map(drop).map_err(interference)
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

/// The table as a checkpoint is written to it: neither gated nor migrated.
fn plain(table: &Table) -> Table {
    let mut config = TableConfig::clone(&table.config);
    (config.gate, config.migration) = (None, Migration::OnWrite);
    config.schema = Schema::new("Backfill", ContractVersion::new(1, 0));
    table.with_config(config)
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

/// Bytes as DynamoDB's binary; a list of numbers would be four times as large.
mod bytes {
    use std::fmt;

    use serde::de::Visitor;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        from.deserialize_byte_buf(Bytes)
    }

    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::size;
    use crate::view::encode;

    #[test]
    fn the_fullest_checkpoint_fits_into_an_item() {
        let key = || PlainKey::from(&Key::new(vec![7; 2048]).with_sk(vec![7; 1024]));
        let failure = || Failure { key: Some(key()), reason: "\u{1F600}".repeat(LONGEST_REASON) };
        let mut checkpoint = Checkpoint {
            table: "t".repeat(255),
            table_id: Some("i".repeat(36)),
            contract: "c".repeat(255),
            target: ContractVersion::new(u16::MAX, u16::MAX),
            revision: Some(Revision::FIRST),
            run: u64::MAX,
            segments: vec![Segment::Open; MOST_SEGMENTS as usize],
            scanned: u64::MAX,
            migrated: u64::MAX,
            failed: 0,
            failures: Vec::new(),
        };
        for segment in 0..MOST_SEGMENTS as usize {
            let failures = vec![failure()];
            let tally = Tally { scanned: 1, migrated: 1, failures };
            checkpoint.advance(segment, Segment::After(key()), tally);
        }
        assert_eq!((checkpoint.failed, checkpoint.failures.len()), (100, MOST_FAILURES));
        let size: usize =
            encode(&checkpoint).unwrap().iter().map(|(n, v)| size::of_attribute(n, v)).sum();
        // Key and stamps come in addition.
        assert!(size + 8_000 < size::LIMIT, "{size}");
    }

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
