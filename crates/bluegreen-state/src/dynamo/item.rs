use std::collections::HashMap;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use aws_sdk_dynamodb::types::AttributeValue;
use bluegreen_core::{Deployment, Member, RecordError, ServiceKey};

use crate::files::KEPT_AFTER_EXPIRY;
use crate::files::record::{malformed, member_text};

pub(super) type Item = HashMap<String, AttributeValue>;

/// The names of the attributes. The first two are the table's key.
pub(super) const PK: &str = "PK";
pub(super) const SK: &str = "SK";
pub(super) const EXPIRES_AT: &str = "ExpiresAt";
const RECORD: &str = "Record";
const REVISION: &str = "Revision";

const MEMBER_PREFIX: &str = "member#";

/// Where an item is.
#[derive(Debug)]
pub(super) struct Key {
    pk: String,
    sk: String,
}

impl Key {
    pub(super) fn deployment(service: &ServiceKey) -> Self {
        Self { pk: partition(service), sk: "deployment".to_owned() }
    }

    pub(super) fn member(service: &ServiceKey, instance: &str) -> Self {
        Self { pk: partition(service), sk: format!("{MEMBER_PREFIX}{instance}") }
    }

    /// Where an item was read.
    pub(super) fn of(item: &Item) -> Self {
        let part = |name| string(item, name).unwrap_or_default().to_owned();
        Self { pk: part(PK), sk: part(SK) }
    }

    pub(super) fn attributes(self) -> Item {
        [(PK, self.pk), (SK, self.sk)].map(|(name, part)| (name.to_owned(), text(part))).into()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PK {:?}, SK {:?}", self.pk, self.sk)
    }
}

fn partition(service: &ServiceKey) -> String {
    format!("deployment#{service}")
}

/// A deployment with its text as it stands in the table, the condition of the next write.
#[derive(Debug)]
pub(super) struct Found {
    text: String,
    deployment: Deployment,
}

impl Found {
    pub(super) fn read(key: &ServiceKey, item: &Item) -> Result<Self, RecordError> {
        let text = record(item)?.to_owned();
        let deployment = Deployment::from_json(&text)?;
        if deployment.service() != key {
            let found = deployment.service();
            return Err(malformed(format!("it belongs to the service {found}")));
        }
        // The writes' condition names both, so one edited by hand must not go unnoticed.
        let revision = item.get(REVISION).and_then(|value| value.as_n().ok());
        if revision != Some(&deployment.revision().to_string()) {
            let expected = deployment.revision();
            return Err(malformed(format!("the attribute Revision does not say {expected}")));
        }
        Ok(Self { text, deployment })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) const fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    pub(super) fn into_deployment(self) -> Deployment {
        self.deployment
    }
}

/// Sets our attributes and leaves those of others.
pub(super) const UPDATE: &str =
    "SET #record = :record, #revision = :revision, #phase = :phase, #updated = :updated";

/// A conditional write of a deployment.
pub(super) struct Update {
    pub(super) condition: &'static str,
    pub(super) names: HashMap<String, String>,
    pub(super) values: Item,
}

/// The write of `next` where the text `found` stands, or nothing.
///
/// The condition is the whole record rather than its revision alone: one that was edited by hand,
/// or removed and begun anew, is another record although its revision may be the same.
pub(super) fn update(next: &Deployment, found: Option<&str>, now: SystemTime) -> Update {
    let names = [
        ("#record", RECORD),
        ("#revision", REVISION),
        ("#phase", "Phase"),
        ("#updated", "UpdatedAt"),
    ];
    let mut values = vec![
        (":record", text(next.to_json())),
        (":revision", number(next.revision().get())),
        (":phase", text(next.phase().to_string())),
        (":updated", text(written(now))),
    ];
    let condition = match (found, next.revision().previous()) {
        (Some(found), Some(previous)) => {
            values.push((":found", text(found)));
            values.push((":previous", number(previous.get())));
            "#record = :found AND #revision = :previous"
        }
        _ => "attribute_not_exists(PK)",
    };
    Update {
        condition,
        names: names.map(|(short, name)| (short.to_owned(), name.to_owned())).into(),
        values: values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

/// The item of a member. DynamoDB removes it some time after `ExpiresAt`, which lies well behind
/// the end of the announcement: else the member of a process with a slow clock could vanish while
/// it lives.
pub(super) fn of_member(service: &ServiceKey, member: &Member) -> Item {
    let expires = member.expires() + KEPT_AFTER_EXPIRY;
    let seconds = expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut item = Key::member(service, &member.instance).attributes();
    item.insert(RECORD.to_owned(), text(member_text(member)));
    item.insert(EXPIRES_AT.to_owned(), number(seconds));
    item
}

/// The member that an item holds.
pub(super) fn member(item: &Item) -> Result<Member, RecordError> {
    let member: Member = serde_json::from_str(record(item)?).map_err(malformed)?;
    if string(item, SK).and_then(|sk| sk.strip_prefix(MEMBER_PREFIX)) != Some(&member.instance) {
        return Err(malformed(format!("it belongs to the instance {:?}", member.instance)));
    }
    Ok(member)
}

/// What a query for all members of a service asks with.
pub(super) fn all_members(service: &ServiceKey) -> Item {
    [(":pk".to_owned(), text(partition(service))), (":prefix".to_owned(), text(MEMBER_PREFIX))]
        .into()
}

fn record(item: &Item) -> Result<&str, RecordError> {
    string(item, RECORD).ok_or_else(|| malformed("there is no attribute Record with a text"))
}

fn string<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn written(now: SystemTime) -> String {
    DateTime::from(now).fmt(DateTimeFormat::DateTime).unwrap_or_default()
}
