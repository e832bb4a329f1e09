use std::fmt;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::number::Number;
use crate::{AttributeNames, Attributes, ItemError, storable};

/// Which item: the values of its partition key and, where the table has one, its sort key.
///
/// ```
/// # use bluegreen_items::Key;
/// let order = Key::new("ORDER#17").with_sk("META");
/// assert_eq!(order.to_string(), "ORDER#17/META");
/// let by_number = Key::new(17);
/// # let _ = by_number;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    partition: KeyValue,
    sort: Option<KeyValue>,
}

/// The value of a key attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "DynamoDB has three kinds of keys")]
pub enum KeyValue {
    /// A string, of 1 to 2048 bytes (1024 in a sort key).
    String(String),
    /// A number of up to 38 digits, as text.
    Number(String),
    /// Binary, of 1 to 2048 bytes (1024 in a sort key).
    Binary(Vec<u8>),
}

impl Key {
    /// The item of this partition key.
    #[must_use]
    pub fn new(partition: impl Into<KeyValue>) -> Self {
        Self { partition: partition.into(), sort: None }
    }

    /// The item of the same partition key and this sort key.
    #[must_use]
    pub fn with_sk(mut self, sort: impl Into<KeyValue>) -> Self {
        self.sort = Some(sort.into());
        self
    }

    /// The value of the partition key.
    #[must_use]
    pub const fn partition(&self) -> &KeyValue {
        &self.partition
    }

    /// The value of the sort key.
    #[must_use]
    pub const fn sort(&self) -> Option<&KeyValue> {
        self.sort.as_ref()
    }

    /// The attributes of the key in a table that has these names.
    pub(crate) fn to_attributes(&self, names: &AttributeNames) -> Result<Attributes, ItemError> {
        let wrong = |reason| ItemError::InvalidKey { key: self.to_string(), reason };
        let mut attributes = Attributes::with_capacity(2);
        let partition = self.partition.checked(2048).map_err(wrong)?;
        attributes.insert(names.partition_key.clone(), partition);
        match (&self.sort, &names.sort_key) {
            (None, None) => {}
            (Some(sort), Some(name)) => {
                attributes.insert(name.clone(), sort.checked(1024).map_err(wrong)?);
            }
            (None, Some(_)) => return Err(wrong("the table has a sort key and the key has none")),
            (Some(_), None) => return Err(wrong("the key has a sort key and the table has none")),
        }
        Ok(attributes)
    }

    /// The same key with numbers written in one way: DynamoDB answers 17 for 17.0.
    pub(crate) fn normalized(&self) -> Self {
        let normalized = |value: &KeyValue| match value {
            KeyValue::Number(text) => KeyValue::Number(Number::read(text).to_string()),
            other => other.clone(),
        };
        Self { partition: normalized(&self.partition), sort: self.sort.as_ref().map(normalized) }
    }

    /// The key of a stored item.
    pub(crate) fn of(attributes: &Attributes, names: &AttributeNames) -> Result<Self, ItemError> {
        let part = |name: &str| {
            attributes
                .get(name)
                .and_then(KeyValue::read)
                .ok_or_else(|| ItemError::decode(name, "the item has no such key attribute"))
        };
        Ok(Self {
            partition: part(&names.partition_key)?,
            sort: names.sort_key.as_deref().map(part).transpose()?,
        })
    }
}

impl KeyValue {
    fn checked(&self, limit: usize) -> Result<AttributeValue, &'static str> {
        let length = match self {
            Self::String(text) | Self::Number(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        };
        if length == 0 {
            return Err("a key value is empty");
        }
        if length > limit {
            return Err("a key value is longer than 2048 bytes, or 1024 in a sort key");
        }
        if let Self::Number(text) = self
            && storable::number(text).is_err()
        {
            return Err("a key value is no number of up to 38 digits, 1E-130 to 9.99E+125");
        }
        Ok(match self {
            Self::String(text) => AttributeValue::S(text.clone()),
            Self::Number(text) => AttributeValue::N(text.clone()),
            Self::Binary(bytes) => AttributeValue::B(Blob::new(bytes.clone())),
        })
    }

    fn read(attribute: &AttributeValue) -> Option<Self> {
        match attribute {
            AttributeValue::S(text) => Some(Self::String(text.clone())),
            AttributeValue::N(text) => Some(Self::Number(text.clone())),
            AttributeValue::B(bytes) => Some(Self::Binary(bytes.as_ref().to_vec())),
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.partition)?;
        self.sort.iter().try_for_each(|sort| write!(f, "/{sort}"))
    }
}

impl fmt::Display for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) | Self::Number(text) => f.write_str(text),
            Self::Binary(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

impl From<&str> for KeyValue {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for KeyValue {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Vec<u8>> for KeyValue {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

macro_rules! from_integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for KeyValue {
            fn from(number: $integer) -> Self {
                Self::Number(number.to_string())
            }
        }
    )*};
}

from_integers!(i32, i64, u32, u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_does_not_fit_the_table_is_refused_before_it_is_sent() {
        let both = AttributeNames::default();
        let one = AttributeNames::default().without_sort_key();
        let cases = [
            (Key::new("a"), &both, false),
            (Key::new("a").with_sk("b"), &one, false),
            (Key::new(""), &one, false),
            (Key::new("a").with_sk(""), &both, false),
            (Key::new(KeyValue::Number("NaN".to_owned())), &one, false),
            (Key::new(KeyValue::Number("1E126".to_owned())), &one, false),
            (Key::new("a").with_sk("b".repeat(1025)), &both, false),
            (Key::new("a".repeat(2048)).with_sk(7), &both, true),
            (Key::new(vec![0, 255]), &one, true),
        ];
        for (key, names, fits) in cases {
            let attributes = key.to_attributes(names);
            assert_eq!(attributes.is_ok(), fits, "{key}");
            if let Ok(attributes) = attributes {
                assert_eq!(Key::of(&attributes, names).unwrap(), key);
            }
        }
    }
}
