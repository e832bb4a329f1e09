use std::fmt;

/// The levels in which a process ends, first to last. Each has its own stop, its own budget and
/// its own drivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Says at once that no more work is wanted here, while the listener stays open for the drain
    /// delay: load balancers need time to see it.
    Readiness,
    /// What lets work in: listeners, accept loops, schedulers.
    Listener,
    /// Requests under way are answered; streams and websockets end.
    Requests,
    /// Messages under way are handled. Consumers are asked to stop receiving at the signal
    /// already; this is when they must be done.
    Consumers,
    /// What sends for the work above, and hooks: producers, outboxes, audit logs. They end one
    /// after the other, in the order in which they were declared.
    Producers,
    /// What the work above stood on: followers, monitors, the refreshing of health.
    Support,
    /// The figures of all that, sent last.
    Metrics,
}

impl Level {
    /// All levels, first to last.
    pub const ALL: [Self; 7] = [
        Self::Readiness,
        Self::Listener,
        Self::Requests,
        Self::Consumers,
        Self::Producers,
        Self::Support,
        Self::Metrics,
    ];

    /// The level's name in logs and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Readiness => "readiness",
            Self::Listener => "listener",
            Self::Requests => "requests",
            Self::Consumers => "consumers",
            Self::Producers => "producers",
            Self::Support => "support",
            Self::Metrics => "metrics",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A value for each level.
#[derive(Debug)]
pub(crate) struct ByLevel<T>([T; 7]);

impl<T> ByLevel<T> {
    pub(crate) fn from_fn(make: impl FnMut(Level) -> T) -> Self {
        Self(Level::ALL.map(make))
    }

    pub(crate) const fn get(&self, level: Level) -> &T {
        let [readiness, listener, requests, consumers, producers, support, metrics] = &self.0;
        match level {
            Level::Readiness => readiness,
            Level::Listener => listener,
            Level::Requests => requests,
            Level::Consumers => consumers,
            Level::Producers => producers,
            Level::Support => support,
            Level::Metrics => metrics,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_finds_its_own_value() {
        let names = ByLevel::from_fn(Level::as_str);
        for level in Level::ALL {
            assert_eq!(*names.get(level), level.to_string());
        }
        assert!(Level::ALL.is_sorted());
    }
}
