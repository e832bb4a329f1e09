use bluegreen_core::{ByColor, Color, Release, Share};
use serde::{Deserialize, Serialize};

use crate::{Tally, Verdict, Window};

/// What a shift decided, and by which figures: for people, for audits, and to judge again.
///
/// Its windows are whole periods of the metrics and never overlap: a step's window begins with the
/// first whole period after the share was in force, and each look at it reaches further.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DecisionRecord {
    /// The color that work was to move to.
    pub to: Color,
    /// The release there; nothing for a rollback that was only asked for.
    pub release: Option<Release>,
    /// The steps in order. One that begins again, after a freeze or a drift, is there twice.
    pub steps: Vec<StepRecord>,
}

/// One step of a [`DecisionRecord`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepRecord {
    /// What the candidate had.
    pub share: Share,
    /// The looks in order. Each is of everything since the step began.
    pub looks: Vec<Look>,
}

/// One look at the figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Look {
    /// When it was made, in milliseconds since 1970.
    pub at_ms: u64,
    /// What it was of: from the step's beginning to the last whole period.
    pub window: Window,
    /// What was seen of each color in that window.
    pub seen: ByColor<Tally>,
    /// What that meant.
    pub verdict: Verdict,
}

impl DecisionRecord {
    pub(crate) const fn new(to: Color, release: Option<Release>) -> Self {
        Self { to, release, steps: Vec::new() }
    }

    pub(crate) fn begin_step(&mut self, share: Share) {
        self.steps.push(StepRecord { share, looks: Vec::new() });
    }

    pub(crate) fn look(&mut self, look: Look) {
        if let Some(step) = self.steps.last_mut() {
            step.looks.push(look);
        }
    }

    /// The window of a step and what was seen of each color in it, by its last look.
    #[must_use]
    pub fn figures(&self, step: usize) -> Option<(Window, ByColor<Tally>)> {
        self.steps.get(step)?.figures()
    }

    /// What was seen of each color in all steps together.
    #[must_use]
    pub fn total(&self) -> ByColor<Tally> {
        let seen = self.steps.iter().filter_map(StepRecord::figures);
        seen.fold(ByColor::default(), |sum: ByColor<Tally>, (_, seen)| {
            ByColor::from_fn(|color| sum.get(color).plus(*seen.get(color)))
        })
    }

    /// The verdict that was reached last.
    #[must_use]
    pub fn last_verdict(&self) -> Option<&Verdict> {
        self.steps.iter().rev().find_map(|step| step.looks.last()).map(|look| &look.verdict)
    }

    /// The record as JSON text.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "all keys are strings, so writing cannot fail")]
    #[expect(clippy::expect_used, reason = "as above")]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a record of plain fields is always writable")
    }
}

impl StepRecord {
    /// The window of the step and what was seen of each color in it, by its last look.
    #[must_use]
    pub fn figures(&self) -> Option<(Window, ByColor<Tally>)> {
        self.looks.last().map(|look| (look.window, look.seen))
    }
}
