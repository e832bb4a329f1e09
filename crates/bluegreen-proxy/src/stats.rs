use std::sync::atomic::{AtomicU64, Ordering};

use bluegreen_core::{ByColor, Color};

use crate::answer::Failure;

/// What a proxy has done since it was made. All counts only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The requests that went to each color.
    pub colors: ByColor<ColorStats>,
    /// Requests refused for what they are: 400, 501.
    pub refused: u64,
    /// Requests answered with 503 as no deployment was known.
    pub unrouted: u64,
}

/// What became of the requests of one color.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ColorStats {
    /// Requests that this color was chosen for: those below included.
    pub requests: u64,
    /// Those without a target that could be tried: 503.
    pub no_target: u64,
    /// Those that no target took: 502, and none has seen them.
    pub unreachable: u64,
    /// Those whose target broke off before the head of its response: 502.
    pub broken: u64,
    /// Those whose target did not answer in time: 504.
    pub timed_out: u64,
    /// Those whose own body broke: 400.
    pub bad_body: u64,
    /// Tries that failed before anything was sent, each followed by another try or by `unreachable`.
    pub not_sent: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    colors: ByColor<ColorCounts>,
    refused: AtomicU64,
    unrouted: AtomicU64,
}

#[derive(Debug, Default)]
struct ColorCounts {
    requests: AtomicU64,
    no_target: AtomicU64,
    unreachable: AtomicU64,
    broken: AtomicU64,
    timed_out: AtomicU64,
    bad_body: AtomicU64,
    not_sent: AtomicU64,
}

impl Counts {
    pub(crate) fn request(&self, color: Color) {
        add(&self.colors.get(color).requests);
    }

    pub(crate) fn not_sent(&self, color: Color) {
        add(&self.colors.get(color).not_sent);
    }

    pub(crate) fn refused(&self) {
        add(&self.refused);
    }

    pub(crate) fn unrouted(&self) {
        add(&self.unrouted);
    }

    pub(crate) fn failed(&self, color: Color, failure: Failure) {
        let counts = self.colors.get(color);
        add(match failure {
            Failure::NoTarget => &counts.no_target,
            Failure::Unreachable => &counts.unreachable,
            Failure::Broken => &counts.broken,
            Failure::TimedOut => &counts.timed_out,
            Failure::BadBody => &counts.bad_body,
        });
    }

    pub(crate) fn read(&self) -> Stats {
        Stats {
            colors: ByColor::from_fn(|color| self.colors.get(color).read()),
            refused: get(&self.refused),
            unrouted: get(&self.unrouted),
        }
    }
}

impl ColorCounts {
    fn read(&self) -> ColorStats {
        ColorStats {
            requests: get(&self.requests),
            no_target: get(&self.no_target),
            unreachable: get(&self.unreachable),
            broken: get(&self.broken),
            timed_out: get(&self.timed_out),
            bad_body: get(&self.bad_body),
            not_sent: get(&self.not_sent),
        }
    }
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}
