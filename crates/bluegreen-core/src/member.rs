use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Color, Reads, Release, Revision, ServiceIdentity};

/// One process of a service, as it announces itself: who it is, what it reads, and the latest
/// revision it follows. It expires unless it is announced again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Member {
    /// A name that no other process of the service has at the same time.
    pub instance: String,
    /// The environment the process belongs to.
    pub color: Color,
    /// The release it runs.
    pub release: Release,
    /// What it understands.
    #[serde(default)]
    pub reads: Reads,
    /// The latest revision of the store that its [`Following`](crate::Following) answers with.
    /// Nothing while the store has confirmed none: what is only remembered or assumed may be of a
    /// store that was set up anew since. Work begun before may still run:
    /// [`InFlight`](crate::InFlight) tells of that.
    pub seen: Option<Revision>,
    /// Counts the announcements of this process, so that each differs from the one before.
    pub beat: u64,
    /// When this announcement was made, in milliseconds since 1970 by the process's clock.
    pub announced_ms: u64,
    /// How long it holds, in milliseconds.
    pub ttl_ms: u64,
    /// Fields that a newer version of this library has added.
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

impl Member {
    /// The first announcement of a process.
    #[must_use]
    pub fn new(identity: &ServiceIdentity, reads: Reads, ttl: Duration) -> Self {
        Self {
            instance: identity.instance.clone(),
            color: identity.color,
            release: identity.release.clone(),
            reads,
            seen: None,
            beat: 0,
            announced_ms: 0,
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
            unknown: Map::new(),
        }
    }

    /// The next announcement: what is seen now, and when.
    #[must_use]
    pub fn announced(mut self, seen: Option<Revision>, now: SystemTime) -> Self {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        self.seen = seen;
        self.beat = self.beat.saturating_add(1);
        self.announced_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// How long an announcement holds.
    #[must_use]
    pub const fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }

    /// The moment this announcement ends, by the process's own clock; at most the year 6429, so
    /// that sums with it stay within every system's time.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        UNIX_EPOCH
            + Duration::from_millis(self.announced_ms.saturating_add(self.ttl_ms).min(1 << 47))
    }

    /// Whether the process lives, as far as its announcement says.
    #[must_use]
    pub fn is_living(&self, now: SystemTime) -> bool {
        now < self.expires()
    }

    /// Whether the process follows `revision` or a later one.
    #[must_use]
    pub fn follows(&self, revision: Revision) -> bool {
        self.seen.is_some_and(|seen| seen >= revision)
    }
}
