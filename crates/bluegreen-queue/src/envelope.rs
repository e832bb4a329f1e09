use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use bluegreen_core::{Color, ContractVersion, Revision};
use jiff::Timestamp;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::Message;

/// A message as it lies in the queue: `{version, type, payload, timestamp}`, and optionally who
/// sent it.
///
/// The payload is kept as the JSON text that was sent, and so is every field that this library
/// does not know: forwarding loses nothing, not even digits of a number. Its `Display` is the JSON.
///
/// ```
/// # use bluegreen_queue::Envelope;
/// let text = r#"{"version":"1.0","type":"OrderPlaced","payload":{"order":7},
///                "timestamp":"2026-11-22T10:00:00Z","tenant":"acme"}"#;
/// let envelope: Envelope = text.parse()?;
/// assert_eq!(envelope.kind(), "OrderPlaced");
/// assert_eq!(envelope.payload(), r#"{"order":7}"#);
/// assert_eq!(envelope.other("tenant"), Some(r#""acme""#));
/// assert_eq!(envelope.to_string().parse::<Envelope>()?, envelope);
/// # Ok::<(), bluegreen_queue::EnvelopeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Envelope {
    version: ContractVersion,
    kind: String,
    payload: Box<RawValue>,
    timestamp: Timestamp,
    id: Option<String>,
    color: Option<Color>,
    revision: Option<Revision>,
    others: BTreeMap<String, Box<RawValue>>,
}

impl Envelope {
    /// A message in its envelope, sent `at` that time.
    ///
    /// # Errors
    /// When the message cannot be written as JSON, or `at` lies outside the years −9999 to 9999.
    pub fn new<M: Message>(message: &M, at: SystemTime) -> Result<Self, EnvelopeError> {
        let payload = serde_json::value::to_raw_value(message)
            .map_err(|error| EnvelopeError::field("payload", error))?;
        Self::around(M::TYPE, M::VERSION, payload, at)
    }

    /// An envelope around a payload that is JSON text already.
    ///
    /// # Errors
    /// When `payload` is not JSON, or `at` lies outside the years −9999 to 9999.
    pub fn from_json(
        kind: &str,
        version: ContractVersion,
        payload: &str,
        at: SystemTime,
    ) -> Result<Self, EnvelopeError> {
        let payload = serde_json::from_str(payload)
            .map_err(|error| EnvelopeError::field("payload", error))?;
        Self::around(kind, version, payload, at)
    }

    fn around(
        kind: &str,
        version: ContractVersion,
        payload: Box<RawValue>,
        at: SystemTime,
    ) -> Result<Self, EnvelopeError> {
        let timestamp =
            Timestamp::try_from(at).map_err(|error| EnvelopeError::field("timestamp", error))?;
        Ok(Self {
            version,
            kind: kind.to_owned(),
            payload,
            timestamp,
            id: None,
            color: None,
            revision: None,
            others: BTreeMap::new(),
        })
    }

    /// The same with an identifier, which stays when the message is passed on.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.others.remove("id");
        self.id = Some(id.into());
        self
    }

    /// The same with the color of the sender.
    #[must_use]
    pub fn with_color(mut self, color: Color) -> Self {
        self.others.remove("color");
        self.color = Some(color);
        self
    }

    /// The same with the deployment revision that the sender followed.
    #[must_use]
    pub fn with_revision(mut self, revision: Revision) -> Self {
        self.others.remove("revision");
        self.revision = Some(revision);
        self
    }

    /// The version of the message.
    #[must_use]
    pub const fn version(&self) -> ContractVersion {
        self.version
    }

    /// The type of the message: the field `type`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The payload, as the JSON text that was sent.
    #[must_use]
    pub fn payload(&self) -> &str {
        self.payload.get()
    }

    /// When the message was sent, by the sender's clock.
    #[must_use]
    pub fn timestamp(&self) -> SystemTime {
        self.timestamp.into()
    }

    /// The identifier that the sender gave.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The color of the sender.
    #[must_use]
    pub const fn color(&self) -> Option<Color> {
        self.color
    }

    /// The deployment revision that the sender followed.
    #[must_use]
    pub const fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// A field that this library does not know, as JSON text. Also an `id`, `color` or `revision`
    /// that means something else: only the four fields of every envelope are strict.
    #[must_use]
    pub fn other(&self, field: &str) -> Option<&str> {
        self.others.get(field).map(|value| value.get())
    }

    /// The payload as a message. Its version is the caller's to check; a dispatch does.
    ///
    /// # Errors
    /// When the payload is not such a message.
    pub fn read<M: Message>(&self) -> Result<M, EnvelopeError> {
        serde_json::from_str(self.payload.get())
            .map_err(|error| EnvelopeError::field("payload", error))
    }
}

impl FromStr for Envelope {
    type Err = EnvelopeError;

    fn from_str(text: &str) -> Result<Self, EnvelopeError> {
        let Fields(mut fields) = serde_json::from_str(text)
            .map_err(|error| EnvelopeError::Malformed { source: error.into() })?;
        let version = required::<String>(&mut fields, "version")?
            .parse()
            .map_err(|error| EnvelopeError::field("version", error))?;
        let kind = required(&mut fields, "type")?;
        let payload =
            fields.remove("payload").ok_or(EnvelopeError::Missing { field: "payload" })?;
        let timestamp = required::<String>(&mut fields, "timestamp")?
            .parse()
            .map_err(|error| EnvelopeError::field("timestamp", error))?;
        let id = optional(&mut fields, "id");
        let color = optional(&mut fields, "color");
        let revision = optional(&mut fields, "revision");
        Ok(Self { version, kind, payload, timestamp, id, color, revision, others: fields })
    }
}

fn required<T: DeserializeOwned>(
    fields: &mut BTreeMap<String, Box<RawValue>>,
    field: &'static str,
) -> Result<T, EnvelopeError> {
    let value = fields.remove(field).ok_or(EnvelopeError::Missing { field })?;
    serde_json::from_str(value.get()).map_err(|error| EnvelopeError::field(field, error))
}

/// The value of a field when it has our meaning; else the field stays where it is.
fn optional<T: DeserializeOwned>(
    fields: &mut BTreeMap<String, Box<RawValue>>,
    field: &str,
) -> Option<T> {
    let value = serde_json::from_str(fields.get(field)?.get()).ok()?;
    fields.remove(field);
    Some(value)
}

/// The fields of an object as raw JSON. Each may appear once: of two versions, which is meant?
struct Fields(BTreeMap<String, Box<RawValue>>);

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

impl fmt::Display for Envelope {
    /// The envelope as JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"{{"version":"{}","type":"#, self.version)?;
        quoted(f, &self.kind)?;
        write!(f, r#","payload":{},"timestamp":"{}""#, self.payload.get(), self.timestamp)?;
        if let Some(id) = &self.id {
            f.write_str(r#","id":"#)?;
            quoted(f, id)?;
        }
        if let Some(color) = self.color {
            write!(f, r#","color":"{color}""#)?;
        }
        if let Some(revision) = self.revision {
            write!(f, r#","revision":{revision}"#)?;
        }
        for (field, value) in &self.others {
            f.write_str(",")?;
            quoted(f, field)?;
            write!(f, ":{}", value.get())?;
        }
        f.write_str("}")
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}

impl PartialEq for Envelope {
    /// Equal when they say the same; payloads are compared as text.
    fn eq(&self, other: &Self) -> bool {
        let raw = |fields: &BTreeMap<String, Box<RawValue>>| -> Vec<(String, String)> {
            fields.iter().map(|(field, value)| (field.clone(), value.get().to_owned())).collect()
        };
        (self.version, &self.kind, self.payload(), self.timestamp)
            == (other.version, &other.kind, other.payload(), other.timestamp)
            && (&self.id, self.color, self.revision) == (&other.id, other.color, other.revision)
            && raw(&self.others) == raw(&other.others)
    }
}

/// A text is not an envelope, or something cannot be put into one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The text is not a JSON object, or has a field twice.
    #[error("not an object of JSON in which each field appears once")]
    Malformed {
        /// Where and why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A field that every envelope has is missing.
    #[error("the field {field:?} is missing")]
    Missing {
        /// The field's name.
        field: &'static str,
    },
    /// A field does not hold what it should.
    #[error("the field {field:?} does not fit")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl EnvelopeError {
    fn field(field: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Field { field, source: source.into() }
    }
}

#[cfg(test)]
mod tests;
