//! CloudEvents 1.0, in its structured JSON form.

use bluegreen_core::{Color, ContractVersion, Revision};
use jiff::Timestamp;
use serde_json::value::{RawValue, to_raw_value};

use super::fields::Fields;
use super::text::{claim, trace};
use super::{Envelope, EnvelopeError, Form};

/// The extension attribute of ours that says the version of the data.
pub(super) const VERSION: &str = "dataversion";
/// The one that says the color of the sender.
pub(super) const COLOR: &str = "deploymentcolor";
/// The one that says the deployment revision that the sender followed.
pub(super) const REVISION: &str = "deploymentrevision";
/// The one that names the marker of a hand-over.
pub(crate) const AFTER: &str = "deploymentafter";
/// The one that holds the claim on data that is kept elsewhere.
pub(crate) const CLAIM: &str = "deploymentclaim";

/// What a CloudEvent says by these names, no other field may.
const TAKEN: [&str; 5] = ["specversion", VERSION, "data", "time", "data_base64"];

impl Envelope {
    /// The same, to be written as a CloudEvent 1.0 that comes from `source`, such as
    /// `/shop/orders`. The payload is its `data`; the version is the extension `dataversion`,
    /// color and revision are `deploymentcolor` and `deploymentrevision`.
    ///
    /// # Errors
    /// When there is no [id](Self::with_id), which every CloudEvent has; when `source` is empty;
    /// when a field that is not known has a name that means something in a CloudEvent.
    pub fn into_cloud_event(mut self, source: &str) -> Result<Self, EnvelopeError> {
        if self.form == Form::CloudEvent {
            return Ok(self);
        }
        if self.id.as_ref().is_none_or(String::is_empty) {
            return Err(EnvelopeError::Missing { field: "id" });
        }
        if source.is_empty() {
            return Err(EnvelopeError::field("source", "a CloudEvent comes from somewhere"));
        }
        for field in
            TAKEN.into_iter().chain(["source", "datacontenttype", COLOR, REVISION, AFTER, CLAIM])
        {
            if self.others.has(field) {
                return Err(EnvelopeError::field(field, "it means something in a CloudEvent"));
            }
        }
        let json =
            |text: &str| to_raw_value(text).map_err(|error| EnvelopeError::field("source", error));
        self.others.put("source", json(source)?);
        self.others.put("datacontenttype", json("application/json")?);
        self.form = Form::CloudEvent;
        Ok(self)
    }

    /// Reads a CloudEvent. One without a time was made when it was sent, and one that says no
    /// version of its data has the version `otherwise`.
    pub(crate) fn from_cloud_event(
        mut fields: Fields<'_>,
        sent: Timestamp,
        otherwise: Option<ContractVersion>,
    ) -> Result<Self, EnvelopeError> {
        let specification: String = fields.required("specversion")?;
        if specification != "1.0" {
            return Err(EnvelopeError::field(
                "specversion",
                format!("{specification:?} is unknown"),
            ));
        }
        if fields.has("data_base64") {
            return Err(EnvelopeError::field("data_base64", "the data is not JSON"));
        }
        if fields.peek::<String>("source").is_none_or(|source| source.is_empty()) {
            return Err(EnvelopeError::Missing { field: "source" });
        }
        let id = Some(fields.required::<String>("id")?);
        let (kind, version) = kind(&mut fields, otherwise)?;
        let payload = match fields.raw("data") {
            Ok(payload) => payload.to_owned(),
            Err(_) => RawValue::NULL.to_owned(),
        };
        let timestamp = match fields.has("time") {
            true => fields
                .required::<String>("time")?
                .parse()
                .map_err(|error| EnvelopeError::field("time", error))?,
            false => sent,
        };
        let color = fields.optional::<Color>(COLOR);
        let revision = revision(&mut fields);
        let trace = trace(&mut fields);
        let after = fields.optional(AFTER);
        let claim = claim(&mut fields, CLAIM);
        let (form, others) = (Form::CloudEvent, fields.into());
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

/// Type and version: the version by our extension, as the type's suffix or as the schema's end.
fn kind(
    fields: &mut Fields<'_>,
    otherwise: Option<ContractVersion>,
) -> Result<(String, ContractVersion), EnvelopeError> {
    let kind: String = fields.required("type")?;
    if fields.has(VERSION) {
        let version: String = fields.required(VERSION)?;
        let version = version.parse().map_err(|error| EnvelopeError::field(VERSION, error))?;
        return Ok((kind, version));
    }
    if let Some((stem, version)) = versioned(&kind) {
        return Ok((stem.to_owned(), version));
    }
    let schema = fields.peek::<String>("dataschema");
    let named = schema.as_deref().and_then(|schema| {
        let end = schema.rsplit('/').next()?;
        end.strip_prefix('v').unwrap_or(end).parse().ok()
    });
    let version = named.or(otherwise).ok_or(EnvelopeError::Missing { field: VERSION })?;
    Ok((kind, version))
}

/// A type that carries its version as a suffix, as `order.placed.v2` or `order.placed.v2.1`.
pub(crate) fn versioned(kind: &str) -> Option<(&str, ContractVersion)> {
    let (stem, version) = kind.rsplit_once(".v")?;
    Some((stem, version.parse().ok()?)).filter(|(stem, _)| !stem.is_empty())
}

fn revision(fields: &mut Fields<'_>) -> Option<Revision> {
    let text: String = fields.peek(REVISION)?;
    // Only what we would write ourselves: "+7" or "007" would not come back as it was.
    let number = text.parse::<u64>().ok().filter(|number| number.to_string() == text)?;
    fields.remove(REVISION);
    Some(Revision::new(number))
}
