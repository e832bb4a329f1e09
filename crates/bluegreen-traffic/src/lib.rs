#![doc = include_str!("../README.md")]

#[cfg(feature = "alb")]
pub mod alb;
mod attempt;
mod config;
mod error;
mod event;
mod judge;
mod outcome;
mod plan;
mod record;
mod shift;
mod sources;
mod tally;
mod verdict;
mod window;

pub use config::{FreezeEnd, ShiftConfig};
pub use error::{ConfigError, ShiftError};
pub use event::{Event, Frost};
pub use judge::{Baseline, Thresholds, judge};
pub use outcome::{Cause, Outcome};
pub use plan::{Plan, Step};
pub use record::{DecisionRecord, Look, StepRecord};
pub use shift::Shift;
pub use sources::{CandidateHealth, Notify, Observe, SourceError, Sources, Weights};
pub use tally::Tally;
pub use verdict::{Breach, Evidence, Missing, Verdict};
pub use window::Window;
