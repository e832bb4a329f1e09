//! An envelope as JSON, in the article's form and as a CloudEvent.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::fields::Fields;
use super::{Envelope, EnvelopeError, Form, TraceContext, cloud_event};
use crate::claim_check::Claim;

/// The field that names the marker of a hand-over, in the article's form.
pub(crate) const AFTER: &str = "bluegreen-after";
/// The one that holds the claim on a payload that is kept elsewhere.
pub(crate) const CLAIM: &str = "bluegreen-claim";

impl FromStr for Envelope {
    type Err = EnvelopeError;

    /// Reads the article's form. [`Bodies`](crate::Bodies) reads the others too.
    fn from_str(text: &str) -> Result<Self, EnvelopeError> {
        Self::from_fields(Fields::parse(text)?)
    }
}

impl Envelope {
    pub(crate) fn from_fields(mut fields: Fields<'_>) -> Result<Self, EnvelopeError> {
        let version = fields
            .required_text("version")?
            .parse()
            .map_err(|error| EnvelopeError::field("version", error))?;
        let kind = fields.required_text("type")?.into_owned();
        let payload = fields.raw("payload")?.to_owned();
        let timestamp = fields
            .required_text("timestamp")?
            .parse()
            .map_err(|error| EnvelopeError::field("timestamp", error))?;
        let id = fields.optional_text("id").map(Cow::into_owned);
        let color = fields.optional("color");
        let revision = fields.optional("revision");
        let trace = trace(&mut fields);
        let after = fields.optional(AFTER);
        let claim = claim(&mut fields, CLAIM);
        let (form, others) = (Form::Plain, fields.into());
        Ok(Self {
            form,
            version,
            kind,
            payload,
            timestamp,
            id,
            color,
            revision,
            trace,
            after,
            claim,
            others,
        })
    }
}

/// The trace context where it is one; else its fields stay where they are.
pub(super) fn trace(fields: &mut Fields<'_>) -> Option<TraceContext> {
    let context = TraceContext::new(fields.peek::<String>("traceparent")?).ok()?;
    fields.remove("traceparent");
    Some(match fields.optional::<String>("tracestate") {
        Some(state) => context.with_state(state),
        None => context,
    })
}

/// The claim on a payload where it is one of ours; else the field stays where it is.
pub(super) fn claim(fields: &mut Fields<'_>, field: &str) -> Option<Claim> {
    let claim = fields.peek::<String>(field)?.parse().ok()?;
    fields.remove(field);
    Some(claim)
}

/// The names under which a form writes what every envelope may have.
struct Names {
    version: &'static str,
    payload: &'static str,
    timestamp: &'static str,
    color: &'static str,
    revision: &'static str,
    after: &'static str,
    claim: &'static str,
}

const PLAIN: Names = Names {
    version: "version",
    payload: "payload",
    timestamp: "timestamp",
    color: "color",
    revision: "revision",
    after: AFTER,
    claim: CLAIM,
};
const CLOUD_EVENT: Names = Names {
    version: cloud_event::VERSION,
    payload: "data",
    timestamp: "time",
    color: cloud_event::COLOR,
    revision: cloud_event::REVISION,
    after: cloud_event::AFTER,
    claim: cloud_event::CLAIM,
};

impl fmt::Display for Envelope {
    /// The envelope as JSON, in the form that it was read in or made for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = match self.form {
            Form::Plain => &PLAIN,
            Form::CloudEvent => &CLOUD_EVENT,
        };
        f.write_str("{")?;
        if self.form == Form::CloudEvent {
            f.write_str(r#""specversion":"1.0","#)?;
        }
        write!(f, r#""{}":"{}","type":"#, names.version, self.version)?;
        quoted(f, &self.kind)?;
        write!(f, r#","{}":{}"#, names.payload, self.payload.get())?;
        write!(f, r#","{}":"{}""#, names.timestamp, self.timestamp)?;
        self.fmt_optional(f, names)?;
        for (field, value) in self.others.iter() {
            f.write_str(",")?;
            quoted(f, field)?;
            write!(f, ":{value}")?;
        }
        f.write_str("}")
    }
}

impl Envelope {
    fn fmt_optional(&self, f: &mut fmt::Formatter<'_>, names: &Names) -> fmt::Result {
        if let Some(id) = &self.id {
            f.write_str(r#","id":"#)?;
            quoted(f, id)?;
        }
        if let Some(color) = self.color {
            write!(f, r#","{}":"{color}""#, names.color)?;
        }
        match (self.revision, self.form) {
            (None, _) => {}
            (Some(revision), Form::Plain) => write!(f, r#","{}":{revision}"#, names.revision)?,
            // CloudEvents has no integers beyond 32 bits.
            (Some(revision), Form::CloudEvent) => {
                write!(f, r#","{}":"{revision}""#, names.revision)?;
            }
        }
        if let Some(after) = &self.after {
            write!(f, r#","{}":"#, names.after)?;
            quoted(f, after)?;
        }
        if let Some(claim) = &self.claim {
            write!(f, r#","{}":"{claim}""#, names.claim)?;
        }
        if let Some(trace) = &self.trace {
            write!(f, r#","traceparent":"{}""#, trace.parent())?;
            if let Some(state) = trace.state() {
                f.write_str(r#","tracestate":"#)?;
                quoted(f, state)?;
            }
        }
        Ok(())
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}
