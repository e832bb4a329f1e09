//! All answers to a snapshot, rendered before anybody asks. Pure.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use crate::paths::Page;
use crate::render::{Causes, Content, Format, Who};
use crate::snapshot::Overall;
use crate::{Check, Snapshot, Status};

/// Said by a snapshot that nobody refreshes.
const STALE: &str = "the last results are too old: the checks no longer run";
const STARTING: &str = "not every critical check has passed yet";

/// What is only known when somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Fresh,
    Stale,
    Draining,
}

impl Condition {
    const ALL: [Self; 3] = [Self::Fresh, Self::Stale, Self::Draining];

    /// How the process is, when its probes say `status`.
    pub(crate) const fn on(self, status: Status) -> Status {
        match self {
            Self::Fresh => status,
            Self::Stale => Status::Unhealthy,
            Self::Draining => Status::Draining,
        }
    }
}

/// Some of the checks, answered at a path of their own.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
}

impl Group {
    pub(crate) fn holds(&self, tags: &[String]) -> bool {
        tags.iter().any(|tag| self.tags.contains(tag))
    }
}

/// What a page says of a snapshot.
pub(crate) fn content<'a>(
    page: Page,
    condition: Condition,
    snapshot: &'a Snapshot,
    groups: &[Group],
) -> Content<'a> {
    let at = Some(snapshot.at);
    let all = Overall { status: snapshot.status, started: snapshot.started };
    match page {
        // It looks at nothing, so there is no moment at which it looked.
        Page::Live => Content { status: Status::Healthy, message: None, checks: None, at: None },
        Page::Startup if snapshot.started => {
            Content { status: Status::Healthy, message: None, checks: None, at }
        }
        Page::Startup => {
            Content { status: Status::Unhealthy, message: Some(STARTING), checks: None, at }
        }
        Page::Ready => conditioned(condition, all, None, at),
        Page::All => conditioned(condition, all, Some(snapshot.checks.iter().collect()), at),
        Page::Group(number) => {
            let group = groups.get(number);
            let of_group = |check: &&Check| group.is_some_and(|group| group.holds(&check.tags));
            let checks: Vec<_> = snapshot.checks.iter().filter(of_group).collect();
            let overall = Overall::of(checks.iter().copied());
            conditioned(condition, overall, Some(checks), at)
        }
    }
}

fn conditioned(
    condition: Condition,
    overall: Overall,
    checks: Option<Vec<&Check>>,
    at: Option<std::time::SystemTime>,
) -> Content<'_> {
    let message = match condition {
        Condition::Fresh => (!overall.started).then_some(STARTING),
        Condition::Stale => Some(STALE),
        Condition::Draining => None,
    };
    Content { status: condition.on(overall.status), message, checks, at }
}

/// The code that goes with a status.
pub(crate) const fn code(status: Status) -> StatusCode {
    if status.serves() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// One answer in all formats, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    bodies: [Body; 3],
}

/// A body and its length.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) length: HeaderValue,
}

impl Body {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { length: HeaderValue::from(bytes.len()), bytes: bytes.into() }
    }
}

impl Answer {
    fn render(who: &Who, content: &Content<'_>) -> Self {
        let render = |format: Format| Body::new(format.render(who, content, Causes::Hidden));
        Self { code: code(content.status), bodies: Format::ALL.map(render) }
    }

    pub(crate) const fn body(&self, format: Format) -> &Body {
        let [articles, ietf, text] = &self.bodies;
        match format {
            Format::Articles => articles,
            Format::Ietf => ietf,
            Format::Text => text,
        }
    }
}

/// The answers of all pages.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    live: Answer,
    startup: Answer,
    ready: [Answer; 3],
    all: [Answer; 3],
    groups: Vec<[Answer; 3]>,
}

impl Answers {
    pub(crate) fn render(snapshot: &Snapshot, who: &Who, groups: &[Group]) -> Self {
        let one =
            |page, condition| Answer::render(who, &content(page, condition, snapshot, groups));
        let each = |page| Condition::ALL.map(|condition| one(page, condition));
        Self {
            live: one(Page::Live, Condition::Fresh),
            startup: one(Page::Startup, Condition::Fresh),
            ready: each(Page::Ready),
            all: each(Page::All),
            groups: (0..groups.len()).map(|number| each(Page::Group(number))).collect(),
        }
    }

    pub(crate) fn get(&self, page: Page, condition: Condition) -> &Answer {
        let [fresh, stale, draining] = match page {
            Page::Live => return &self.live,
            Page::Startup => return &self.startup,
            Page::Ready => &self.ready,
            Page::All => &self.all,
            Page::Group(number) => self.groups.get(number).unwrap_or(&self.all),
        };
        match condition {
            Condition::Fresh => fresh,
            Condition::Stale => stale,
            Condition::Draining => draining,
        }
    }
}
