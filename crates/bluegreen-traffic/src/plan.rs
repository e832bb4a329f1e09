use std::time::Duration;

use bluegreen_core::Share;

use crate::ConfigError;
use crate::config::YEAR;

/// The way of a shift: which shares the candidate gets, for how long, and how often it is looked at.
///
/// Default: 10, 25, 50, 75 and 100 %, each for 5 minutes, looked at every 30 seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The steps, with growing shares, the last one 100 %.
    pub steps: Vec<Step>,
    /// The time between two looks. Default: 30 s.
    pub interval: Duration,
}

/// One step of a [`Plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// What the candidate gets.
    pub share: Share,
    /// For how long it must be healthy with that share before the next step. At most a year.
    pub dwell: Duration,
}

impl Step {
    /// A step.
    #[must_use]
    pub const fn new(share: Share, dwell: Duration) -> Self {
        Self { share, dwell }
    }
}

impl Default for Plan {
    fn default() -> Self {
        let percents = [10, 25, 50, 75, 100];
        let shares = percents.into_iter().filter_map(|percent| Share::percent(percent).ok());
        let dwell = Duration::from_secs(300);
        let steps = shares.map(|share| Step { share, dwell }).collect();
        Self { steps, interval: Duration::from_secs(30) }
    }
}

impl Plan {
    /// The same with other steps.
    #[must_use]
    pub fn with_steps(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.steps = steps.into_iter().collect();
        self
    }

    /// The same with another dwell in every step.
    #[must_use]
    pub fn with_dwell(mut self, dwell: Duration) -> Self {
        self.steps.iter_mut().for_each(|step| step.dwell = dwell);
        self
    }

    /// The same with another [`interval`](Self::interval).
    #[must_use]
    pub const fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Everything at once: one step to 100 %.
    #[must_use]
    pub fn at_once(dwell: Duration) -> Self {
        Self::default().with_steps([Step { share: Share::FULL, dwell }])
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let refuse = |field, found: String, bound| Err(ConfigError { field, found, bound });
        if self.interval.is_zero() {
            return refuse("interval", "0 s".to_owned(), "above zero");
        }
        let mut before = Share::ZERO;
        for step in &self.steps {
            if step.share <= before {
                return refuse("steps", format!("{} after {before}", step.share), "growing");
            }
            if step.dwell < self.interval {
                return refuse("dwell", format!("{:?}", step.dwell), "at least one interval");
            }
            if step.dwell > YEAR {
                return refuse("dwell", format!("{:?}", step.dwell), "at most a year");
            }
            before = step.share;
        }
        if before.is_full() {
            Ok(())
        } else {
            refuse("steps", format!("{before} at last"), "100 % at last")
        }
    }

    /// The steps that are left for a candidate that has `share`. The one that it is in comes again,
    /// as nobody knows what was seen of it.
    pub(crate) fn steps_from(&self, share: Share) -> Vec<Step> {
        self.steps.iter().copied().filter(|step| step.share >= share).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(percent: u8) -> Share {
        Share::percent(percent).unwrap()
    }

    #[test]
    fn a_plan_that_goes_nowhere_is_refused_by_field() {
        let minute = Duration::from_secs(60);
        let plan = |shares: &[u8]| {
            Plan::default().with_steps(shares.iter().map(|p| Step::new(percent(*p), minute)))
        };
        assert_eq!(Plan::default().check(), Ok(()));
        assert_eq!(Plan::at_once(minute).check(), Ok(()));
        for (plan, message) in [
            (plan(&[]), "steps is 0 % at last: it must be 100 % at last"),
            (plan(&[10, 50]), "steps is 50 % at last: it must be 100 % at last"),
            (plan(&[0, 100]), "steps is 0 % after 0 %: it must be growing"),
            (plan(&[50, 50, 100]), "steps is 50 % after 50 %: it must be growing"),
            (plan(&[100]).with_interval(Duration::ZERO), "interval is 0 s: it must be above zero"),
            (
                plan(&[100]).with_dwell(Duration::from_secs(3)),
                "dwell is 3s: it must be at least one interval",
            ),
            (
                Plan::at_once(minute * 60 * 24 * 366),
                "dwell is 31622400s: it must be at most a year",
            ),
        ] {
            assert_eq!(plan.check().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_shift_goes_on_with_the_step_it_was_in() {
        let left = |p| Plan::default().steps_from(percent(p)).first().unwrap().share;
        for (share, next) in [(0, 10), (10, 10), (11, 25), (75, 75), (100, 100)] {
            assert_eq!(left(share), percent(next));
        }
    }
}
