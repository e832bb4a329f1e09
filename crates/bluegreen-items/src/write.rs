//! Turns a changed value into one write. Pure.
//!
//! A value is always of the present schema version. The stored item may be of an earlier one, and
//! the version to write may be too: the item is taken up, changed, and taken down again.

use std::sync::Arc;
use std::time::SystemTime;

use aws_sdk_dynamodb::types::AttributeValue;
use std::borrow::Cow;
use std::collections::BTreeSet;

use bluegreen_core::{Color, ContractVersion};
use jiff::Timestamp;

use crate::fit::{Extent, View, fit};
use crate::mark::Mark;
use crate::merge::{Patch, overlay};
use crate::schema::label;
use crate::sends::Sends;
use crate::stored::Stamps;
use crate::transaction::Bundle;
use crate::{AttributeNames, Attributes, ItemError, StoredItem, TableConfig, size, storable};

/// One write, to be applied once however often it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) act: Act,
    pub(crate) content: Content,
    pub(crate) mark: Mark,
    pub(crate) planned: Planned,
    /// The view of the value that this write stores; nothing where it stores the value as it is when
    /// the write is made.
    pub(crate) view: Option<Attributes>,
    pub(crate) sends: Sends,
    /// The size of the item that it leaves.
    pub(crate) size: usize,
    /// What of an item of a newer schema version it gives up.
    pub(crate) loss: Option<Loss>,
    /// The transaction that it is part of.
    pub(crate) bundle: Option<Arc<Bundle>>,
}

/// The schema version that a write was planned in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) version: ContractVersion,
    /// Whether the item is stored in that version, which it then keeps while nobody knows who reads.
    pub(crate) is_kept: bool,
}

/// What a step down that is declared lossy takes from an item that was stored in a newer version.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Loss {
    /// The schema version that the item has.
    pub(crate) from: ContractVersion,
    /// The one that it gets.
    pub(crate) to: ContractVersion,
    /// The first thing that is lost: `Data.lines[2].price`.
    pub(crate) path: String,
}

/// What must be true before a write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    /// The item is not there.
    Create,
    /// The item is as it was read.
    Update(Lock),
}

/// What an item is locked on: it is the one that was read when both are still the same.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lock {
    pub(crate) version: Option<u64>,
    pub(crate) incarnation: Option<Mark>,
}

impl Lock {
    pub(crate) const fn on(stamps: &Stamps) -> Self {
        Self { version: stamps.version, incarnation: stamps.incarnation }
    }

    /// The version that a write under this lock makes; nothing at the end of all numbers.
    pub(crate) const fn next_version(&self) -> Option<u64> {
        match self.version {
            None => Some(1),
            Some(version) => version.checked_add(1),
        }
    }
}

/// What is sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    /// The whole item.
    Whole(Attributes),
    /// The attributes that change, so that those which nobody versions keep what they have now.
    Parts(Patch),
}

impl Content {
    /// The item that a write of this leaves of the `stored` one.
    pub(crate) fn applied_to(self, stored: Attributes) -> Attributes {
        match self {
            Self::Whole(attributes) => attributes,
            Self::Parts(patch) => patch.applied_to(stored),
        }
    }

    /// The attributes of that item, in place.
    pub(crate) fn left_of<'a>(
        &'a self,
        stored: &'a Attributes,
    ) -> impl Iterator<Item = (&'a String, &'a AttributeValue)> + Clone {
        let (stays, own) = match self {
            Self::Whole(attributes) => (None, attributes),
            Self::Parts(patch) => (Some(patch.untouched(stored)), &patch.changed),
        };
        stays.into_iter().flatten().chain(own)
    }
}

/// How many attributes the library keeps in an item.
const STAMPS: usize = 7;

/// DynamoDB takes 300 operators and 4 KB in an expression; beyond half of that the item goes whole.
const MOST_PARTS: usize = 150;

/// Why an item is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its value may have changed.
    Change,
    /// Its schema version is an earlier one.
    Migration,
}

/// Who writes, when, in which schema version, under which mark.
#[derive(Debug)]
pub(crate) struct Author<'a> {
    pub(crate) config: &'a TableConfig,
    pub(crate) color: Color,
    pub(crate) now: SystemTime,
    pub(crate) mark: Mark,
    /// The schema version that may be written.
    pub(crate) target: ContractVersion,
    /// Whether a newer one is only held back because nobody knows who reads.
    pub(crate) is_ignorant: bool,
}

impl Author<'_> {
    /// The same author for an item that is stored. Ignorance takes no item below the version that
    /// it has: whoever cannot read that could not before, and a lossy step would lose what is there.
    pub(crate) fn over(mut self, stored: &StoredItem) -> Self {
        let schema = &self.config.schema;
        let found = schema.version_of(stored.schema_version());
        if self.is_ignorant
            && found.major() > self.target.major()
            && found.major() <= schema.version().major()
        {
            self.target = found;
        }
        self
    }

    /// The write that creates an item.
    pub(crate) fn create(&self, key: Attributes, view: Attributes) -> Result<Write, ItemError> {
        for (name, value) in &key {
            if view.get(name).is_some_and(|own| own != value) {
                return Err(key_change(name));
            }
        }
        let mut item = view;
        item.reserve(key.len() + STAMPS);
        item.retain(|name, _| !self.config.names.is_stamp(name));
        if self.goes_down() {
            item.extend(key.clone());
            self.lower(&mut item)?;
            let moved = key.iter().find(|(name, value)| item.get(*name) != Some(value));
            if let Some((name, _)) = moved {
                return Err(key_change(name));
            }
        } else {
            item.extend(key);
        }
        let now = self.timestamp()?;
        item.insert(self.config.names.created_at.clone(), now.clone());
        self.stamp(&mut item, &Stamps::default(), now)?;
        storable::check(&item)?;
        let size = checked(size::of_item(&item))?;
        Ok(self.write(Act::Create, None, (Content::Whole(item), size), None))
    }

    /// The write that changes an item by the difference of two views; nothing without one, unless
    /// it is a migration.
    pub(crate) fn update(
        &self,
        stored: &StoredItem,
        before: &Attributes,
        after: Attributes,
        view: View<'_>,
        reason: Reason,
    ) -> Result<Option<Write>, ItemError> {
        if *before == after && reason == Reason::Change {
            return Ok(None);
        }
        let lifted = lifted(stored, self.config)?;
        let extent = self.extent(stored.stamps());
        let fitted = fit(&lifted, before, &after, extent, view);
        let unreadable = || ItemError::encode("", "the value could not be read back as changed");
        let patch = fitted.ok_or_else(unreadable)?;
        let (patch, loss) = self.lowered(stored, lifted, patch)?;
        let patch = self.without_stamps(patch)?;
        if patch.is_empty() && reason == Reason::Change {
            return Ok(None);
        }
        let act = Act::Update(Lock::on(stored.stamps()));
        let content = self.stamped(stored, patch)?;
        Ok(Some(Write { loss, ..self.write(act, Some(stored), content, Some(after)) }))
    }

    /// The write that stores an item in the version that may be written, as its steps make it. Which
    /// fields the type has in addition it cannot know, so it claims no minor version.
    pub(crate) fn migrate(mut self, stored: &StoredItem) -> Result<Write, ItemError> {
        self.target = ContractVersion::new(self.target.major(), 0);
        let lifted = lifted(stored, self.config)?;
        let (patch, _) = self.lowered(stored, lifted, Patch::default())?;
        let patch = self.without_stamps(patch)?;
        let act = Act::Update(Lock::on(stored.stamps()));
        let content = self.stamped(stored, patch)?;
        Ok(self.write(act, Some(stored), content, None))
    }

    /// The patch with the stamps of this write, or the whole item where it is too long for an
    /// expression.
    fn stamped(
        &self,
        stored: &StoredItem,
        mut patch: Patch,
    ) -> Result<(Content, usize), ItemError> {
        self.stamp(&mut patch.changed, stored.stamps(), self.timestamp()?)?;
        storable::check(&patch.changed)?;
        let size = checked(size_over(stored.attributes(), &patch))?;
        let content = if patch.changed.len() + patch.removed.len() <= MOST_PARTS {
            Content::Parts(patch)
        } else {
            Content::Whole(patch.applied_to(stored.attributes().clone()))
        };
        Ok((content, size))
    }

    fn write(
        &self,
        act: Act,
        stored: Option<&StoredItem>,
        (content, size): (Content, usize),
        view: Option<Attributes>,
    ) -> Write {
        let found = stored.map(|item| self.config.schema.version_of(item.schema_version()));
        let is_kept = found.is_some_and(|found| found.major() == self.target.major());
        let planned = Planned { version: self.target, is_kept };
        let (mark, sends) = (self.mark, Sends::default());
        Write { act, content, mark, planned, view, sends, size, loss: None, bundle: None }
    }

    fn extent(&self, read: &Stamps) -> Extent {
        if self.label(read).is_none() { Extent::Difference } else { Extent::Complete }
    }

    /// The schema version that a write gives to an item; nothing where it has that version, or
    /// a newer minor or one of another release's future.
    fn label(&self, read: &Stamps) -> Option<ContractVersion> {
        let present = self.config.schema.version();
        let stays = read.schema.is_some_and(|found| {
            found.major() > present.major()
                || (found.major() == self.target.major() && found >= self.target)
        });
        (!stays).then_some(self.target)
    }

    /// The patch of the item as it is stored, for one of the item as it was taken up, and what the
    /// item loses by it.
    fn lowered(
        &self,
        stored: &StoredItem,
        lifted: Cow<'_, Attributes>,
        patch: Patch,
    ) -> Result<(Patch, Option<Loss>), ItemError> {
        let schema = &self.config.schema;
        let version = schema.version_of(stored.schema_version());
        let found = version.major();
        let (present, target) = (schema.version().major(), self.target.major());
        if found > present || (found == present && target == present) {
            return Ok((patch, None));
        }
        let mut changed = patch.applied_to(lifted.clone().into_owned());
        strip_stamps(&mut changed, &self.config.names);
        let newer = (found > target).then(|| changed.clone());
        self.lower(&mut changed)?;
        let lost = newer.and_then(|newer| schema.lost(&newer, &changed, target));
        let loss = lost.map(|path| Loss { from: version, to: self.target, path });
        let mut unchanged = if found == target && target < present {
            // What the step up drops and the step down cannot bring back is no change.
            let mut unchanged = lifted.into_owned();
            self.lower(&mut unchanged)?;
            unchanged
        } else {
            stored.attributes().clone()
        };
        strip_stamps(&mut unchanged, &self.config.names);
        strip_stamps(&mut changed, &self.config.names);
        Ok((overlay(stored.attributes(), &unchanged, &changed, &BTreeSet::new()).patch, loss))
    }

    /// Whether the version that may be written is an earlier one.
    fn goes_down(&self) -> bool {
        self.target.major() != self.config.schema.version().major()
    }

    /// Takes an item of the present schema version down to the one that may be written.
    fn lower(&self, item: &mut Attributes) -> Result<(), ItemError> {
        if !self.goes_down() {
            return Ok(());
        }
        strip_stamps(item, &self.config.names);
        self.config.schema.lower(item, self.target.major())
    }

    /// The stamps are the library's, whatever the value says; the key is nobody's to change.
    fn without_stamps(&self, mut patch: Patch) -> Result<Patch, ItemError> {
        let names = &self.config.names;
        patch.changed.retain(|name, _| !names.is_stamp(name));
        patch.removed.retain(|name| !names.is_stamp(name));
        match patch.changed.keys().chain(&patch.removed).find(|name| names.is_key(name)) {
            Some(name) => Err(key_change(name)),
            None => Ok(patch),
        }
    }

    /// Sets what the library keeps of every write.
    fn stamp(
        &self,
        item: &mut Attributes,
        read: &Stamps,
        now: AttributeValue,
    ) -> Result<(), ItemError> {
        let names = &self.config.names;
        item.reserve(STAMPS);
        let version = Lock::on(read).next_version().ok_or_else(|| {
            ItemError::encode(&names.version, "the version is at the end of all numbers")
        })?;
        let mut set = |name: &String, value| item.insert(name.clone(), value);
        set(&names.version, AttributeValue::N(version.to_string()));
        set(&names.modified_at, now);
        set(&names.environment, AttributeValue::S(self.color.to_string()));
        set(&names.write_ids, self.marks(read));
        if let Some(version) = self.label(read) {
            set(&names.schema_version, label::to_attribute(version));
        }
        if read.incarnation.is_none() {
            set(&names.incarnation, self.mark.to_attribute());
        }
        Ok(())
    }

    /// The marks of the latest writes, this one last.
    fn marks(&self, read: &Stamps) -> AttributeValue {
        let forgotten = read.writes.len().saturating_sub(self.config.remembered_writes);
        Mark::all_to_attribute(read.writes.iter().skip(forgotten).chain([&self.mark]))
    }

    pub(crate) fn timestamp(&self) -> Result<AttributeValue, ItemError> {
        let now = Timestamp::try_from(self.now)
            .map_err(|error| ItemError::encode(&self.config.names.modified_at, error))?;
        Ok(AttributeValue::S(now.to_string()))
    }
}

/// The item as the present schema version has it, its stamps unchanged.
pub(crate) fn lifted<'a>(
    stored: &'a StoredItem,
    config: &TableConfig,
) -> Result<Cow<'a, Attributes>, ItemError> {
    let (schema, names) = (&config.schema, &config.names);
    let found = schema.version_of(stored.schema_version()).major();
    if found >= schema.version().major() {
        return Ok(Cow::Borrowed(stored.attributes()));
    }
    let mut item = stored.attributes().clone();
    strip_stamps(&mut item, names);
    schema.lift(&mut item, found)?;
    let stamps = stored.attributes().iter().filter(|(name, _)| names.is_stamp(name));
    item.extend(stamps.map(|(name, value)| (name.clone(), value.clone())));
    Ok(Cow::Owned(item))
}

fn strip_stamps(item: &mut Attributes, names: &AttributeNames) {
    item.retain(|name, _| !names.is_stamp(name));
}

fn key_change(name: &str) -> ItemError {
    ItemError::encode(name, "the value names another key than the item's")
}

/// The size of the item that a patch leaves of the `stored` one.
fn size_over(stored: &Attributes, patch: &Patch) -> usize {
    let replaced = patch.changed.keys().chain(&patch.removed);
    let replaced = replaced.filter_map(|name| stored.get_key_value(name));
    let replaced: usize = replaced.map(|(name, value)| size::of_attribute(name, value)).sum();
    size::of_item(stored).saturating_sub(replaced) + size::of_item(&patch.changed)
}

fn checked(size: usize) -> Result<usize, ItemError> {
    if size > size::LIMIT {
        return Err(ItemError::TooLarge { size, limit: size::LIMIT });
    }
    Ok(size)
}

#[cfg(test)]
mod tests;
