pub(crate) mod capacity;
mod checkpoint;
mod config;
mod progress;
mod segment;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::Stop;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

pub use config::{BackfillConfig, Writing};
pub use progress::{BackfillFailure, BackfillHandle, EarlierFailure, Progress};

use crate::dynamo::Facts;
use crate::{ConfigError, ItemError, Table, TableConfig};
use checkpoint::{Checkpoint, Memory};
use progress::Counts;
use segment::Run;

/// How often the progress is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The driver that stores all items of one kind in the schema version that this release knows.
///
/// It scans the table in parallel segments, and each item of an earlier version, or of none, is
/// read as a `T` and written as a [`save`](Table::save) would, under its lock, with all of the
/// type's fields. It is safe beside the service's own writes, and to be repeated: an item that has
/// the version is not written again. Killed at any point and run again it goes on from its
/// [checkpoint](BackfillConfig::checkpoint), or from the start without one.
///
/// The [gate](crate::WriteGate) must let the version be written; where it does not, or no longer,
/// the run ends with [`ItemError::Held`], at once. A dry run does not ask it.
///
/// A checkpoint is good for one table, until it is deleted (told by its id, which needs the
/// permission `dynamodb:DescribeTable`), and for one revision of the deployment: under another one
/// a release that was asked back may have written items of the old version where the scan has been.
/// So the table is gone through again when the revision is another at the next run, or changes
/// during one, and after the gate has ended one. What has the version is then read and not written.
/// Without a gate nobody tells, nor of an old process that ran between two runs and under the same
/// revision: give the next run another checkpoint then.
///
/// Its reads are strongly consistent, at twice the price of others, so that no item is missed which
/// an old process wrote as its last; a dry run's are not. An item that cannot be migrated, because
/// it cannot be read, would be too large or is refused by DynamoDB, stays as it is; it is named in
/// the report and in the checkpoint, and the run goes on, up to a
/// [bound](BackfillConfig::max_failures).
///
/// ```
/// # use bluegreen_core::Stop;
/// # use bluegreen_items::{Backfill, BackfillConfig, Key, Table};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Order { total: u64 }
/// # async fn example(orders: Table, stop: Stop) -> Result<(), Box<dyn std::error::Error>> {
/// let config = BackfillConfig::default()
///     .with_write_capacity(100.0)
///     .with_checkpoint(orders.clone(), Key::new("BACKFILL").with_sk("Order 2.0"));
/// let (handle, backfill) = Backfill::<Order>::new(&orders, config)?;
/// let running = tokio::spawn(backfill.run(stop));
/// println!("{:?} left", handle.progress().remaining);
/// let report = running.await??;
/// println!("{:?}: {} migrated", report.ending, report.progress.migrated);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is migrated until it runs"]
pub struct Backfill<T> {
    table: Table,
    config: BackfillConfig,
    counts: Arc<Counts>,
    value: PhantomData<fn() -> T>,
}

/// What a [`Backfill`] did.
#[derive(Debug)]
#[non_exhaustive]
pub struct BackfillReport {
    /// Whether it came to the end of the table.
    pub ending: Ending,
    /// What was done.
    pub progress: Progress,
    /// The first hundred items that this run could not migrate.
    pub failures: Vec<BackfillFailure>,
    /// The first ten that the runs before could not, which it resumed.
    pub earlier: Vec<EarlierFailure>,
}

/// How a run of a [`Backfill`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// All of the table was gone through.
    Finished,
    /// It was asked to stop; the next run goes on from there.
    Stopped,
}

/// A [`Backfill`] cannot go on. The next run goes on from where it came to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackfillError {
    /// What is wrong would be the same for every item.
    #[error("the backfill cannot go on")]
    Item(#[from] ItemError),
    /// More items could not be migrated than may be. The next run does not look at those again that
    /// lie behind its checkpoint, which names the first of them.
    #[error("more than {most} items could not be migrated")]
    TooManyFailures {
        /// How many may be.
        most: u64,
        /// The first hundred of them.
        failures: Vec<BackfillFailure>,
    },
    /// Another run of the same backfill writes the same checkpoint.
    #[error("another run of the same backfill is under way")]
    AnotherRun,
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Backfill<T> {
    /// The driver for the items of a table that are read as a `T`, and a handle that shows how far
    /// it is.
    ///
    /// # Errors
    /// When a field of `config` is wrong; the error names it with its value.
    pub fn new(
        table: &Table,
        config: BackfillConfig,
    ) -> Result<(BackfillHandle, Self), ConfigError> {
        config.check()?;
        let counts = Arc::new(Counts::new(config.read_capacity, config.write_capacity));
        // Writes follow the same policy as scans.
        let mut writes = TableConfig::clone(&table.config);
        (writes.backoff, writes.budget) = (config.retry.backoff(), config.retry.budget());
        if config.writing == Writing::Nothing {
            // What it would write may be asked before it may be written.
            writes.gate = None;
        }
        let table = table.with_config(writes).metered(Arc::clone(&counts.writes));
        let handle = BackfillHandle { counts: Arc::clone(&counts) };
        Ok((handle, Self { table, config, counts, value: PhantomData }))
    }

    /// Goes through the table until its end or until asked to stop. Then calls under way are
    /// finished and the checkpoint is written; at the stop's deadline all is dropped as it is. The
    /// next run reads the items of unfinished pages again, and writes none twice.
    ///
    /// Dropped, it has stopped at the last checkpoint, which is as old as the
    /// [interval](BackfillConfig::checkpoint_interval) at the most and a page of each segment.
    ///
    /// # Errors
    /// When it cannot go on: the gate holds the version back, a permission is missing, the table
    /// does not answer, another run has the same checkpoint. Items that cannot be migrated are no
    /// such error, they are in the report.
    pub async fn run(self, stop: Stop) -> Result<BackfillReport, BackfillError> {
        let Self { table, config, counts, value } = self;
        let place = config.checkpoint.as_ref().filter(|_| config.writing == Writing::Items);
        if let Err(held) = may_write(&table) {
            if let Some(place) = place
                && let Err(error) = Memory::reopen(place).await
            {
                tracing::warn!(%error, "the checkpoint could not be reset while the gate is closed");
            }
            return Err(held.into());
        }
        let target = table.config.schema.version();
        // An estimate is not worth a permission.
        let facts = table.dynamo().facts().await.unwrap_or_else(|error| {
            tracing::info!(%error, "the table's items cannot be counted");
            Facts::default()
        });
        let fresh = Checkpoint::new(&table, config.segments).with_table_id(facts.id);
        let (memory, checkpoint) = match place {
            Some(place) => Memory::open(place, fresh).await?,
            None => (Memory::none(), fresh),
        };
        let Checkpoint { scanned, migrated, failed, .. } = checkpoint;
        counts.begin((scanned, migrated, failed), facts.items);
        let segments = u32::try_from(checkpoint.segments.len()).unwrap_or(u32::MAX);
        let earlier = checkpoint.failures.iter().map(EarlierFailure::from).collect();
        let memory = Mutex::new((memory, checkpoint));
        let run = Arc::new(Run { table, config, target, counts, memory, earlier, stop, value });
        let outcome = tokio::select! {
            outcome = to_the_end(&run, segments) => outcome,
            () = run.stop.expired() => Ok(()),
        };
        conclude(run, outcome).await
    }
}

/// Whether the gate lets the present version be written.
fn may_write(table: &Table) -> Result<(), ItemError> {
    match table.written_schema()?.held_by {
        None => Ok(()),
        Some(by) => Err(ItemError::Held { version: table.config.schema.version(), by }),
    }
}

/// Goes through the table, and once more whenever the deployment has changed meanwhile.
async fn to_the_end<T>(run: &Arc<Run<T>>, segments: u32) -> Result<(), BackfillError>
where
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    loop {
        through(run, segments).await?;
        if run.is_over().await {
            return Ok(());
        }
    }
}

/// Runs all segments until the gate closes, and logs how far they are.
async fn through<T>(run: &Arc<Run<T>>, segments: u32) -> Result<(), BackfillError>
where
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let mut tasks = JoinSet::new();
    for index in 0..segments {
        tasks.spawn(Arc::clone(run).segment(index));
    }
    let handle = BackfillHandle { counts: Arc::clone(&run.counts) };
    let config = &run.table.config;
    let closes = async {
        match &config.gate {
            Some(gate) => gate.closes(&config.schema).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(closes);
    loop {
        tokio::select! {
            biased;
            ended = tasks.join_next() => match ended {
                None => return Ok(()),
                Some(Ok(outcome)) => outcome?,
                Some(Err(error)) => match error.try_into_panic() {
                    // A step or a type of the caller's panicked.
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => return Ok(()),
                },
            },
            by = &mut closes => {
                return Err(ItemError::Held { version: run.target, by }.into());
            }
            () = sleep(LOG_INTERVAL) => {
                let progress = handle.progress();
                tracing::info!(
                    scanned = progress.scanned, migrated = progress.migrated,
                    failed = progress.failed, remaining = ?progress.remaining, "backfill"
                );
            }
        }
    }
}

/// Remembers how far the run came, or forgets it when it came to the end.
async fn conclude<T>(
    run: Arc<Run<T>>,
    outcome: Result<(), BackfillError>,
) -> Result<BackfillReport, BackfillError> {
    let fresh = (Memory::none(), Checkpoint::new(&run.table, 0));
    let (mut memory, mut checkpoint) = std::mem::replace(&mut *run.memory.lock().await, fresh);
    if let Err(BackfillError::AnotherRun) = outcome {
        return Err(BackfillError::AnotherRun);
    }
    if let Err(BackfillError::Item(ItemError::Held { .. })) = outcome {
        // Whoever it is held back for may write where the scan has been.
        let revision = checkpoint.revision;
        checkpoint.reopen(revision);
    }
    let is_finished = outcome.is_ok() && checkpoint.is_done();
    let is_late = run.stop.time_left().is_some_and(|left| left.is_zero());
    if is_finished {
        // All is done: a checkpoint that stays is one of nothing left to do.
        if let Err(error) = memory.forget().await {
            tracing::warn!(%error, "the checkpoint could not be deleted at the end");
        }
    } else if is_late {
        tracing::warn!("the time to stop was over before the checkpoint could be written");
    } else if let Err(error) = memory.save(&checkpoint).await {
        // What ended the run is the better answer.
        outcome?;
        return Err(error);
    }
    outcome?;
    let handle = BackfillHandle { counts: Arc::clone(&run.counts) };
    let ending = if is_finished { Ending::Finished } else { Ending::Stopped };
    let failures = run.counts.take_failures();
    let progress = handle.progress();
    Ok(BackfillReport { ending, progress, failures, earlier: run.earlier.clone() })
}
