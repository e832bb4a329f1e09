use std::time::Duration;

use tokio::time::Instant;

use super::Depth;

/// For how long a queue has looked empty. Pure: time is an argument.
#[derive(Debug)]
pub(super) struct Quiet {
    settle: Duration,
    since: Option<Instant>,
}

impl Quiet {
    pub(super) const fn new(settle: Duration) -> Self {
        Self { settle, since: None }
    }

    /// Takes in counts that were asked for at that time; answers how long they have been zero
    /// once that is long enough.
    pub(super) fn observe(&mut self, depth: Depth, asked: Instant) -> Option<Duration> {
        if !depth.is_empty() {
            self.broken();
            return None;
        }
        let quiet = asked.saturating_duration_since(*self.since.get_or_insert(asked));
        (quiet >= self.settle).then_some(quiet)
    }

    /// Nobody knows how the queue looked: the time begins anew.
    pub(super) const fn broken(&mut self) {
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_message_and_any_failure_begins_the_time_anew() {
        let (start, empty) = (Instant::now(), Depth::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut quiet = Quiet::new(Duration::from_secs(75));
        assert_eq!(quiet.observe(empty, at(0)), None);
        assert_eq!(quiet.observe(empty, at(74)), None);
        for (seconds, depth) in [
            (75, Depth { visible: 1, ..empty }),
            (80, Depth { in_flight: 1, ..empty }),
            (85, Depth { delayed: 1, ..empty }),
        ] {
            assert_eq!(quiet.observe(depth, at(seconds)), None, "{depth:?}");
        }
        assert_eq!(quiet.observe(empty, at(90)), None);
        quiet.broken();
        assert_eq!(quiet.observe(empty, at(165)), None);
        assert_eq!(quiet.observe(empty, at(240)), Some(Duration::from_secs(75)));
    }
}
