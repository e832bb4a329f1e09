pub(crate) mod cloud_event;
mod error;
mod fields;
pub(crate) mod text;
mod trace;

use std::time::SystemTime;

use bluegreen_core::{Color, ContractVersion, Revision};
use jiff::Timestamp;
use serde_json::value::RawValue;

pub(crate) use cloud_event::versioned;
pub use error::EnvelopeError;
pub(crate) use fields::Fields;
use fields::Others;
pub use trace::TraceContext;

use crate::Message;
use crate::claim_check::Claim;

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
    form: Form,
    version: ContractVersion,
    kind: String,
    payload: Box<RawValue>,
    timestamp: Timestamp,
    id: Option<String>,
    color: Option<Color>,
    revision: Option<Revision>,
    trace: Option<TraceContext>,
    after: Option<String>,
    claim: Option<Claim>,
    others: Others,
}

/// The form that an envelope is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    CloudEvent,
}

impl Envelope {
    /// A message in its envelope, sent `at` that time.
    ///
    /// # Errors
    /// When the message cannot be written as JSON, or `at` lies outside the years −9999 to 9999.
    pub fn new<M: Message>(message: &M, at: SystemTime) -> Result<Self, EnvelopeError> {
        let payload = serde_json::value::to_raw_value(message)
            .map_err(|error| EnvelopeError::field("payload", error))?;
        Ok(Self::around(M::TYPE, M::VERSION, payload, timestamp(at)?))
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
        Ok(Self::around(kind, version, payload, timestamp(at)?))
    }

    pub(crate) fn around(
        kind: &str,
        version: ContractVersion,
        payload: Box<RawValue>,
        timestamp: Timestamp,
    ) -> Self {
        Self {
            form: Form::Plain,
            version,
            kind: kind.to_owned(),
            payload,
            timestamp,
            id: None,
            color: None,
            revision: None,
            trace: None,
            after: None,
            claim: None,
            others: Others::default(),
        }
    }

    /// The same with an identifier, which stays when the message is passed on.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.others.remove("id");
        // Beside an id it would make a CloudEvent of this.
        if self.form == Form::Plain && self.others.has("source") {
            self.others.remove("specversion");
        }
        self.id = Some(id.into());
        self
    }

    /// The same with the color of the sender.
    #[must_use]
    pub fn with_color(mut self, color: Color) -> Self {
        self.forget("color", cloud_event::COLOR);
        self.color = Some(color);
        self
    }

    /// The same with the deployment revision that the sender followed.
    #[must_use]
    pub fn with_revision(mut self, revision: Revision) -> Self {
        self.forget("revision", cloud_event::REVISION);
        self.revision = Some(revision);
        self
    }

    /// The same with the sender's place in a distributed trace.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        for field in ["traceparent", "tracestate"] {
            self.others.remove(field);
        }
        self.trace = Some(trace);
        self
    }

    /// The same, to be handled after a marker in another queue.
    pub(crate) fn with_after(mut self, marker: impl Into<String>) -> Self {
        self.forget(text::AFTER, cloud_event::AFTER);
        self.after = Some(marker.into());
        self
    }

    /// The same with its payload kept elsewhere.
    pub(crate) fn with_claim(mut self, claim: Claim) -> Self {
        self.forget(text::CLAIM, cloud_event::CLAIM);
        self.payload = RawValue::NULL.to_owned();
        self.claim = Some(claim);
        self
    }

    /// The claim on the payload, where that is kept elsewhere.
    pub(crate) const fn claim(&self) -> Option<&Claim> {
        self.claim.as_ref()
    }

    /// The same with the payload that was kept elsewhere.
    pub(crate) fn with_payload(mut self, payload: &str) -> Result<Self, EnvelopeError> {
        self.payload = serde_json::from_str(payload)
            .map_err(|error| EnvelopeError::field("payload", error))?;
        self.claim = None;
        Ok(self)
    }

    /// Gives up what stood in a field that is now ours.
    fn forget(&mut self, plain: &str, cloud_event: &str) {
        self.others.remove(match self.form {
            Form::Plain => plain,
            Form::CloudEvent => cloud_event,
        });
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

    /// The sender's place in a distributed trace.
    #[must_use]
    pub const fn trace(&self) -> Option<&TraceContext> {
        self.trace.as_ref()
    }

    /// The marker in another queue that has to be handled before.
    pub(crate) fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// A field that this library does not know, as JSON text. Also an `id`, `color` or `revision`
    /// that means something else: only the four fields of every envelope are strict.
    #[must_use]
    pub fn other(&self, field: &str) -> Option<&str> {
        self.others.get(field).map(RawValue::get)
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

fn timestamp(at: SystemTime) -> Result<Timestamp, EnvelopeError> {
    Timestamp::try_from(at).map_err(|error| EnvelopeError::field("timestamp", error))
}

impl PartialEq for Envelope {
    /// Equal when they say the same in the same form; payloads are compared as text.
    fn eq(&self, other: &Self) -> bool {
        (self.form, self.version, &self.kind, self.payload(), self.timestamp)
            == (other.form, other.version, &other.kind, other.payload(), other.timestamp)
            && (&self.id, self.color, self.revision) == (&other.id, other.color, other.revision)
            && (&self.trace, &self.after, &self.claim, &self.others)
                == (&other.trace, &other.after, &other.claim, &other.others)
    }
}

#[cfg(test)]
mod tests;
