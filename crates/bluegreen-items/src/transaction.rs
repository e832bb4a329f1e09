mod bundle;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use bundle::{Bundle, Bundled, Kind, Part, Refused};

use crate::expression::Expression;
use crate::size::TRANSACTION_LIMIT;
use crate::tries::Tries;
use crate::write::{Content, Lock, Reason, Write};
use crate::{AttributeNames, Attributes, ItemError, Key, Saved, Table, Update, Versioned};

/// DynamoDB's limit for one transaction.
const MOST_ITEMS: usize = 100;

/// Several writes of which all happen or none: up to 100 items and 4 MB, at twice the price of
/// single ones. They may be of several tables of one account and region; the first part's client
/// sends all of them.
///
/// Each part keeps its lock, as alone. The request carries a client token, so that a repetition
/// within 10 minutes is not applied again; beyond that the marks in the items tell.
///
/// ```
/// # use bluegreen_items::{Key, Table, Transaction, TransactionError, Update, Versioned};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Order { paid: bool }
/// # async fn example(
/// #     orders: Table, accounts: Table, mut order: Versioned<Order>, account: Key,
/// # ) -> Result<(), TransactionError> {
/// order.value_mut().paid = true;
/// let mut payment = Transaction::new();
/// payment.save(&orders, &mut order).await?;
/// payment.update(&accounts, &account, &Update::new().add("cents", -500).if_at_least("cents", 500))?;
/// match payment.commit().await {
///     Err(TransactionError::Refused { refusals }) => {
///         for refusal in refusals {
///             println!("{}: {}", refusal.key, refusal.error);
///         }
///     }
///     done => done?,
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is written before it is committed"]
pub struct Transaction<'a> {
    parts: Vec<Part>,
    items: Vec<Saving<'a>>,
    bytes: usize,
}

/// An item that a transaction saves, and the write that does it.
struct Saving<'a> {
    item: &'a mut dyn Participant,
    write: Write,
    names: AttributeNames,
}

/// An item whose write goes with others.
trait Participant: Send {
    fn open(&mut self, write: Write);
    fn settle(&mut self, names: &AttributeNames) -> Result<(), ItemError>;
    fn give_up(&mut self);
}

impl<T: Send> Participant for Versioned<T> {
    fn open(&mut self, write: Write) {
        self.set_unsettled(write);
    }

    fn settle(&mut self, names: &AttributeNames) -> Result<(), ItemError> {
        Self::settle(self, names)
    }

    fn give_up(&mut self) {
        Self::give_up(self);
    }
}

impl<'a> Transaction<'a> {
    /// A transaction without parts.
    pub const fn new() -> Self {
        Self { parts: Vec::new(), items: Vec::new(), bytes: 0 }
    }

    /// Writes what was changed since the item was read or saved, or creates it; nothing where
    /// nothing was changed. An earlier write whose outcome is open is settled first.
    ///
    /// # Errors
    /// [`TransactionError::AppliedBefore`] when the item was part of an earlier transaction that is
    /// found to be applied; when the value cannot be written or there is too much in the
    /// transaction, which then goes without this part; as [`Table::save`] for a write that was open.
    pub async fn save<T: Serialize + DeserializeOwned + Send>(
        &mut self,
        table: &Table,
        item: &'a mut Versioned<T>,
    ) -> Result<(), TransactionError> {
        settled(table, item).await?;
        let Some(write) = table.write_of(item, Reason::Change)? else { return Ok(()) };
        let bytes = self.bytes + write.size;
        if bytes > TRANSACTION_LIMIT {
            return Err(ItemError::TooLarge { size: bytes, limit: TRANSACTION_LIMIT }.into());
        }
        let names = &table.config.names;
        let expression = Expression::of(&write.act, names);
        let request = match &write.content {
            Content::Whole(item) => table.dynamo().put_part(item.clone(), expression)?,
            Content::Parts(patch) => {
                let key = item.key().to_attributes(names)?;
                table.dynamo().update_part(key, expression.with_update(patch))?
            }
        };
        let kind = Kind::Write(write.act.clone(), write.mark);
        let planned = Some(write.planned);
        self.add(Part { table: table.clone(), key: item.key().clone(), request, kind, planned })?;
        self.bytes = bytes;
        self.items.push(Saving { item, write, names: names.clone() });
        Ok(())
    }

    /// Deletes the item if it is still the one that was read. A write of it whose outcome is open is
    /// settled first.
    ///
    /// # Errors
    /// [`TransactionError::AppliedBefore`] when the item was part of an earlier transaction that is
    /// found to be applied; [`ItemError::Gone`] for an item that was never stored; when there are
    /// too many parts.
    pub async fn delete<T>(
        &mut self,
        table: &Table,
        item: &mut Versioned<T>,
    ) -> Result<(), TransactionError> {
        settled(table, item).await?;
        let (key, expression) = locked(table, item)?;
        let (request, kind) = (table.dynamo().delete_part(key, expression)?, Kind::Locked);
        let planned = None;
        self.add(Part { table: table.clone(), key: item.key().clone(), request, kind, planned })
    }

    /// Demands that the item is still the one that was read, and leaves it alone.
    ///
    /// # Errors
    /// [`ItemError::Gone`] for an item that was never stored; when there are too many parts.
    pub fn check<T>(&mut self, table: &Table, item: &Versioned<T>) -> Result<(), TransactionError> {
        let (key, expression) = locked(table, item)?;
        let (request, kind) = (table.dynamo().check_part(key, expression)?, Kind::Locked);
        let planned = None;
        self.add(Part { table: table.clone(), key: item.key().clone(), request, kind, planned })
    }

    /// Changes parts of an item by expression, as [`Table::update`] does; an item of an earlier
    /// schema version is not migrated on the way but refused.
    ///
    /// # Errors
    /// When the update cannot be written, the present schema version may not be, or there are too
    /// many parts.
    pub fn update(
        &mut self,
        table: &Table,
        key: &Key,
        update: &Update,
    ) -> Result<(), TransactionError> {
        self.add(table.part_of(key, update)?)
    }

    /// Writes all of it or nothing, and tries again for a while where that may help.
    ///
    /// After an error of the service, or when the future was dropped, saving any of its items sends
    /// the whole transaction again first if it may have been applied, and does not apply it twice;
    /// such a save ends as [`ItemError::NotCommitted`] where the transaction no longer can be, and
    /// writes no item alone. The same transaction may be built again from the same items instead:
    /// where the first was applied after all, that is [`TransactionError::AppliedBefore`]. A
    /// transaction that has deletions and updates only is [`ItemError::OutcomeUnknown`] then.
    ///
    /// # Errors
    /// [`TransactionError::Refused`] with every item that stood in the way; [`ItemError::Held`] when
    /// a part may no longer be written in the schema version it was planned in; when the service
    /// does not do it.
    pub async fn commit(self) -> Result<(), TransactionError> {
        let Self { parts, mut items, .. } = self;
        let Some(table) = parts.first().map(|part| part.table.clone()) else {
            return Ok(());
        };
        let bundle = Arc::new(Bundle::new(parts));
        for Saving { item, write, .. } in &mut items {
            let (sends, bundle) = (bundle.sends().clone(), Some(Arc::clone(&bundle)));
            item.open(Write { sends, bundle, ..write.clone() });
        }
        let outcome = bundle.send(&mut Tries::new(&table)).await;
        match outcome {
            Ok(Bundled::Applied) => {
                items.iter_mut().try_for_each(|saving| saving.item.settle(&saving.names))?;
                Ok(())
            }
            Ok(Bundled::Refused(refusals)) => {
                items.iter_mut().for_each(|saving| saving.item.give_up());
                let refusals = refusals
                    .into_iter()
                    .map(|refused| Refusal { key: refused.key, error: refused.error });
                Err(TransactionError::Refused { refusals: refusals.collect() })
            }
            Err(error) if error.leaves_open() && bundle.sends().are_in_doubt() => {
                if items.is_empty() || matches!(error, ItemError::Stopped) {
                    crate::counters::outcome_unknown();
                    return Err(ItemError::OutcomeUnknown.into());
                }
                Err(error.into())
            }
            Err(error) => {
                items.iter_mut().for_each(|saving| saving.item.give_up());
                Err(error.into())
            }
        }
    }

    fn add(&mut self, part: Part) -> Result<(), TransactionError> {
        if self.parts.len() >= MOST_ITEMS {
            return Err(TransactionError::TooMany { most: MOST_ITEMS });
        }
        let is_same = |other: &Part| {
            // One handle may have its name, and the other its ARN.
            let [one, two] = [other, &part].map(|part| part.table.dynamo().table_name());
            one == two && other.key.normalized() == part.key.normalized()
        };
        if self.parts.iter().any(is_same) {
            return Err(TransactionError::Twice { key: part.key });
        }
        self.parts.push(part);
        Ok(())
    }
}

impl Default for Transaction<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.parts.iter().map(|part| part.key.to_string());
        f.debug_list().entries(keys).finish()
    }
}

/// Settles what is open of an item. What was written with others is not to be written with them
/// again, as whoever builds a transaction anew after an error would do.
async fn settled<T>(table: &Table, item: &mut Versioned<T>) -> Result<(), TransactionError> {
    let was_with_others = item.unsettled().is_some_and(|write| write.bundle.is_some());
    match table.settle(item).await? {
        Saved::Written if was_with_others => {
            Err(TransactionError::AppliedBefore { key: item.key().clone() })
        }
        Saved::Written | Saved::Unchanged => Ok(()),
    }
}

/// The key of an item, and the condition that it is still the one that was read.
fn locked<T>(table: &Table, item: &Versioned<T>) -> Result<(Attributes, Expression), ItemError> {
    let stored = item.stored().ok_or(ItemError::Gone)?;
    let key = item.key().to_attributes(&table.config.names)?;
    let expression = Expression::locked(&Lock::on(stored.stamps()), &table.config.names);
    Ok((key, expression))
}

/// An item that stood in the way of a transaction.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refusal {
    /// The item.
    pub key: Key,
    /// Why: a conflict with the current item, a condition that does not hold, and so on.
    pub error: ItemError,
}

/// A transaction was not applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// Items stood in the way; nothing was written.
    #[error("{} of the transaction's items stood in the way", refusals.len())]
    Refused {
        /// Those items, each with its reason.
        refusals: Vec<Refusal>,
    },
    /// It has more parts than DynamoDB takes.
    #[error("a transaction has at most {most} items")]
    TooMany {
        /// The limit.
        most: usize,
    },
    /// It would do two things to one item.
    #[error("the transaction has two parts for the item {key}")]
    Twice {
        /// The item.
        key: Key,
    },
    /// An earlier transaction with this item, whose outcome was open, is found to be applied. This
    /// one goes without the part: drop it if it is the same once more, else add the item again.
    #[error("the item {key} was written by an earlier transaction after all")]
    AppliedBefore {
        /// The item.
        key: Key,
    },
    /// A part cannot be written, or the service did not do it.
    #[error("the transaction failed")]
    Failed(#[from] ItemError),
}

impl TransactionError {
    /// Whether the same may succeed later without anybody's doing: build it again from the same
    /// items.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Failed(error) if error.is_retryable())
    }
}
