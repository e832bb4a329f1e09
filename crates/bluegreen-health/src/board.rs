use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bluegreen_core::{Color, Stop};
use tokio::time::Instant;

use crate::answers::{Answers, Condition};
use crate::{HealthPaths, Snapshot, Status};

/// What the refresher writes and everybody reads.
#[derive(Debug)]
pub(crate) struct Board {
    published: ArcSwap<Published>,
    draining: Stop,
    pub(crate) paths: HealthPaths,
    color: Color,
    staleness: Duration,
}

/// One snapshot and the answers to it.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) answers: Answers,
    /// When the oldest result in it is too old.
    good_until: Instant,
}

impl Board {
    pub(crate) fn new(
        first: Snapshot,
        color: Color,
        draining: Stop,
        paths: HealthPaths,
        staleness: Duration,
    ) -> Self {
        let published = Published::new(first, color, Instant::now() + staleness);
        let published = ArcSwap::from_pointee(published);
        Self { published, draining, paths, color, staleness }
    }

    /// Puts up a snapshot whose oldest result is from that moment; answers the one before it.
    pub(crate) fn publish(&self, snapshot: Snapshot, oldest: Instant) -> Arc<Published> {
        let published = Published::new(snapshot, self.color, oldest + self.staleness);
        self.published.swap(Arc::new(published))
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.published.load().snapshot)
    }

    /// Looks at what is put up, and at what is only known now.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Published, Condition) -> T) -> T {
        let published = self.published.load();
        let condition = if self.draining.is_requested() {
            Condition::Draining
        } else if Instant::now() > published.good_until {
            Condition::Stale
        } else {
            Condition::Fresh
        };
        read(&published, condition)
    }

    pub(crate) fn status(&self) -> Status {
        self.read(|published, condition| match condition {
            Condition::Fresh => published.snapshot.status,
            Condition::Stale => Status::Unhealthy,
            Condition::Draining => Status::Draining,
        })
    }
}

impl Published {
    fn new(snapshot: Snapshot, color: Color, good_until: Instant) -> Self {
        let answers = Answers::render(&snapshot, color);
        Self { snapshot: Arc::new(snapshot), answers, good_until }
    }
}
