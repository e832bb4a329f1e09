use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bluegreen_core::{ByColor, Color, Observation, Reading};

use crate::window::{aligned_down, aligned_up};
use crate::{Step, Window};

/// One attempt at a step: what was seen of both colors, whole period by whole period, since the
/// share was in force. Pure.
#[derive(Debug)]
pub(crate) struct Attempt {
    start: SystemTime,
    end: SystemTime,
    over_at: SystemTime,
    period: Duration,
    seen: ByColor<BTreeMap<SystemTime, Reading>>,
}

impl Attempt {
    /// Begins with the first whole period from `now` on: the one that the share changed in has
    /// requests of both shares.
    pub(crate) fn starting(now: SystemTime, step: Step, period: Duration) -> Self {
        let start = aligned_up(now, period);
        let over_at = aligned_up(start + step.dwell, period);
        Self { start, end: start, over_at, period, seen: ByColor::default() }
    }

    /// What to ask for at `now`: from the first period that is not known of both colors, to the
    /// last one that ended `lag` ago; nothing while there is no whole one.
    pub(crate) fn ask(
        &mut self,
        now: SystemTime,
        lag: Duration,
    ) -> Option<(SystemTime, SystemTime)> {
        let end = aligned_down(now - lag, self.period).max(self.end);
        self.end = end;
        (end > self.start).then(|| (self.first_open().unwrap_or(end - self.period), end))
    }

    /// Takes in what was answered, of periods of the right length. What was seen before is replaced:
    /// figures grow for a while.
    pub(crate) fn take(&mut self, answered: ByColor<Vec<Observation>>) {
        let (start, end) = (self.start, self.end);
        answered.map(|color, observations| {
            for observation in observations {
                let is_ours = observation.length == self.period;
                if is_ours && (start..end).contains(&observation.start) {
                    self.seen.get_mut(color).insert(observation.start, observation.reading);
                }
            }
        });
    }

    /// All periods so far, oldest first; one that nothing was said about is late.
    pub(crate) fn observations(&self) -> ByColor<Vec<Observation>> {
        ByColor::from_fn(|color| {
            let reading = |start| self.reading(color, start);
            let observation = |start| Observation::new(color, start, self.period, reading(start));
            self.periods().map(observation).collect()
        })
    }

    pub(crate) fn window(&self) -> Window {
        Window::new(self.start, self.end)
    }

    /// Whether the whole dwell was seen.
    pub(crate) fn is_covered(&self) -> bool {
        self.end >= self.over_at
    }

    /// How long until the whole dwell can be seen.
    pub(crate) fn until_covered(&self, now: SystemTime, lag: Duration) -> Duration {
        (self.over_at + lag).duration_since(now).unwrap_or(Duration::ZERO)
    }

    fn first_open(&self) -> Option<SystemTime> {
        self.periods().find(|start| {
            Color::BOTH
                .into_iter()
                .any(|color| matches!(self.reading(color, *start), Reading::Late | Reading::Absent))
        })
    }

    fn reading(&self, color: Color, start: SystemTime) -> Reading {
        self.seen.get(color).get(&start).copied().unwrap_or(Reading::Late)
    }

    fn periods(&self) -> impl Iterator<Item = SystemTime> {
        let next = |start: &SystemTime| Some(*start + self.period);
        std::iter::successors(Some(self.start), next).take_while(|start| *start < self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bluegreen_core::{Figures, Share};
    use std::time::UNIX_EPOCH;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(ms)
    }

    fn attempt() -> Attempt {
        Attempt::starting(at(10_500), Step::new(Share::FULL, SECOND * 3), SECOND)
    }

    fn both(start: u64, reading: Reading) -> ByColor<Vec<Observation>> {
        ByColor::from_fn(|color| vec![Observation::new(color, at(start), SECOND, reading)])
    }

    #[test]
    fn only_whole_periods_after_the_change_are_asked_for_and_each_until_it_is_known() {
        let counted = Reading::Counted(Figures::new(1, 0, SECOND));
        let mut attempt = attempt();
        assert_eq!(attempt.ask(at(12_900), SECOND), None);
        assert_eq!(attempt.ask(at(13_000), SECOND), Some((at(11_000), at(12_000))));
        attempt.take(both(11_000, Reading::Late));
        assert_eq!(attempt.ask(at(14_000), SECOND), Some((at(11_000), at(13_000))));
        attempt.take(both(11_000, counted));
        assert_eq!(attempt.ask(at(14_500), SECOND), Some((at(12_000), at(13_000))));
        attempt.take(both(12_000, counted));
        assert!(!attempt.is_covered());
        assert_eq!(attempt.ask(at(15_000), SECOND), Some((at(13_000), at(14_000))));
        assert!(attempt.is_covered());
        let readings = attempt.observations().blue;
        let readings: Vec<_> = readings.iter().map(|seen| seen.reading).collect();
        assert_eq!(readings, [counted, counted, Reading::Late]);
    }

    #[test]
    fn what_was_not_asked_for_is_not_counted() {
        let mut attempt = attempt();
        attempt.ask(at(13_000), SECOND).unwrap();
        attempt.take(both(10_000, Reading::NoTraffic));
        attempt.take(both(12_000, Reading::NoTraffic));
        assert_eq!(attempt.observations().green.len(), 1);
        assert_eq!(attempt.observations().green[0].reading, Reading::Late);
    }

    #[test]
    fn a_period_of_another_length_is_not_taken_for_one_of_ours() {
        let mut attempt = attempt();
        attempt.ask(at(13_000), SECOND).unwrap();
        let minute = Observation::new(Color::Blue, at(11_000), SECOND * 60, Reading::NoTraffic);
        attempt.take(ByColor { blue: vec![minute], green: Vec::new() });
        assert_eq!(attempt.observations().blue[0].reading, Reading::Late);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_shrink_the_window() {
        let mut attempt = attempt();
        attempt.ask(at(14_000), SECOND).unwrap();
        assert_eq!(attempt.ask(at(12_500), SECOND), Some((at(11_000), at(13_000))));
        assert_eq!(attempt.window().end_ms, 13_000);
        assert_eq!(attempt.until_covered(at(14_000), SECOND), SECOND);
    }
}
