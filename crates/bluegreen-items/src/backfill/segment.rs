//! One segment of the scan, page by page.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bluegreen_core::{ContractVersion, Stop};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::checkpoint::{Checkpoint, Memory, PlainKey, Segment};
use super::progress::Counts;
use super::{BackfillConfig, BackfillError, Writing};
use crate::dynamo::Page;
use crate::retry::GaveUp;
use crate::tries::{Pause, Tries};
use crate::write::Reason;
use crate::{Attributes, ItemError, Key, Saved, StoredItem, Table, Versioned};

/// How often an item is looked at again that others keep writing.
const MOST_LOOKS: u32 = 20;

/// What all segments share.
#[derive(Debug)]
pub(super) struct Run<T> {
    pub(super) table: Table,
    pub(super) config: BackfillConfig,
    pub(super) target: ContractVersion,
    pub(super) counts: Arc<Counts>,
    pub(super) memory: Mutex<(Memory, Checkpoint)>,
    pub(super) stop: Stop,
    pub(super) value: PhantomData<fn() -> T>,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Going {
    On,
    Stopped,
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Run<T> {
    /// Goes through a segment from where it stands to its end, or until asked to stop.
    pub(super) async fn segment(self: Arc<Self>, index: u32) -> Result<(), BackfillError> {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        loop {
            let (state, segments) = {
                let memory = self.memory.lock().await;
                let segments = &memory.1.segments;
                (segments.get(at).cloned().unwrap_or(Segment::Done), segments.len())
            };
            let start = match &state {
                Segment::Done => return Ok(()),
                Segment::Open => None,
                Segment::After(key) => {
                    Some(Key::from(key).to_attributes(&self.table.config.names)?)
                }
            };
            let Some(page) = self.scan((index, segments), start).await? else { return Ok(()) };
            let (items, last) = (page.items, page.last);
            let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
            let items = items.into_iter().map(|item| self.item(item));
            let mut items = stream::iter(items).buffer_unordered(self.config.parallel);
            let (mut going, mut migrated) = (Going::On, 0);
            // To the end also when asked to stop, so that no call under way is dropped.
            while let Some(done) = items.next().await {
                match done? {
                    (Going::Stopped, _) => going = Going::Stopped,
                    (Going::On, Saved::Written) => migrated += 1,
                    (Going::On, Saved::Unchanged) => {}
                }
            }
            if going == Going::Stopped {
                return Ok(());
            }
            let next = match last {
                None => Segment::Done,
                Some(last) => {
                    Segment::After(PlainKey::from(&Key::of(&last, &self.table.config.names)?))
                }
            };
            self.advance(at, next, (count, migrated)).await?;
        }
    }

    async fn scan(
        &self,
        (index, segments): (u32, usize),
        start: Option<Attributes>,
    ) -> Result<Option<Page>, BackfillError> {
        tokio::select! {
            biased;
            _ = self.stop.requested() => return Ok(None),
            () = self.counts.reads.wait() => {}
        }
        let scan = async || {
            let segments = i32::try_from(segments).unwrap_or(i32::MAX);
            let of = (i32::try_from(index).unwrap_or(i32::MAX), segments);
            let limit = i32::try_from(self.config.page).unwrap_or(i32::MAX);
            self.table.dynamo().scan(of, start.clone(), limit).await
        };
        match self.config.retry.run(&self.stop, scan).await {
            Ok(page) => {
                self.counts.reads.spend(page.units);
                Ok(Some(page))
            }
            Err(failed) if failed.gave_up == GaveUp::Stopped => Ok(None),
            Err(failed) => Err(given_up(failed.error)),
        }
    }

    /// Migrates an item that needs it. What is wrong with one item does not stop the others.
    async fn item(&self, item: Attributes) -> Result<(Going, Saved), BackfillError> {
        let key = Key::of(&item, &self.table.config.names).ok();
        let saved = match self.migrated(item).await {
            Ok((Going::Stopped, _)) => return Ok((Going::Stopped, Saved::Unchanged)),
            Ok((Going::On, saved)) => {
                let count = match saved {
                    Saved::Written => &self.counts.migrated,
                    Saved::Unchanged => &self.counts.unchanged,
                };
                count.fetch_add(1, Relaxed);
                saved
            }
            Err(error) if is_of_all(&error) => return Err(error.into()),
            Err(error) => {
                self.counts.fail(key, error);
                Saved::Unchanged
            }
        };
        self.counts.scanned.fetch_add(1, Relaxed);
        Ok((Going::On, saved))
    }

    async fn migrated(&self, item: Attributes) -> Result<(Going, Saved), ItemError> {
        const NOTHING: Result<(Going, Saved), ItemError> = Ok((Going::On, Saved::Unchanged));
        if !self.config.selects(&item) || self.is_checkpoint(&item) {
            return NOTHING;
        }
        let mut stored = StoredItem::read(item, &self.table.config.names)?;
        for _ in 0..MOST_LOOKS {
            if stored.schema_version().is_some_and(|found| found >= self.target) {
                return NOTHING;
            }
            if let Some(by) = self.table.written_schema()?.held_by {
                return Err(ItemError::Held { version: self.target, by });
            }
            let mut item = self.table.read_stored::<T>(stored)?;
            if self.config.writing == Writing::Nothing {
                let write = self.table.write_of(&item, Reason::Migration)?;
                return Ok((Going::On, write.map_or(Saved::Unchanged, |_| Saved::Written)));
            }
            let error = match self.write(&mut item).await {
                Ok((Going::On, Saved::Unchanged)) => {
                    // The gate has closed since: look again, and say so.
                    match item.into_stored() {
                        Some(unchanged) => stored = unchanged,
                        None => return NOTHING,
                    }
                    continue;
                }
                Ok(written) => return Ok(written),
                Err(error) => error,
            };
            let current = match error {
                ItemError::Conflict { current } => Some(*current),
                ItemError::OutcomeUnknown => self.table.current(item.key(), None).await?,
                ItemError::Gone => None,
                error => return Err(error),
            };
            let Some(current) = current else { return NOTHING };
            self.counts.conflicts.fetch_add(1, Relaxed);
            stored = current;
        }
        Err(ItemError::Conflict { current: Box::new(stored) })
    }

    /// Writes an item as soon as there is capacity for it, again while the table does not answer.
    async fn write(&self, item: &mut Versioned<T>) -> Result<(Going, Saved), ItemError> {
        let mut tries = Tries::new(&self.table.config);
        loop {
            tokio::select! {
                biased;
                _ = self.stop.requested() => return Ok((Going::Stopped, Saved::Unchanged)),
                () = self.counts.writes.wait() => {}
            }
            let error = match self.table.migrate(item).await {
                Ok(saved) => return Ok((Going::On, saved)),
                Err(error) if !error.is_retryable() => return Err(error),
                Err(error) => error,
            };
            if let Pause::Spent = tries.pause().await {
                return Err(error);
            }
        }
    }

    fn is_checkpoint(&self, item: &Attributes) -> bool {
        let Some((table, key)) = &self.config.checkpoint else { return false };
        let is_same_table = table.dynamo().table() == self.table.dynamo().table();
        let found = Key::of(item, &self.table.config.names);
        is_same_table && found.is_ok_and(|found| found.normalized() == key.normalized())
    }

    async fn advance(
        &self,
        at: usize,
        next: Segment,
        (scanned, migrated): (u64, u64),
    ) -> Result<(), BackfillError> {
        let mut memory = self.memory.lock().await;
        let (memory, checkpoint) = &mut *memory;
        checkpoint.scanned += scanned;
        checkpoint.migrated += migrated;
        if let Some(segment) = checkpoint.segments.get_mut(at) {
            *segment = next;
        }
        let due = memory.saved() + self.config.checkpoint_interval;
        if Instant::now() >= due { memory.save(checkpoint).await } else { Ok(()) }
    }
}

/// Whether an error would be the same for every other item.
const fn is_of_all(error: &ItemError) -> bool {
    matches!(
        error,
        ItemError::Throttled { .. }
            | ItemError::Unavailable { .. }
            | ItemError::Misconfigured { .. }
            | ItemError::Held { .. }
    )
}

/// The error of a call that was given up; one that was never answered is an outage.
fn given_up(error: Option<ItemError>) -> BackfillError {
    let source = "no call was answered in time".into();
    BackfillError::Item(error.unwrap_or(ItemError::Unavailable { source }))
}
