use std::time::SystemTime;

use bluegreen_core::ContractVersion;
use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::envelope::{Fields, versioned};
use crate::{Envelope, EnvelopeError, Parked};

/// So many wrappings may lie around a message: EventBridge to SNS to a queue has two.
const DEEPEST: u32 = 4;

/// How the bodies of messages are read.
///
/// Always read: [`Envelope`] in the article's form; CloudEvents 1.0; both within a notification of
/// SNS (without raw delivery) or an event of EventBridge, whose `detail` may also be a bare payload
/// of the type `detail-type`; what this library has [parked](Parked) with its reason around it.
/// Which of them a body is shows in its fields, never in a guess.
///
/// ```
/// # use std::time::UNIX_EPOCH;
/// # use bluegreen_core::ContractVersion;
/// # use bluegreen_queue::Bodies;
/// let bodies = Bodies::default().with_raw("OrderPlaced", ContractVersion::new(1, 0));
/// let envelope = bodies.read(r#"{"order":7}"#, UNIX_EPOCH)?;
/// assert_eq!((envelope.kind(), envelope.payload()), ("OrderPlaced", r#"{"order":7}"#));
///
/// let event = r#"{"specversion":"1.0","id":"1","source":"/shop","type":"OrderPlaced.v2","data":{}}"#;
/// assert_eq!(bodies.read(event, UNIX_EPOCH)?.version(), ContractVersion::new(2, 0));
/// # Ok::<(), bluegreen_queue::EnvelopeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Bodies {
    raw: Option<(String, ContractVersion)>,
    unversioned: Option<ContractVersion>,
}

impl Bodies {
    /// Takes JSON that is in none of the known forms as the payload of a message of this type and
    /// version. Without this it is poison, and an object that has a field twice is so in any case.
    #[must_use]
    pub fn with_raw(mut self, kind: impl Into<String>, version: ContractVersion) -> Self {
        self.raw = Some((kind.into(), version));
        self
    }

    /// Takes CloudEvents and events of EventBridge that say no version as of this one. Without
    /// this they are poison.
    #[must_use]
    pub const fn with_unversioned(mut self, version: ContractVersion) -> Self {
        self.unversioned = Some(version);
        self
    }

    /// Reads a body that was sent at that time, which counts where it says none itself.
    ///
    /// # Errors
    /// When the body is in no form that is read here, or lacks something that its form must have.
    pub fn read(&self, body: &str, sent: SystemTime) -> Result<Envelope, EnvelopeError> {
        let sent =
            Timestamp::try_from(sent).map_err(|error| EnvelopeError::field("timestamp", error))?;
        self.look_into(body, sent, DEEPEST)
    }

    fn look_into(
        &self,
        body: &str,
        sent: Timestamp,
        depth: u32,
    ) -> Result<Envelope, EnvelopeError> {
        let fields = match Fields::parse(body) {
            Ok(fields) => fields,
            // An object that is broken or ambiguous is nobody's payload either.
            Err(error) if self.raw.is_none() || body.trim_start().starts_with('{') => {
                return Err(error);
            }
            Err(_) => return self.raw(body, sent),
        };
        let Some(depth) = depth.checked_sub(1) else {
            let deep = "it is wrapped more often than SNS and EventBridge do";
            return Err(EnvelopeError::Malformed { source: deep.into() });
        };
        if is_cloud_event(&fields) {
            Envelope::from_cloud_event(fields, sent, self.unversioned)
        } else if is_plain(&fields) {
            self.plain(fields, sent, depth)
        } else if fields.has("TopicArn") && fields.has("Message") {
            self.notification(fields, sent, depth)
        } else if fields.has("detail-type") && fields.has("detail") {
            self.event(fields, sent, depth)
        } else if self.raw.is_some() {
            self.raw(body, sent)
        } else {
            self.plain(fields, sent, depth)
        }
    }

    /// The article's form, unless it is only the wrapping of what was parked.
    fn plain(
        &self,
        fields: Fields<'_>,
        sent: Timestamp,
        depth: u32,
    ) -> Result<Envelope, EnvelopeError> {
        let envelope = Envelope::from_fields(fields)?;
        match Parked::body_of(&envelope) {
            Some(inner) => self.look_into(&inner, sent, depth),
            None => Ok(envelope),
        }
    }

    /// The message within a notification of SNS, whose id names it where it has none itself.
    fn notification(
        &self,
        mut fields: Fields<'_>,
        sent: Timestamp,
        depth: u32,
    ) -> Result<Envelope, EnvelopeError> {
        let message: String = fields.required("Message")?;
        let sent = time(&mut fields, "Timestamp").unwrap_or(sent);
        let envelope = self.look_into(&message, sent, depth)?;
        Ok(named(envelope, fields.optional("MessageId")))
    }

    /// The message within an event of EventBridge: its detail, or around it.
    fn event(
        &self,
        mut fields: Fields<'_>,
        sent: Timestamp,
        depth: u32,
    ) -> Result<Envelope, EnvelopeError> {
        let detail = fields.raw("detail")?;
        let sent = time(&mut fields, "time").unwrap_or(sent);
        let inner = Fields::parse(detail.get()).unwrap_or_default();
        let envelope = if is_plain(&inner) || is_cloud_event(&inner) {
            self.look_into(detail.get(), sent, depth)?
        } else {
            let kind: String = fields.required("detail-type")?;
            let (kind, version) = match (versioned(&kind), self.unversioned) {
                (Some((stem, version)), _) => (stem.to_owned(), version),
                (None, Some(version)) => (kind, version),
                (None, None) => return Err(EnvelopeError::Missing { field: "version" }),
            };
            Envelope::around(&kind, version, detail.to_owned(), sent)
        };
        Ok(named(envelope, fields.optional("id")))
    }

    fn raw(&self, body: &str, sent: Timestamp) -> Result<Envelope, EnvelopeError> {
        let payload: Box<RawValue> = serde_json::from_str(body)
            .map_err(|error| EnvelopeError::Malformed { source: error.into() })?;
        let (kind, version) =
            self.raw.as_ref().ok_or(EnvelopeError::Missing { field: "version" })?;
        Ok(Envelope::around(kind, *version, payload, sent))
    }
}

/// Whether these are the fields of an envelope in the article's form.
fn is_plain(fields: &Fields<'_>) -> bool {
    ["version", "type", "payload", "timestamp"].iter().all(|field| fields.has(field))
}

/// Whether these are the fields of a CloudEvent. What says `specversion` is meant as one, complete
/// or not, unless it has all that the article's form has: there, without what each CloudEvent must
/// have (`id`, `source`, `specversion`, `type`), it is a field like any other.
fn is_cloud_event(fields: &Fields<'_>) -> bool {
    let says = |field: &str| fields.peek::<String>(field).is_some_and(|text| !text.is_empty());
    let is_complete = || {
        fields.peek::<String>("specversion").as_deref() == Some("1.0")
            && says("id")
            && says("source")
    };
    fields.has("specversion") && (is_complete() || !is_plain(fields))
}

fn time(fields: &mut Fields<'_>, field: &str) -> Option<Timestamp> {
    fields.optional::<String>(field)?.parse().ok()
}

fn named(envelope: Envelope, id: Option<String>) -> Envelope {
    match id {
        Some(id) if envelope.id().is_none() => envelope.with_id(id),
        _ => envelope,
    }
}

#[cfg(test)]
mod tests;
