use std::collections::HashMap;
use std::time::SystemTime;

use aws_sdk_dynamodb::types::AttributeValue;
use bluegreen_core::{Color, ContractVersion};
use jiff::Timestamp;

use crate::mark::Mark;
use crate::schema::label;
use crate::{AttributeNames, ItemError};

/// The attributes of an item as the SDK has them.
pub type Attributes = HashMap<String, AttributeValue>;

/// An item as it is stored: all of its attributes, and what the library's own among them say.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredItem {
    attributes: Attributes,
    stamps: Stamps,
}

/// What the library's own attributes say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stamps {
    pub(crate) version: Option<u64>,
    pub(crate) schema: Option<ContractVersion>,
    pub(crate) incarnation: Option<Mark>,
    /// The marks of the latest writes, oldest first.
    pub(crate) writes: Vec<Mark>,
    pub(crate) created_at: Option<SystemTime>,
    pub(crate) modified_at: Option<SystemTime>,
    pub(crate) environment: Option<Color>,
}

impl StoredItem {
    pub(crate) fn read(attributes: Attributes, names: &AttributeNames) -> Result<Self, ItemError> {
        let stamps = Stamps::read(&attributes, names)?;
        Ok(Self { attributes, stamps })
    }

    /// How often the item was written; nothing for one that this library never wrote.
    #[must_use]
    pub const fn version(&self) -> Option<u64> {
        self.stamps.version
    }

    /// The schema version it was written with, where it says so.
    #[must_use]
    pub const fn schema_version(&self) -> Option<ContractVersion> {
        self.stamps.schema
    }

    /// When it was created, where it says so in RFC 3339.
    #[must_use]
    pub const fn created_at(&self) -> Option<SystemTime> {
        self.stamps.created_at
    }

    /// When it was last written, where it says so in RFC 3339.
    #[must_use]
    pub const fn modified_at(&self) -> Option<SystemTime> {
        self.stamps.modified_at
    }

    /// The color that wrote it last; nothing where none, or no color, is named.
    #[must_use]
    pub const fn environment(&self) -> Option<Color> {
        self.stamps.environment
    }

    /// All of its attributes.
    #[must_use]
    pub const fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// All of its attributes, such as [`Table::read`](crate::Table::read) takes.
    #[must_use]
    pub fn into_attributes(self) -> Attributes {
        self.attributes
    }

    pub(crate) const fn stamps(&self) -> &Stamps {
        &self.stamps
    }
}

impl Stamps {
    fn read(attributes: &Attributes, names: &AttributeNames) -> Result<Self, ItemError> {
        let text = |name: &str| attributes.get(name).and_then(|value| value.as_s().ok());
        // A stamp in another format is as good as none; a version is not.
        let time = |name: &str| text(name)?.parse::<Timestamp>().ok().map(SystemTime::from);
        Ok(Self {
            version: version(attributes, &names.version)?,
            schema: attributes
                .get(&names.schema_version)
                .map(label::read)
                .transpose()
                .map_err(|error| ItemError::decode(&names.schema_version, error))?,
            incarnation: attributes.get(&names.incarnation).and_then(Mark::read),
            writes: attributes.get(&names.write_ids).map(Mark::read_all).unwrap_or_default(),
            created_at: time(&names.created_at),
            modified_at: time(&names.modified_at),
            environment: text(&names.environment).and_then(|color| color.parse().ok()),
        })
    }
}

fn version(attributes: &Attributes, name: &str) -> Result<Option<u64>, ItemError> {
    let Some(attribute) = attributes.get(name) else { return Ok(None) };
    let text = attribute.as_n().map_err(|_| ItemError::decode(name, "the version is no number"))?;
    text.parse().map(Some).map_err(|error| ItemError::decode(name, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: AttributeValue) -> Result<StoredItem, ItemError> {
        StoredItem::read(Attributes::from([(name.to_owned(), value)]), &AttributeNames::default())
    }

    #[test]
    fn a_version_that_cannot_be_locked_on_is_an_error() {
        for wrong in [
            AttributeValue::S("1".to_owned()),
            AttributeValue::N("1.5".to_owned()),
            AttributeValue::N("-1".to_owned()),
        ] {
            let error = read("Version", wrong).unwrap_err();
            assert_eq!(error.to_string(), "the item cannot be read at \"Version\"");
        }
        let zero = read("Version", AttributeValue::N("0".to_owned())).unwrap();
        assert_eq!(zero.version(), Some(0), "zero is a version, absence is none");
    }

    #[test]
    fn stamps_in_another_format_are_absent_and_no_color_becomes_blue() {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        assert_eq!(read("EnvironmentID", text("Green")).unwrap().environment(), None);
        assert_eq!(read("EnvironmentID", text("green")).unwrap().environment(), Some(Color::Green));
        assert_eq!(read("CreatedAt", text("yesterday")).unwrap().created_at(), None);
        let go = read("CreatedAt", text("2026-11-22T10:00:00.123456789+01:00")).unwrap();
        assert!(go.created_at().is_some(), "as Go writes it");
    }
}
