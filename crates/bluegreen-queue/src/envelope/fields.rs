use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::EnvelopeError;

/// The fields of an object as raw JSON, borrowed from its text. Each may appear once: of two
/// versions, which is meant?
#[derive(Debug, Default)]
pub(crate) struct Fields<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Fields<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, EnvelopeError> {
        serde_json::from_str(text)
            .map_err(|error| EnvelopeError::Malformed { source: error.into() })
    }

    pub(crate) fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    pub(crate) fn raw(&mut self, field: &'static str) -> Result<&'a RawValue, EnvelopeError> {
        self.0.remove(field).ok_or(EnvelopeError::Missing { field })
    }

    /// The value of a field that must be there and have this form.
    pub(crate) fn required<T: DeserializeOwned>(
        &mut self,
        field: &'static str,
    ) -> Result<T, EnvelopeError> {
        let value = self.raw(field)?;
        serde_json::from_str(value.get()).map_err(|error| EnvelopeError::field(field, error))
    }

    /// The value of a field when it has this form; else the field stays where it is.
    pub(crate) fn optional<T: DeserializeOwned>(&mut self, field: &str) -> Option<T> {
        let value = self.peek(field)?;
        self.remove(field);
        Some(value)
    }

    /// The same, and the field stays in any case.
    pub(crate) fn peek<T: DeserializeOwned>(&self, field: &str) -> Option<T> {
        serde_json::from_str(self.0.get(field)?.get()).ok()
    }

    pub(crate) fn remove(&mut self, field: &str) {
        self.0.remove(field);
    }
}

/// The fields that this library does not know, kept as they were sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Others(BTreeMap<String, Box<RawValue>>);

impl Others {
    pub(super) fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    pub(super) fn get(&self, field: &str) -> Option<&RawValue> {
        self.0.get(field).map(|value| &**value)
    }

    pub(super) fn put(&mut self, field: &str, value: Box<RawValue>) {
        self.0.insert(field.to_owned(), value);
    }

    pub(super) fn remove(&mut self, field: &str) {
        self.0.remove(field);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(field, value)| (field.as_str(), value.get()))
    }
}

impl From<Fields<'_>> for Others {
    fn from(fields: Fields<'_>) -> Self {
        let owned =
            |(field, value): (Cow<'_, str>, &RawValue)| (field.into_owned(), value.to_owned());
        Self(fields.0.into_iter().map(owned).collect())
    }
}

impl PartialEq for Others {
    /// Values are compared as text.
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// A field's name; borrowed unless it is written with escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((Name(field), value)) = map.next_entry::<Name<'de>, &RawValue>()? {
                    if fields.contains_key(&field) {
                        let twice = format_args!("the field {field:?} appears twice");
                        return Err(serde::de::Error::custom(twice));
                    }
                    fields.insert(field, value);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Each)
    }
}
