//! What an answer says, in each of its formats. Pure.

mod accept;
mod articles;
mod ietf;
mod text;

use std::fmt::Write as _;
use std::time::SystemTime;

use bluegreen_core::{Color, ServiceIdentity};

use crate::{Check, Status};

pub(crate) use accept::choose;

/// Whose health it is.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    color: Color,
    service: String,
    release: String,
}

impl Who {
    pub(crate) fn new(identity: &ServiceIdentity) -> Self {
        Self {
            color: identity.color,
            service: identity.key.service().to_owned(),
            release: identity.release.to_string(),
        }
    }
}

/// What an answer says, whatever its format.
#[derive(Debug)]
pub(crate) struct Content<'a> {
    pub(crate) status: Status,
    pub(crate) message: Option<&'static str>,
    pub(crate) checks: Option<Vec<&'a Check>>,
    pub(crate) at: Option<SystemTime>,
}

/// The formats of answers, the one that is sent when any will do first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `{"status": …, "environment": …, "checks": …, "timestamp": …}`.
    Articles,
    /// draft-inadarei-api-health-check-06.
    Ietf,
    /// A line for the process and one for each check.
    Text,
}

/// Whether the causes of faults, which may hold secrets, are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Causes {
    Hidden,
    Told,
}

impl Format {
    pub(crate) const ALL: [Self; 3] = [Self::Articles, Self::Ietf, Self::Text];

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Articles => "application/json",
            Self::Ietf => "application/health+json",
            Self::Text => "text/plain; charset=utf-8",
        }
    }

    pub(crate) fn render(self, who: &Who, content: &Content<'_>, causes: Causes) -> Vec<u8> {
        match self {
            Self::Articles => articles::render(who, content, causes),
            Self::Ietf => ietf::render(who, content, causes),
            Self::Text => text::render(content, causes),
        }
    }
}

impl Check {
    fn cause_if(&self, causes: Causes) -> Option<&str> {
        self.cause.as_deref().filter(|_| causes == Causes::Told)
    }
}

/// The moment as RFC 3339 writes it, in UTC; nothing for one that it cannot write.
fn timestamp(at: SystemTime) -> Option<String> {
    // Before its own beginning of time humantime panics, and after its end it fails.
    if at < SystemTime::UNIX_EPOCH {
        return None;
    }
    let mut text = String::new();
    write!(text, "{}", humantime::format_rfc3339_millis(at)).ok()?;
    Some(text)
}

#[cfg(test)]
mod scene {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::snapshot::LastRun;
    use crate::{ComponentType, FaultKind, Importance, Observed};

    pub(super) fn who() -> Who {
        Who { color: Color::Blue, service: "orders".to_owned(), release: "7".to_owned() }
    }

    pub(super) fn moment() -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_795_341_600_250)
    }

    /// A queue that is well, a table that is not, and a cache that was not asked yet.
    pub(super) fn checks() -> Vec<Check> {
        let last_run = Some(LastRun { at: moment(), took: Duration::from_millis(12) });
        let queue = Check {
            name: "sqs".to_owned(),
            importance: Importance::Critical,
            component: ComponentType::Component,
            tags: Vec::new(),
            status: Status::Healthy,
            started: true,
            kind: None,
            message: None,
            cause: None,
            observed: vec![Observed { name: "visible_messages".into(), value: 7 }],
            last_run,
        };
        let table = Check {
            name: "dynamodb".to_owned(),
            component: ComponentType::Datastore,
            status: Status::Unhealthy,
            kind: Some(FaultKind::TimedOut),
            message: Some("timed out after 3s".into()),
            cause: Some("no answer from 10.0.0.7".to_owned()),
            observed: Vec::new(),
            ..queue.clone()
        };
        let cache = Check {
            name: "cache".to_owned(),
            status: Status::Unhealthy,
            started: false,
            message: Some("not checked yet".into()),
            observed: Vec::new(),
            last_run: None,
            ..queue.clone()
        };
        vec![queue, table, cache]
    }

    pub(super) fn text(format: Format, content: &Content<'_>, causes: Causes) -> String {
        String::from_utf8(format.render(&who(), content, causes)).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::scene::{checks, text};
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn a_moment_that_cannot_be_written_is_left_out() {
        assert_eq!(timestamp(UNIX_EPOCH).as_deref(), Some("1970-01-01T00:00:00.000Z"));
        for (years, before) in [(1, true), (20_000, false)] {
            let distance = Duration::from_secs(years * 366 * 86_400);
            let at = if before { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance };
            assert_eq!(timestamp(at), None, "{years}");
        }
    }

    #[test]
    fn causes_are_told_in_every_format_when_asked_for_and_in_none_otherwise() {
        let checks = checks();
        let content = Content {
            status: Status::Unhealthy,
            message: None,
            checks: Some(checks.iter().collect()),
            at: None,
        };
        for format in Format::ALL {
            let told = text(format, &content, Causes::Told);
            assert!(told.contains("no answer from 10.0.0.7"), "{told}");
            let hidden = text(format, &content, Causes::Hidden);
            assert!(!hidden.contains("10.0.0.7") && hidden.contains("timed out"), "{hidden}");
        }
    }
}
