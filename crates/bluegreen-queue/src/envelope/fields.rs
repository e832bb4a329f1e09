use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::EnvelopeError;

/// So many fields are found soonest by going through them, as names differ in length first; a
/// message of ours has nine at most.
const FEW: usize = 16;

/// The fields of an object as raw JSON, borrowed from its text. Each may appear once: of two
/// versions, which is meant?
///
/// Those that were taken are gone, so that what is left is soon gone through; more than a few are
/// sorted by name.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, EnvelopeError> {
        serde_json::from_str(text)
            .map_err(|error| EnvelopeError::Malformed { source: error.into() })
    }

    pub(crate) fn has(&self, field: &str) -> bool {
        self.place(field).is_some()
    }

    fn get(&self, field: &str) -> Option<&'a RawValue> {
        Some(self.0.get(self.place(field)?)?.1)
    }

    fn place(&self, field: &str) -> Option<usize> {
        if self.0.len() > FEW {
            return self.0.binary_search_by(|(name, _)| (**name).cmp(field)).ok();
        }
        self.0.iter().position(|(name, _)| name == field)
    }

    fn take(&mut self, field: &str) -> Option<&'a RawValue> {
        let place = self.place(field)?;
        Some(self.0.remove(place).1)
    }

    pub(crate) fn raw(&mut self, field: &'static str) -> Result<&'a RawValue, EnvelopeError> {
        self.take(field).ok_or(EnvelopeError::Missing { field })
    }

    /// The value of a field that must be there and have this form.
    pub(crate) fn required<T: DeserializeOwned>(
        &mut self,
        field: &'static str,
    ) -> Result<T, EnvelopeError> {
        let value = self.raw(field)?;
        serde_json::from_str(value.get()).map_err(|error| EnvelopeError::field(field, error))
    }

    /// The text of a field that must be there and be one.
    pub(crate) fn required_text(
        &mut self,
        field: &'static str,
    ) -> Result<Cow<'a, str>, EnvelopeError> {
        text(self.raw(field)?).map_err(|error| EnvelopeError::field(field, error))
    }

    /// The value of a field when it has this form; else the field stays where it is.
    pub(crate) fn optional<T: DeserializeOwned>(&mut self, field: &str) -> Option<T> {
        let place = self.place(field)?;
        let value = serde_json::from_str(self.0.get(place)?.1.get()).ok()?;
        self.0.remove(place);
        Some(value)
    }

    /// The text of a field when it is one; else the field stays where it is.
    pub(crate) fn optional_text(&mut self, field: &str) -> Option<Cow<'a, str>> {
        let place = self.place(field)?;
        let text = text(self.0.get(place)?.1).ok()?;
        self.0.remove(place);
        Some(text)
    }

    /// The same, and the field stays in any case.
    pub(crate) fn peek<T: DeserializeOwned>(&self, field: &str) -> Option<T> {
        serde_json::from_str(self.get(field)?.get()).ok()
    }

    pub(crate) fn remove(&mut self, field: &str) {
        self.take(field);
    }
}

/// A field that appears twice, among a few or among sorted ones.
fn twice<'b, T>(fields: &'b [(Cow<'_, str>, T)]) -> Option<&'b str> {
    let reach = if fields.len() > FEW { 1 } else { FEW };
    fields.iter().enumerate().find_map(|(place, (field, _))| {
        let mut others = fields.iter().skip(place + 1).take(reach);
        others.any(|(other, _)| other == field).then_some(&**field)
    })
}

/// The text in a JSON string; borrowed where it is written without escapes, as most are.
fn text(value: &RawValue) -> Result<Cow<'_, str>, serde_json::Error> {
    let json = value.get();
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        _ => serde_json::from_str(json),
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
        let left = fields.0.into_iter();
        Self(left.map(|(field, value)| (field.into_owned(), value.to_owned())).collect())
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
                let mut fields = Vec::with_capacity(FEW / 2);
                while let Some((Name(field), value)) = map.next_entry::<Name<'de>, &RawValue>()? {
                    fields.push((field, value));
                }
                if fields.len() > FEW {
                    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
                }
                if let Some(field) = twice(&fields) {
                    let twice = format_args!("the field {field:?} appears twice");
                    return Err(serde::de::Error::custom(twice));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Each)
    }
}
