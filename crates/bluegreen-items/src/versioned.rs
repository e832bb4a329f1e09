use std::sync::Arc;
use std::time::SystemTime;

use bluegreen_core::{Color, ContractVersion};
use serde::Serialize;

use crate::sends::Sends;
use crate::view::encode;
use crate::write::{Loss, Write};
use crate::{AttributeNames, Attributes, ItemError, Key, StoredItem, counters};

/// A typed view of an item, beside all that is stored of it.
///
/// What [`value_mut`](Self::value_mut) changes becomes a write by [`Table::save`]: the difference
/// between the value as it was read and as it is, laid over the stored attributes. Version and
/// stamps change only once a write has succeeded, so a failed one can be repeated as it is.
///
/// It is not `Clone` on purpose: two copies would run for the same version against each other.
///
/// [`Table::save`]: crate::Table::save
#[derive(Debug)]
pub struct Versioned<T> {
    key: Key,
    value: T,
    stored: Option<StoredItem>,
    baseline: Baseline,
    unsettled: Option<Box<Write>>,
    deletions: Sends,
}

/// The view of the value as it is stored, or as a creation under way stores it.
#[derive(Debug)]
enum Baseline {
    /// The value was not lent out for changes since.
    Untouched,
    /// It was, and this was its view before.
    View(Attributes),
    /// It was, and had no view.
    Failed(Arc<ItemError>),
}

impl<T> Versioned<T> {
    /// A new item, not stored yet: its first [`save`](crate::Table::save) creates it.
    #[must_use]
    pub fn new(key: Key, value: T) -> Self {
        let baseline = Baseline::View(Attributes::new());
        Self { key, value, stored: None, baseline, unsettled: None, deletions: Sends::default() }
    }

    pub(crate) fn read(key: Key, value: T, stored: StoredItem) -> Self {
        let baseline = Baseline::Untouched;
        let stored = Some(stored);
        Self { key, value, stored, baseline, unsettled: None, deletions: Sends::default() }
    }

    /// The item's key.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// The value.
    #[must_use]
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// The value alone.
    #[must_use]
    pub fn into_value(self) -> T {
        self.value
    }

    /// The item as it is stored, as far as this copy knows; nothing before it was created.
    #[must_use]
    pub const fn stored(&self) -> Option<&StoredItem> {
        self.stored.as_ref()
    }

    pub(crate) fn into_stored(self) -> Option<StoredItem> {
        self.stored
    }

    /// How often the item was written; nothing when this library never wrote it.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.stored.as_ref()?.version()
    }

    /// The schema version it was last written with, where it says so.
    #[must_use]
    pub fn schema_version(&self) -> Option<ContractVersion> {
        self.stored.as_ref()?.schema_version()
    }

    /// When it was created, where it says so in RFC 3339.
    #[must_use]
    pub fn created_at(&self) -> Option<SystemTime> {
        self.stored.as_ref()?.created_at()
    }

    /// When it was last written, where it says so in RFC 3339.
    #[must_use]
    pub fn modified_at(&self) -> Option<SystemTime> {
        self.stored.as_ref()?.modified_at()
    }

    /// The color that wrote it last; nothing where none, or no color, is named.
    #[must_use]
    pub fn environment(&self) -> Option<Color> {
        self.stored.as_ref()?.environment()
    }

    pub(crate) fn unsettled(&self) -> Option<&Write> {
        self.unsettled.as_deref()
    }

    /// Keeps a write that is about to be sent until its outcome is known, so that neither a lost
    /// reply nor a dropped future can lead to a second application.
    pub(crate) fn set_unsettled(&mut self, write: Write) {
        if write.view.is_none() {
            self.baseline = Baseline::Untouched;
        }
        self.unsettled = Some(Box::new(write));
    }

    /// Forgets the write: it was not applied, or cannot be told any more.
    pub(crate) fn give_up(&mut self) {
        self.unsettled = None;
        if self.stored.is_none() {
            self.baseline = Baseline::View(Attributes::new());
        }
    }

    /// Takes note that the write was applied.
    pub(crate) fn settle(&mut self, names: &AttributeNames) -> Result<(), ItemError> {
        let Some(write) = self.unsettled.take() else { return Ok(()) };
        let Write { content, view, loss, .. } = *write;
        if let Some(Loss { from, to, path }) = loss {
            counters::lossy();
            tracing::warn!(
                key = %self.key, %from, %to, path,
                "an item of a newer schema version was stored in an earlier one, and lost this"
            );
        }
        let stored = self.stored.take().map(StoredItem::into_attributes);
        let attributes = content.applied_to(stored.unwrap_or_default());
        self.stored = Some(StoredItem::read(attributes, names)?);
        if let Some(view) = view {
            self.baseline = Baseline::View(view);
        }
        Ok(())
    }

    /// The view of the value as it is stored; nothing while it cannot have changed.
    pub(crate) fn baseline(&self) -> Result<Option<&Attributes>, ItemError> {
        match &self.baseline {
            Baseline::Untouched => Ok(None),
            Baseline::View(view) => Ok(Some(view)),
            Baseline::Failed(error) => Err(ItemError::encode("", Arc::clone(error))),
        }
    }

    /// Counts the sends of a deletion until its outcome is known.
    pub(crate) const fn deletions(&self) -> &Sends {
        &self.deletions
    }

    /// Takes note that the outcome of a deletion is known: how often it had been sent.
    pub(crate) fn settle_deletion(&mut self) -> Sends {
        std::mem::take(&mut self.deletions)
    }
}

impl<T: Serialize> Versioned<T> {
    /// The value, to be changed. Nothing is written before [`save`](crate::Table::save).
    ///
    /// The first call remembers what the value looked like. A change that went around it, through
    /// a `Cell` or a `Mutex` inside the value, is not seen as one.
    pub fn value_mut(&mut self) -> &mut T {
        if let Baseline::Untouched = self.baseline {
            self.baseline = match encode(&self.value) {
                Ok(view) => Baseline::View(view),
                Err(error) => Baseline::Failed(Arc::new(error)),
            };
        }
        &mut self.value
    }
}
