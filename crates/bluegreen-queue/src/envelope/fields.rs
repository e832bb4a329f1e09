use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::EnvelopeError;

/// The fields of an object as raw JSON. Each may appear once: of two versions, which is meant?
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(BTreeMap<String, Box<RawValue>>);

impl Fields {
    pub(crate) fn parse(text: &str) -> Result<Self, EnvelopeError> {
        serde_json::from_str(text)
            .map_err(|error| EnvelopeError::Malformed { source: error.into() })
    }

    pub(crate) fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    pub(crate) fn get(&self, field: &str) -> Option<&RawValue> {
        self.0.get(field).map(|value| &**value)
    }

    pub(crate) fn put(&mut self, field: &str, value: Box<RawValue>) {
        self.0.insert(field.to_owned(), value);
    }

    pub(crate) fn remove(&mut self, field: &str) {
        self.0.remove(field);
    }

    pub(crate) fn raw(&mut self, field: &'static str) -> Result<Box<RawValue>, EnvelopeError> {
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
        self.0.remove(field);
        Some(value)
    }

    /// The same, and the field stays in any case.
    pub(crate) fn peek<T: DeserializeOwned>(&self, field: &str) -> Option<T> {
        serde_json::from_str(self.0.get(field)?.get()).ok()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(field, value)| (field.as_str(), value.get()))
    }
}

impl PartialEq for Fields {
    /// Values are compared as text.
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((field, value)) = map.next_entry::<String, Box<RawValue>>()? {
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
