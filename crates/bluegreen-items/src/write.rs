//! Turns a changed value into one write. Pure.

use std::time::SystemTime;

use aws_sdk_dynamodb::types::AttributeValue;
use bluegreen_core::Color;
use jiff::Timestamp;

use crate::fit::{Extent, View, fit};
use crate::mark::Mark;
use crate::merge::Patch;
use crate::sends::Sends;
use crate::stored::Stamps;
use crate::{Attributes, ItemError, StoredItem, TableConfig, schema, size};

/// One write, to be applied once however often it is sent.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) key: Attributes,
    pub(crate) act: Act,
    pub(crate) content: Content,
    pub(crate) mark: Mark,
    /// The view of the value that this write stores.
    pub(crate) view: Attributes,
    pub(crate) sends: Sends,
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
}

/// DynamoDB takes 300 operators and 4 KB in an expression; beyond half of that the item goes whole.
const MOST_PARTS: usize = 150;

/// Who writes, when, under which mark.
#[derive(Debug)]
pub(crate) struct Author<'a> {
    pub(crate) config: &'a TableConfig,
    pub(crate) color: Color,
    pub(crate) now: SystemTime,
    pub(crate) mark: Mark,
}

impl Author<'_> {
    /// The write that creates an item.
    pub(crate) fn create(&self, key: Attributes, view: Attributes) -> Result<Write, ItemError> {
        for (name, value) in &key {
            if view.get(name).is_some_and(|own| own != value) {
                return Err(key_change(name));
            }
        }
        let mut item = view.clone();
        item.retain(|name, _| !self.config.names.is_stamp(name));
        item.extend(key.clone());
        item.insert(self.config.names.created_at.clone(), self.timestamp()?);
        self.stamp(&mut item, &Stamps::default())?;
        check_size(item.iter())?;
        Ok(self.write(key, Act::Create, Content::Whole(item), view))
    }

    /// The write that changes an item by the difference of two views; nothing without one.
    pub(crate) fn update(
        &self,
        key: Attributes,
        stored: &StoredItem,
        before: &Attributes,
        after: Attributes,
        view: View<'_>,
    ) -> Result<Option<Write>, ItemError> {
        if *before == after {
            return Ok(None);
        }
        let extent = self.extent(stored.stamps());
        let fitted = fit(stored.attributes(), before, &after, extent, view);
        let unreadable = || ItemError::encode("", "the value could not be read back as changed");
        let mut patch = self.without_stamps(fitted.ok_or_else(unreadable)?)?;
        if patch.is_empty() {
            return Ok(None);
        }
        self.stamp(&mut patch.changed, stored.stamps())?;
        let stays = stored.attributes().iter().filter(|(name, _)| {
            !patch.changed.contains_key(*name) && !patch.removed.contains(name)
        });
        check_size(stays.chain(&patch.changed))?;
        let act = Act::Update(Lock::on(stored.stamps()));
        let content = if patch.changed.len() + patch.removed.len() <= MOST_PARTS {
            Content::Parts(patch)
        } else {
            Content::Whole(patch.applied_to(stored.attributes().clone()))
        };
        Ok(Some(self.write(key, act, content, after)))
    }

    fn write(&self, key: Attributes, act: Act, content: Content, view: Attributes) -> Write {
        Write { key, act, content, mark: self.mark, view, sends: Sends::default() }
    }

    fn extent(&self, read: &Stamps) -> Extent {
        match read.schema {
            Some(schema) if schema >= self.config.schema => Extent::Difference,
            _ => Extent::Complete,
        }
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
    fn stamp(&self, item: &mut Attributes, read: &Stamps) -> Result<(), ItemError> {
        let names = &self.config.names;
        let version = Lock::on(read).next_version().ok_or_else(|| {
            ItemError::encode(&names.version, "the version is at the end of all numbers")
        })?;
        let mut set = |name: &String, value| item.insert(name.clone(), value);
        set(&names.version, AttributeValue::N(version.to_string()));
        set(&names.modified_at, self.timestamp()?);
        set(&names.environment, AttributeValue::S(self.color.to_string()));
        set(&names.write_ids, self.marks(read));
        if self.extent(read) == Extent::Complete {
            set(&names.schema_version, schema::to_attribute(self.config.schema));
        }
        if read.incarnation.is_none() {
            set(&names.incarnation, self.mark.to_attribute());
        }
        Ok(())
    }

    /// The marks of the latest writes, this one last.
    fn marks(&self, read: &Stamps) -> AttributeValue {
        let forgotten = read.writes.len().saturating_sub(self.config.remembered_writes);
        let remembered = read.writes.iter().skip(forgotten).chain([&self.mark]);
        AttributeValue::L(remembered.map(|mark| mark.to_attribute()).collect())
    }

    fn timestamp(&self) -> Result<AttributeValue, ItemError> {
        let now = Timestamp::try_from(self.now)
            .map_err(|error| ItemError::encode(&self.config.names.modified_at, error))?;
        Ok(AttributeValue::S(now.to_string()))
    }
}

fn key_change(name: &str) -> ItemError {
    ItemError::encode(name, "the value names another key than the item's")
}

fn check_size<'a>(
    attributes: impl Iterator<Item = (&'a String, &'a AttributeValue)>,
) -> Result<(), ItemError> {
    let size = attributes.map(|(name, value)| size::of_attribute(name, value)).sum();
    if size > size::LIMIT {
        return Err(ItemError::TooLarge { size, limit: size::LIMIT });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
