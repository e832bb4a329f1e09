//! What became of a write or a deletion: done, refused, or open.

use crate::attempts::Writing;
use crate::dynamo::{Answer, Consistency};
use crate::expression::Expression;
use crate::mark::Mark;
use crate::transaction::{Bundled, Refused};
use crate::validity::Validity;
use crate::verdict::{Verdict, judge};
use crate::write::{Act, Content, Lock, Write};
use crate::{Attributes, ItemError, Key, Saved, StoredItem, Table, Versioned, counters};

impl Table {
    /// Settles what an earlier call left open. A write whose future was dropped and which cannot have
    /// been applied is not sent as it was planned then: what may be written can be another version.
    pub(crate) async fn settle<T>(&self, item: &mut Versioned<T>) -> Result<Saved, ItemError> {
        if let Some(write) = item.unsettled()
            && write.bundle.is_none()
            && !write.sends.are_in_doubt()
        {
            item.give_up();
        }
        self.send_open(item).await
    }

    /// Sends the write whose outcome is not known yet, if there is one, and takes note of it.
    pub(super) async fn send_open<T>(&self, item: &mut Versioned<T>) -> Result<Saved, ItemError> {
        let Some(write) = item.unsettled() else { return Ok(Saved::Unchanged) };
        let sent = match &write.bundle {
            None => self.send_or_ask(item.key(), write).await,
            Some(bundle) => match bundle.send_once().await {
                Ok(Bundled::Applied) => Ok(()),
                // What was to happen with others must not happen alone; the value keeps its change.
                Ok(Bundled::Refused(refusals)) => Err(not_committed(refusals, write.mark)),
                Err(error) => Err(error),
            },
        };
        match sent {
            Ok(()) => {
                item.settle(&self.config.names)?;
                Ok(Saved::Written)
            }
            Err(error) => {
                // What may have been applied is kept, and sent again first at the next save.
                if !(error.leaves_open() && write.sends.are_in_doubt()) {
                    if let Some(bundle) = &write.bundle {
                        bundle.give_up();
                    }
                    item.give_up();
                    return Err(error);
                }
                Err(match error {
                    ItemError::Stopped => outcome_unknown(),
                    error => error,
                })
            }
        }
    }

    /// Sends a write. One whose outcome is open is looked for instead where sending it again might do
    /// harm: a creation would bring back what was deleted since, and its schema version may be one
    /// that must not be written any more.
    async fn send_or_ask(&self, key: &Key, write: &Write) -> Result<(), ItemError> {
        let is_in_doubt = || write.sends.are_in_doubt();
        let is_creation = write.act == Act::Create;
        if is_creation && is_in_doubt() {
            return self.ask(key, write).await;
        }
        let error = match self.send(key, write).await {
            Err(ItemError::Held { .. }) if is_in_doubt() => return self.ask(key, write).await,
            Err(error) if error.leaves_open() && is_creation && is_in_doubt() => error,
            known => return known,
        };
        match self.ask(key, write).await {
            // No answer to the question either: what went wrong first says more.
            Err(unanswered) if unanswered.leaves_open() => Err(error),
            known => known,
        }
    }

    /// Looks whether a write in doubt was applied.
    async fn ask(&self, key: &Key, write: &Write) -> Result<(), ItemError> {
        let current = self.current(key, None).await?;
        refused(write, current)
    }

    pub(super) async fn send(&self, key: &Key, write: &Write) -> Result<(), ItemError> {
        let expression = Expression::of(&write.act, &self.config.names);
        let writing = Writing {
            sends: write.sends.clone(),
            validity: Validity::of(&self.config, write.planned),
            // It would bring back what was deleted since an earlier send.
            goes_once: write.act == Act::Create,
        };
        let answer = match &write.content {
            Content::Whole(item) => self.dynamo.put(item.clone(), expression, writing).await?,
            Content::Parts(patch) => {
                let attributes = key.to_attributes(&self.config.names)?;
                self.dynamo.update(attributes, expression.with_update(patch), writing).await?
            }
        };
        match answer {
            Answer::Done => Ok(()),
            Answer::Refused(current) => {
                let current = self.current(key, current).await?;
                refused(write, current)
            }
        }
    }

    /// The item that stood in the way, asked for where the service did not name it.
    pub(crate) async fn current(
        &self,
        key: &Key,
        refusal: Option<Attributes>,
    ) -> Result<Option<StoredItem>, ItemError> {
        let attributes = match refusal {
            Some(attributes) => Some(attributes),
            None => {
                let key = key.to_attributes(&self.config.names)?;
                self.dynamo.get(key, Consistency::Strong).await?
            }
        };
        attributes.map(|item| StoredItem::read(item, &self.config.names)).transpose()
    }
}

/// What the refusal of a transaction means for the item whose write in it has this mark.
fn not_committed(refusals: Vec<Refused>, mark: Mark) -> ItemError {
    let mut keys = Vec::with_capacity(refusals.len());
    for refused in refusals {
        if refused.mark == Some(mark) {
            return refused.error;
        }
        keys.push(refused.key);
    }
    ItemError::NotCommitted { keys }
}

/// What the refusal of a write means.
fn refused(write: &Write, current: Option<StoredItem>) -> Result<(), ItemError> {
    let in_doubt = write.sends.are_in_doubt();
    let Some(current) = current else {
        // It may have been written and then deleted, and must not come back.
        return Err(if in_doubt { outcome_unknown() } else { ItemError::Gone });
    };
    match judge(&write.act, write.mark, in_doubt, current.stamps()) {
        Verdict::Ours => {
            counters::recognized();
            tracing::info!("a write whose reply was lost had been applied");
            Ok(())
        }
        Verdict::Unknown => Err(outcome_unknown()),
        Verdict::Another => Err(match write.act {
            Act::Create => ItemError::AlreadyExists { current: Box::new(current) },
            Act::Update(_) => conflict(current),
        }),
    }
}

/// What the refusal of a deletion means.
pub(super) fn not_deleted(
    lock: &Lock,
    in_doubt: bool,
    current: Option<StoredItem>,
) -> Result<(), ItemError> {
    match current {
        None if in_doubt => Ok(()),
        None => Err(ItemError::Gone),
        Some(current) if !in_doubt => Err(conflict(current)),
        Some(current) => match (lock.incarnation, current.stamps().incarnation) {
            (Some(then), Some(now)) if then == now => Err(conflict(current)),
            // Created anew, stamped or stripped of its stamps since. Whether it was deleted by us or
            // by another nobody can tell.
            _ => Err(outcome_unknown()),
        },
    }
}

pub(super) fn outcome_unknown() -> ItemError {
    counters::outcome_unknown();
    ItemError::OutcomeUnknown
}

fn conflict(current: StoredItem) -> ItemError {
    counters::conflict();
    ItemError::Conflict { current: Box::new(current) }
}
