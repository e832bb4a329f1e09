//! One segment of the scan, page by page.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bluegreen_core::{ContractVersion, Revision, Stop};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::checkpoint::{Checkpoint, Failure, Memory, PlainKey, Segment, Tally};
use super::progress::Counts;
use super::{BackfillConfig, BackfillError, EarlierFailure, Writing};
use crate::dynamo::{Consistency, Page};
use crate::retry::GaveUp;
use crate::tries::Tries;
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
    /// What failed in the runs before.
    pub(super) earlier: Vec<EarlierFailure>,
    pub(super) stop: Stop,
    pub(super) value: PhantomData<fn() -> T>,
}

/// What became of one item.
#[derive(Debug)]
enum Outcome {
    Written,
    Unchanged,
    Failed(Failure),
    /// It was asked to stop before.
    Stopped,
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Run<T> {
    /// Goes through a segment from where it stands to its end, or until asked to stop.
    pub(super) async fn segment(self: Arc<Self>, index: u32) -> Result<(), BackfillError> {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        loop {
            let (state, segments, revision) = {
                let memory = self.memory.lock().await;
                let Checkpoint { segments, revision, .. } = &memory.1;
                let state = segments.get(at).cloned().unwrap_or(Segment::Done);
                (state, segments.len(), *revision)
            };
            let start = match &state {
                Segment::Done => return Ok(()),
                Segment::Open => None,
                Segment::After(key) => {
                    Some(Key::from(key).to_attributes(&self.table.config.names)?)
                }
            };
            let Some(page) = self.scan((index, segments), start).await? else { return Ok(()) };
            let Some(tally) = self.page(page.items).await? else { return Ok(()) };
            let next = match page.last {
                None => Segment::Done,
                Some(last) => {
                    Segment::After(PlainKey::from(&Key::of(&last, &self.table.config.names)?))
                }
            };
            self.advance((at, revision), next, tally).await?;
        }
    }

    /// Migrates the items of a page; nothing when asked to stop before all were.
    async fn page(&self, items: Vec<Attributes>) -> Result<Option<Tally>, BackfillError> {
        let mut tally =
            Tally { scanned: u64::try_from(items.len()).unwrap_or(u64::MAX), ..Tally::default() };
        let items = items.into_iter().map(|item| self.item(item));
        let mut items = stream::iter(items).buffer_unordered(self.config.parallel);
        let mut is_whole = true;
        // To the end also when asked to stop, so that no call under way is dropped.
        while let Some(outcome) = items.next().await {
            match outcome? {
                Outcome::Written => tally.migrated += 1,
                Outcome::Unchanged => {}
                Outcome::Failed(failure) => tally.failures.push(failure),
                Outcome::Stopped => is_whole = false,
            }
        }
        Ok(is_whole.then_some(tally))
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
        // What an older release wrote a moment ago must not be missed; a dry run only estimates.
        let consistency = match self.config.writing {
            Writing::Items => Consistency::Strong,
            Writing::Nothing => Consistency::Eventual,
        };
        let scan = async || {
            let segments = i32::try_from(segments).unwrap_or(i32::MAX);
            let of = (i32::try_from(index).unwrap_or(i32::MAX), segments);
            let limit = i32::try_from(self.config.page).unwrap_or(i32::MAX);
            self.table.dynamo().scan(of, start.clone(), limit, consistency).await
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

    /// Migrates an item that needs it. What is wrong with one item does not stop the others, until
    /// there are too many such.
    async fn item(&self, item: Attributes) -> Result<Outcome, BackfillError> {
        let key = Key::of(&item, &self.table.config.names).ok();
        let outcome = match self.migrated(item).await {
            Ok(Outcome::Stopped) => return Ok(Outcome::Stopped),
            Ok(outcome) => outcome,
            Err(error) if is_of_all(&error) => return Err(error.into()),
            Err(error) => {
                let failure = Failure::new(key.as_ref(), &error);
                let failed = self.counts.fail(key, error);
                let most = self.config.max_failures;
                if failed > most && self.config.writing == Writing::Items {
                    let failures = self.counts.take_failures();
                    return Err(BackfillError::TooManyFailures { most, failures });
                }
                Outcome::Failed(failure)
            }
        };
        match outcome {
            Outcome::Written => self.counts.migrated.fetch_add(1, Relaxed),
            Outcome::Unchanged => self.counts.unchanged.fetch_add(1, Relaxed),
            Outcome::Failed(_) | Outcome::Stopped => 0,
        };
        self.counts.scanned.fetch_add(1, Relaxed);
        Ok(outcome)
    }

    async fn migrated(&self, item: Attributes) -> Result<Outcome, ItemError> {
        if !self.config.selects(&item) || self.is_checkpoint(&item) {
            return Ok(Outcome::Unchanged);
        }
        let mut stored = StoredItem::read(item, &self.table.config.names)?;
        for _ in 0..MOST_LOOKS {
            if stored.schema_version().is_some_and(|found| found >= self.target) {
                return Ok(Outcome::Unchanged);
            }
            if let Some(by) = self.table.written_schema()?.held_by {
                return Err(ItemError::Held { version: self.target, by });
            }
            let mut item = self.table.read_stored::<T>(stored)?;
            if self.config.writing == Writing::Nothing {
                let write = self.table.write_of(&item, Reason::Migration)?;
                return Ok(write.map_or(Outcome::Unchanged, |_| Outcome::Written));
            }
            let error = match self.write(&mut item).await {
                Ok(Outcome::Unchanged) => {
                    // The gate has closed since: look again, and say so.
                    match item.into_stored() {
                        Some(unchanged) => stored = unchanged,
                        None => return Ok(Outcome::Unchanged),
                    }
                    continue;
                }
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            let current = match error {
                ItemError::Conflict { current } => Some(*current),
                ItemError::OutcomeUnknown => self.table.current(item.key(), None).await?,
                ItemError::Gone => None,
                error => return Err(error),
            };
            let Some(current) = current else { return Ok(Outcome::Unchanged) };
            self.counts.conflicts.fetch_add(1, Relaxed);
            stored = current;
        }
        Err(ItemError::Conflict { current: Box::new(stored) })
    }

    /// Writes an item as soon as there is capacity for it, again while the table does not answer.
    async fn write(&self, item: &mut Versioned<T>) -> Result<Outcome, ItemError> {
        let mut tries = Tries::new(&self.table);
        loop {
            tokio::select! {
                biased;
                _ = self.stop.requested() => return Ok(Outcome::Stopped),
                () = self.counts.writes.wait() => {}
            }
            let error = match self.table.migrate(item).await {
                Ok(Saved::Written) => return Ok(Outcome::Written),
                Ok(Saved::Unchanged) => return Ok(Outcome::Unchanged),
                Err(error) if !error.is_retryable() => return Err(error),
                Err(error) => error,
            };
            tries.pause(&error).await.end(error)?;
        }
    }

    fn is_checkpoint(&self, item: &Attributes) -> bool {
        let Some((table, key)) = &self.config.checkpoint else { return false };
        let is_same_table = table.dynamo().table_name() == self.table.dynamo().table_name();
        let found = Key::of(item, &self.table.config.names);
        is_same_table && found.is_ok_and(|found| found.normalized() == key.normalized())
    }

    /// Takes note that a page is done that was begun under a revision of the deployment. Under
    /// another one an older release may have been asked back and have written behind the cursors:
    /// all is gone through again.
    async fn advance(
        &self,
        (at, begun): (usize, Option<Revision>),
        next: Segment,
        tally: Tally,
    ) -> Result<(), BackfillError> {
        let mut memory = self.memory.lock().await;
        let (memory, checkpoint) = &mut *memory;
        if checkpoint.revision != begun || self.is_outdated(checkpoint) {
            return Ok(());
        }
        checkpoint.advance(at, next, tally);
        if Instant::now() < memory.saved() + self.config.checkpoint_interval {
            return Ok(());
        }
        match memory.save(checkpoint).await {
            // Nothing is left to be resumed.
            Err(BackfillError::Item(error)) if checkpoint.is_done() => {
                tracing::warn!(%error, "the last checkpoint could not be written");
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Opens all segments where another revision is in force than the checkpoint says.
    fn is_outdated(&self, checkpoint: &mut Checkpoint) -> bool {
        let revision = self.table.revision();
        if checkpoint.revision == revision {
            return false;
        }
        tracing::info!(?revision, "the deployment has changed; the backfill begins again");
        checkpoint.reopen(revision);
        self.counts.begin_again();
        true
    }

    /// Whether there is nothing left to do: the end was reached under the revision that is in force,
    /// or it was asked to stop.
    pub(super) async fn is_over(&self) -> bool {
        let mut memory = self.memory.lock().await;
        !self.is_outdated(&mut memory.1) && memory.1.is_done() || self.stop.is_requested()
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
    let unanswered = || ItemError::unanswered("no call was answered in time");
    BackfillError::Item(error.unwrap_or_else(unanswered))
}
