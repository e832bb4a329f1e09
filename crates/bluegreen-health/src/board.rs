use std::sync::Arc;

use arc_swap::ArcSwap;
use bluegreen_core::Stop;
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::answers::{Answer, Answers, Condition, Group, content};
use crate::paths::{Page, PathTable};
use crate::render::{Causes, Format, Who};
use crate::{HealthEvent, HealthEvents, RequestHead, Snapshot, Status, event};

/// Whether a request may see the causes of faults.
pub(crate) type Authorize = dyn Fn(&RequestHead<'_>) -> bool + Send + Sync;

/// What the refresher writes and everybody reads.
pub(crate) struct Board {
    published: ArcSwap<Published>,
    setting: Setting,
    events: broadcast::Sender<HealthEvent>,
}

/// What never changes.
pub(crate) struct Setting {
    pub(crate) who: Who,
    pub(crate) draining: Stop,
    pub(crate) paths: PathTable,
    pub(crate) groups: Vec<Group>,
    /// Who gets to see the causes of faults; nobody without it.
    pub(crate) authorize: Option<Arc<Authorize>>,
}

/// One snapshot and the answers to it.
pub(crate) struct Published {
    pub(crate) snapshot: Arc<Snapshot>,
    answers: Answers,
    /// When the first result in it becomes too old.
    good_until: Instant,
}

impl Board {
    pub(crate) fn new(setting: Setting, first: Snapshot, good_until: Instant) -> Self {
        let events = broadcast::Sender::new(event::kept(first.checks.len()));
        let published = Published::new(first, &setting, good_until);
        Self { published: ArcSwap::from_pointee(published), setting, events }
    }

    /// Puts up a snapshot that is good until that moment; answers the one before it.
    pub(crate) fn publish(&self, snapshot: Snapshot, good_until: Instant) -> Arc<Published> {
        let published = Published::new(snapshot, &self.setting, good_until);
        self.published.swap(Arc::new(published))
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.published.load().snapshot)
    }

    pub(crate) fn page(&self, path: &str) -> Option<Page> {
        self.setting.paths.page(path)
    }

    /// Reads the answer of a page: one load of what is put up, one of whether the process drains,
    /// and one look at the clock.
    pub(crate) fn read<T>(&self, page: Page, read: impl FnOnce(&Answer) -> T) -> T {
        let published = self.published.load();
        read(published.answers.get(page, self.condition(&published)))
    }

    /// Whether this request may see the causes of faults.
    pub(crate) fn authorizes(&self, head: &RequestHead<'_>) -> bool {
        self.setting.authorize.as_ref().is_some_and(|authorize| authorize(head))
    }

    /// A page with the causes of faults, rendered for the one who asks.
    pub(crate) fn detailed(&self, page: Page, format: Format) -> (Status, Vec<u8>) {
        let published = self.published.load();
        let (condition, snapshot) = (self.condition(&published), &published.snapshot);
        let content = content(page, condition, snapshot, &self.setting.groups);
        (content.status, format.render(&self.setting.who, &content, Causes::Told))
    }

    pub(crate) fn status(&self) -> Status {
        let published = self.published.load();
        self.condition(&published).on(published.snapshot.status)
    }

    pub(crate) fn draining(&self) -> &Stop {
        &self.setting.draining
    }

    pub(crate) fn tell(&self, event: HealthEvent) {
        // That nobody listens is no failure.
        drop(self.events.send(event));
    }

    pub(crate) fn events(&self) -> HealthEvents {
        HealthEvents::new(self.events.subscribe())
    }

    fn condition(&self, published: &Published) -> Condition {
        if self.setting.draining.is_requested() {
            Condition::Draining
        } else if Instant::now() > published.good_until {
            Condition::Stale
        } else {
            Condition::Fresh
        }
    }
}

impl Published {
    fn new(snapshot: Snapshot, setting: &Setting, good_until: Instant) -> Self {
        let answers = Answers::render(&snapshot, &setting.who, &setting.groups);
        Self { snapshot: Arc::new(snapshot), answers, good_until }
    }
}
