//! `application/health+json`, by draft-inadarei-api-health-check-06.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Causes, Content, Who, timestamp};
use crate::{Check, Status};

pub(super) fn render(who: &Who, content: &Content<'_>, causes: Causes) -> Vec<u8> {
    let document = Document {
        status: status(content.status),
        release_id: &who.release,
        service_id: &who.service,
        notes: [format!("color {}", who.color)],
        output: match content.status {
            Status::Draining => Some("draining"),
            _ => content.message,
        },
        checks: content.checks.as_deref().map(|checks| Checks { checks, causes }),
    };
    // Strings and numbers under string keys: there is nothing that JSON cannot say.
    serde_json::to_vec(&document).unwrap_or_default()
}

/// The draft's name for how long a component took to answer.
const RESPONSE_TIME: &str = "responseTime";

const fn status(status: Status) -> &'static str {
    match status {
        Status::Healthy => "pass",
        Status::Degraded => "warn",
        Status::Unhealthy | Status::Draining => "fail",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    status: &'static str,
    release_id: &'a str,
    service_id: &'a str,
    notes: [String; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Checks<'a>>,
}

struct Checks<'a> {
    checks: &'a [&'a Check],
    causes: Causes,
}

impl Serialize for Checks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for check in self.checks {
            let measured = Measurement::of(check, self.causes);
            let name = &check.name;
            match check.last_run {
                None => map.serialize_entry(name, &[measured])?,
                // A probe may have measured that better.
                Some(_) if check.observed.iter().any(|seen| seen.name == RESPONSE_TIME) => {}
                Some(run) => {
                    let took = u64::try_from(run.took.as_millis()).unwrap_or(u64::MAX);
                    let observed_value = Some(took);
                    let took =
                        Measurement { observed_value, observed_unit: Some("ms"), ..measured };
                    map.serialize_entry(&format!("{name}:{RESPONSE_TIME}"), &[took])?;
                }
            }
            for observed in &check.observed {
                let seen = Measurement {
                    observed_value: Some(observed.value),
                    ..Measurement::of(check, self.causes)
                };
                map.serialize_entry(&format!("{name}:{}", observed.name), &[seen])?;
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Measurement<'a> {
    component_id: &'a str,
    component_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_value: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_unit: Option<&'static str>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

impl<'a> Measurement<'a> {
    fn of(check: &'a Check, causes: Causes) -> Self {
        Self {
            component_id: &check.name,
            component_type: check.component.as_str(),
            observed_value: None,
            observed_unit: None,
            status: status(check.status),
            time: check.last_run.and_then(|run| timestamp(run.at)),
            output: output(check, causes),
        }
    }
}

fn output(check: &Check, causes: Causes) -> Option<String> {
    let message = check.message.as_deref()?;
    let class = check.kind.map(|kind| format!("{kind}: ")).unwrap_or_default();
    let cause = check.cause_if(causes).map(|cause| format!(" ({cause})")).unwrap_or_default();
    Some(format!("{class}{message}{cause}"))
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::scene::{checks, moment, text};
    use super::*;
    use serde_json::{Value, json};

    fn document(status: Status, checks: &[Check]) -> Value {
        let content = Content {
            status,
            message: None,
            checks: Some(checks.iter().collect()),
            at: Some(moment()),
        };
        serde_json::from_str(&text(Format::Ietf, &content, Causes::Hidden)).unwrap()
    }

    #[test]
    fn it_reads_as_the_draft_has_it() {
        let time = "2026-11-22T10:00:00.250Z";
        let expected = json!({
            "status": "fail",
            "releaseId": "7",
            "serviceId": "orders",
            "notes": ["color blue"],
            "checks": {
                "sqs:responseTime": [{
                    "componentId": "sqs", "componentType": "component",
                    "observedValue": 12, "observedUnit": "ms", "status": "pass", "time": time,
                }],
                "sqs:visible_messages": [{
                    "componentId": "sqs", "componentType": "component",
                    "observedValue": 7, "status": "pass", "time": time,
                }],
                "dynamodb:responseTime": [{
                    "componentId": "dynamodb", "componentType": "datastore",
                    "observedValue": 12, "observedUnit": "ms", "status": "fail", "time": time,
                    "output": "timed-out: timed out after 3s",
                }],
                "cache": [{
                    "componentId": "cache", "componentType": "component",
                    "status": "fail", "output": "not checked yet",
                }],
            },
        });
        assert_eq!(document(Status::Unhealthy, &checks()), expected);
    }

    #[test]
    fn no_measurement_is_there_twice() {
        let mut checks = checks();
        let pass = crate::Pass::new().observing("responseTime", 3).observing("depth", 1);
        checks[0].observed = pass.observing("depth", 2).observed;
        let content = Content {
            status: Status::Healthy,
            message: None,
            checks: Some(checks.iter().take(1).collect()),
            at: None,
        };
        let text = text(Format::Ietf, &content, Causes::Hidden);
        assert_eq!(text.matches("sqs:responseTime").count(), 1, "{text}");
        assert_eq!(text.matches("sqs:depth").count(), 1, "{text}");
    }

    #[test]
    fn every_status_is_one_of_the_three_that_the_draft_knows() {
        let cases = [
            (Status::Healthy, "pass", None),
            (Status::Degraded, "warn", None),
            (Status::Unhealthy, "fail", None),
            (Status::Draining, "fail", Some("draining")),
        ];
        for (status, expected, output) in cases {
            let document = document(status, &[]);
            assert_eq!(document["status"], expected);
            assert_eq!(document.get("output").and_then(Value::as_str), output);
        }
    }
}
