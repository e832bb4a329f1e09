use std::sync::Arc;

use bluegreen_core::ContractVersion;

use super::step::Down;
use super::{Schema, Step, contract};
use crate::ItemError;

/// A [`Schema`] that is being described.
#[derive(Clone, Debug)]
#[must_use = "it does nothing before it is built"]
pub struct SchemaBuilder {
    name: String,
    version: ContractVersion,
    steps: Vec<Step>,
    unlabeled: Option<u16>,
}

impl SchemaBuilder {
    pub(super) fn new(name: &str, version: ContractVersion) -> Self {
        Self { name: name.to_owned(), version, steps: Vec::new(), unlabeled: None }
    }

    /// A step between two major versions; in any order.
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Items that do not say their schema version have this major one. Default: the oldest that
    /// can be read.
    pub const fn unlabeled(mut self, major: u16) -> Self {
        self.unlabeled = Some(major);
        self
    }

    /// The schema, once its steps are checked: they lead without gap or fork from the oldest
    /// version to the present one, each says how its way down is, and one that claims to lose
    /// nothing loses nothing of its examples.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn build(self) -> Result<Schema, SchemaError> {
        let Self { name, version, mut steps, unlabeled } = self;
        if name.is_empty() {
            return Err(SchemaError::Unnamed);
        }
        steps.sort_by_key(Step::from);
        check_chain(&steps, version.major())?;
        steps.iter().try_for_each(check_down)?;
        let oldest = steps.first().map_or(version.major(), Step::from);
        let unlabeled = unlabeled.unwrap_or(oldest);
        let is_known = unlabeled == version.major() || steps.iter().any(|s| s.from() == unlabeled);
        if !is_known {
            return Err(SchemaError::UnknownUnlabeled { major: unlabeled });
        }
        Ok(Schema { contract: contract(&name), version, steps: steps.into(), unlabeled })
    }
}

fn check_chain(steps: &[Step], present: u16) -> Result<(), SchemaError> {
    for (index, step) in steps.iter().enumerate() {
        let (from, to) = (step.from(), step.to());
        if from >= to {
            return Err(SchemaError::NotUpward { from, to });
        }
        let following = steps.get(index + 1).map(Step::from);
        if following == Some(from) {
            return Err(SchemaError::Fork { from });
        }
        let next = following.unwrap_or(present);
        if next != to {
            return Err(SchemaError::Gap { to, next });
        }
    }
    // Below a step without a way down nothing can be written, whatever is declared there.
    let mut below = steps.iter().rev().skip_while(|step| !matches!(step.way_down(), Down::None));
    let unreachable = |step: &&Step| matches!(step.way_down(), Down::Lossless(_) | Down::Lossy(_));
    match below.find(unreachable) {
        Some(step) => Err(SchemaError::Unreachable { from: step.to(), to: step.from() }),
        None => Ok(()),
    }
}

fn check_down(step: &Step) -> Result<(), SchemaError> {
    let (from, to) = (step.to(), step.from());
    match step.way_down() {
        Down::Unsaid => return Err(SchemaError::NoDown { from, to }),
        Down::Lossless(_) if step.examples().is_empty() => {
            return Err(SchemaError::NoExample { from, to });
        }
        Down::None => return Ok(()),
        Down::Lossless(_) | Down::Lossy(_) => {}
    }
    for example in step.examples() {
        let failed = |source: Arc<ItemError>| SchemaError::Failed { from, to, source };
        let mut item = example.clone().map_err(failed)?;
        step.take_down(&mut item).map_err(|error| match error {
            ItemError::Lossy { path, .. } => SchemaError::Loses { from, to, path },
            error => failed(Arc::new(error)),
        })?;
    }
    Ok(())
}

/// The steps of a [`Schema`] do not fit together.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// It has no name.
    #[error("a schema has no name")]
    Unnamed,
    /// A step leads to its own or to an earlier version.
    #[error("the step from version {from} to {to} does not lead up")]
    NotUpward {
        /// Where it begins.
        from: u16,
        /// Where it leads.
        to: u16,
    },
    /// Two steps begin at one version.
    #[error("two steps begin at version {from}")]
    Fork {
        /// Where they begin.
        from: u16,
    },
    /// A step leads to a version at which none goes on, and which is not the present one.
    #[error("a step leads to version {to}, and the next is {next}")]
    Gap {
        /// Where the step leads.
        to: u16,
        /// Where the next one begins, or the present version.
        next: u16,
    },
    /// A step says nothing about its way down.
    #[error(
        "the step down from version {from} to {to} is missing: declare it, or that there is none"
    )]
    NoDown {
        /// Where it would begin.
        from: u16,
        /// Where it would lead.
        to: u16,
    },
    /// A step down lies below one that does not exist, and could never be taken.
    #[error("the step down from version {from} to {to} cannot be reached")]
    Unreachable {
        /// Where it begins.
        from: u16,
        /// Where it leads.
        to: u16,
    },
    /// A step down claims to lose nothing, and has no example to check that on.
    #[error(
        "the step down from version {from} to {to} has no example to check that it loses nothing"
    )]
    NoExample {
        /// Where it begins.
        from: u16,
        /// Where it leads.
        to: u16,
    },
    /// A step down claims to lose nothing, and loses this of an example.
    #[error(
        "the step down from version {from} to {to} loses {path:?} of an example without saying so"
    )]
    Loses {
        /// Where it begins.
        from: u16,
        /// Where it leads.
        to: u16,
        /// What is lost.
        path: String,
    },
    /// A step cannot convert an example.
    #[error("an example of the step between version {from} and {to} cannot be converted")]
    Failed {
        /// The version of the example.
        from: u16,
        /// The version below.
        to: u16,
        /// What is wrong.
        source: Arc<ItemError>,
    },
    /// Items without a schema version are said to have one that cannot be read.
    #[error("items without a schema version are said to have {major}, which no step begins at")]
    UnknownUnlabeled {
        /// The version.
        major: u16,
    },
}
