//! The JSON that load balancers and people are used to.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Causes, Content, Who, timestamp};
use crate::{Check, Observed};

pub(super) fn render(who: &Who, content: &Content<'_>, causes: Causes) -> Vec<u8> {
    let document = Document {
        status: content.status.as_str(),
        message: content.message,
        environment: who.color.as_str(),
        checks: content.checks.as_deref().map(|checks| Checks { checks, causes }),
        timestamp: content.at.and_then(timestamp),
    };
    // Strings and numbers under string keys: there is nothing that JSON cannot say.
    serde_json::to_vec(&document).unwrap_or_default()
}

#[derive(Serialize)]
struct Document<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    environment: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Checks<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
}

struct Checks<'a> {
    checks: &'a [&'a Check],
    causes: Causes,
}

impl Serialize for Checks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.checks.iter().map(|check| {
            let document = CheckDocument {
                status: check.status.as_str(),
                class: check.kind.map(crate::FaultKind::as_str),
                message: check.message.as_deref(),
                cause: check.cause_if(self.causes),
                observed: &check.observed,
            };
            (&check.name, document)
        }))
    }
}

#[derive(Serialize)]
struct CheckDocument<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Observed]>::is_empty", serialize_with = "numbers")]
    observed: &'a [Observed],
}

fn numbers<S: Serializer>(observed: &&[Observed], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(observed.len()))?;
    for Observed { name, value } in *observed {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::scene::{checks, moment, text};
    use super::*;
    use crate::Status;

    #[test]
    fn it_reads_as_in_the_articles() {
        let checks = checks();
        let content = Content {
            status: Status::Unhealthy,
            message: None,
            checks: Some(checks.iter().take(2).collect()),
            at: Some(moment()),
        };
        assert_eq!(
            text(Format::Articles, &content, Causes::Hidden),
            "{\"status\":\"unhealthy\",\"environment\":\"blue\",\"checks\":{\
             \"sqs\":{\"status\":\"healthy\",\"observed\":{\"visible_messages\":7}},\
             \"dynamodb\":{\"status\":\"unhealthy\",\"class\":\"timed-out\",\
             \"message\":\"timed out after 3s\"}},\"timestamp\":\"2026-11-22T10:00:00.250Z\"}"
        );
    }

    #[test]
    fn without_checks_it_is_one_short_line() {
        let content = Content { status: Status::Healthy, message: None, checks: None, at: None };
        assert_eq!(
            text(Format::Articles, &content, Causes::Hidden),
            "{\"status\":\"healthy\",\"environment\":\"blue\"}"
        );
    }
}
