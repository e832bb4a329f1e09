//! All answers to a snapshot, rendered before anybody asks. Pure.

use bluegreen_core::Color;
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::{Check, Observed, Snapshot, Status};

/// Said by a snapshot that nobody refreshes.
const STALE: &str = "the last results are too old: the checks no longer run";
const STARTING: &str = "not every critical check has passed yet";

/// One answer, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    pub(crate) length: HeaderValue,
}

/// An answer by what else is known when it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct ByCondition {
    fresh: Answer,
    stale: Answer,
    draining: Answer,
}

/// What is only known when somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Fresh,
    Stale,
    Draining,
}

impl ByCondition {
    pub(crate) const fn get(&self, condition: Condition) -> &Answer {
        match condition {
            Condition::Fresh => &self.fresh,
            Condition::Stale => &self.stale,
            Condition::Draining => &self.draining,
        }
    }

    fn render(snapshot: &Snapshot, color: Color, checks: Option<&[Check]>) -> Self {
        let timestamp = timestamp(snapshot);
        let render = |status: Status, message: Option<&'static str>| {
            let environment = color.as_str();
            let timestamp = Some(timestamp.as_str());
            let checks = checks.map(Checks);
            Answer::render(&Document { status, message, environment, checks, timestamp })
        };
        let starting = (!snapshot.started).then_some(STARTING);
        Self {
            fresh: render(snapshot.status, starting),
            stale: render(Status::Unhealthy, Some(STALE)),
            draining: render(Status::Draining, None),
        }
    }
}

/// The answers of all paths.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    pub(crate) all: ByCondition,
    pub(crate) ready: ByCondition,
    pub(crate) startup: Answer,
    pub(crate) live: Answer,
}

impl Answers {
    pub(crate) fn render(snapshot: &Snapshot, color: Color) -> Self {
        let (startup, message) = if snapshot.started {
            (Status::Healthy, None)
        } else {
            (Status::Unhealthy, Some(STARTING))
        };
        let short = |status, message, timestamp| {
            let environment = color.as_str();
            Answer::render(&Document { status, message, environment, checks: None, timestamp })
        };
        Self {
            all: ByCondition::render(snapshot, color, Some(&snapshot.checks)),
            ready: ByCondition::render(snapshot, color, None),
            startup: short(startup, message, Some(&timestamp(snapshot))),
            // It looks at nothing, so there is no moment at which it looked.
            live: short(Status::Healthy, None, None),
        }
    }
}

impl Answer {
    fn render(document: &Document<'_>) -> Self {
        let status =
            if document.status.serves() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        // Strings and numbers under string keys: there is nothing that JSON cannot say.
        let body = serde_json::to_vec(document).unwrap_or_default();
        Self { status, length: HeaderValue::from(body.len()), body: body.into() }
    }
}

fn timestamp(snapshot: &Snapshot) -> String {
    jiff::Timestamp::try_from(snapshot.at).map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(serialize_with = "as_text")]
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    environment: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Checks<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<&'a str>,
}

struct Checks<'a>(&'a [Check]);

impl Serialize for Checks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|check| (&check.name, CheckDocument(check))))
    }
}

struct CheckDocument<'a>(&'a Check);

impl Serialize for CheckDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Check { status, kind, message, observed, .. } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("status", status.as_str())?;
        if let Some(kind) = kind {
            map.serialize_entry("class", kind.as_str())?;
        }
        if let Some(message) = message {
            map.serialize_entry("message", message)?;
        }
        if !observed.is_empty() {
            map.serialize_entry("observed", &Numbers(observed))?;
        }
        map.end()
    }
}

struct Numbers<'a>(&'a [Observed]);

impl Serialize for Numbers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|observed| (&observed.name, observed.value)))
    }
}

fn as_text<S: Serializer>(status: &Status, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(status.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FaultKind, Importance};
    use std::time::{Duration, UNIX_EPOCH};

    fn snapshot() -> Snapshot {
        let check = |name: &str, status, kind, message: Option<&'static str>, observed| Check {
            name: name.to_owned(),
            importance: Importance::Critical,
            status,
            kind,
            message: message.map(Into::into),
            observed,
        };
        let depth = Observed { name: "visible_messages".into(), value: 7 };
        let late = (Some(FaultKind::TimedOut), Some("timed out after 3s"));
        Snapshot {
            status: Status::Unhealthy,
            started: true,
            checks: vec![
                check("sqs", Status::Healthy, None, None, vec![depth]),
                check("dynamodb", Status::Unhealthy, late.0, late.1, vec![]),
            ],
            at: UNIX_EPOCH + Duration::from_millis(1_795_341_600_250),
        }
    }

    fn text(answer: &Answer) -> (u16, &str) {
        assert_eq!(answer.length, answer.body.len().to_string());
        (answer.status.as_u16(), std::str::from_utf8(&answer.body).unwrap())
    }

    #[test]
    fn the_answer_is_the_articles_json_and_503_when_a_critical_check_fails() {
        let answers = Answers::render(&snapshot(), Color::Blue);
        assert_eq!(
            text(answers.all.get(Condition::Fresh)),
            (
                503,
                "{\"status\":\"unhealthy\",\"environment\":\"blue\",\"checks\":{\
                 \"sqs\":{\"status\":\"healthy\",\"observed\":{\"visible_messages\":7}},\
                 \"dynamodb\":{\"status\":\"unhealthy\",\"class\":\"timed-out\",\
                 \"message\":\"timed out after 3s\"}},\"timestamp\":\"2026-11-22T10:00:00.250Z\"}"
            )
        );
    }

    #[test]
    fn each_path_and_condition_has_its_own_code() {
        let table = [
            (Status::Healthy, true, [200, 503, 503], 200),
            (Status::Degraded, true, [200, 503, 503], 200),
            (Status::Unhealthy, true, [503, 503, 503], 200),
            (Status::Unhealthy, false, [503, 503, 503], 503),
        ];
        for (status, started, codes, startup) in table {
            let answers =
                Answers::render(&Snapshot { status, started, ..snapshot() }, Color::Green);
            for path in [&answers.all, &answers.ready] {
                let conditions = [Condition::Fresh, Condition::Stale, Condition::Draining];
                assert_eq!(conditions.map(|c| path.get(c).status.as_u16()), codes, "{status}");
            }
            assert_eq!(answers.startup.status, startup);
            assert_eq!(
                text(&answers.live),
                (200, "{\"status\":\"healthy\",\"environment\":\"green\"}")
            );
        }
        let answers = Answers::render(&snapshot(), Color::Green);
        let (_, draining) = text(answers.ready.get(Condition::Draining));
        assert!(draining.starts_with("{\"status\":\"draining\",\"environment\":\"green\""));
    }
}
