use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bluegreen_core::{ContractVersion, Roster};

use super::{Convert, Down, Ladder, Rung, WriteGate, lost};
use crate::{HandlerError, Message};

/// A [`WriteGate`] being described.
#[must_use = "nothing is gated before it is built"]
pub struct WriteGateBuilder {
    roster: Roster,
    newest: Vec<Contract>,
    steps: Vec<Step>,
}

type Contract = (&'static str, ContractVersion);

struct Step {
    from: Contract,
    to: Contract,
    down: Down,
    /// The payload of the sample and what became of it, or why nothing did.
    tried: Result<(String, String), String>,
}

impl WriteGateBuilder {
    pub(super) const fn new(roster: Roster) -> Self {
        Self { roster, newest: Vec::new(), steps: Vec::new() }
    }

    /// Declares a message that is sent, in its newest version. Each major above 1 needs a
    /// [step down](Self::step_down).
    pub fn newest<M: Message>(mut self) -> Self {
        self.newest.push((M::TYPE, M::VERSION));
        self
    }

    /// Declares how an older version of a message is made out of a newer one. Which fields of the
    /// payload the older one lacks must be said in `gone`, renamed ones included: `currency`, or
    /// `lines.discount` for one within the elements of `lines`, each with all that is in it. It is
    /// checked with the `sample`, which should have every field, when the gate is built, and for
    /// each message that is sent. Names are compared, not values.
    ///
    /// The step answers an error for what cannot be said in the older version: the message is not
    /// sent then.
    pub fn step_down<New: Message, Old: Message>(
        mut self,
        sample: &New,
        gone: &'static [&'static str],
        step: impl Fn(New) -> Result<Old, HandlerError> + Send + Sync + 'static,
    ) -> Self {
        let convert: Convert = Arc::new(move |payload| {
            Ok(serde_json::to_string(&step(serde_json::from_str(payload)?)?)?)
        });
        let down = Down { to: Old::VERSION, gone, convert: Arc::clone(&convert) };
        let tried = serde_json::to_string(sample).map_err(HandlerError::from);
        let tried = tried.and_then(|newer| convert(&newer).map(|older| (newer, older)));
        let tried = tried.map_err(|error| error.to_string());
        let (from, to) = ((New::TYPE, New::VERSION), (Old::TYPE, Old::VERSION));
        self.steps.push(Step { from, to, down, tried });
        self
    }

    /// The finished gate.
    ///
    /// # Errors
    /// When a step is missing, given twice, or leads to another type or a version that is not
    /// lower; when a step fails for its sample, or loses a field of it that is not named; when a
    /// step belongs to no type that is [declared](Self::newest).
    pub fn build(self) -> Result<WriteGate, WriteGateError> {
        for step in &self.steps {
            step.check()?;
        }
        let mut ladders: HashMap<_, Ladder> = HashMap::new();
        for (kind, newest) in self.newest {
            if ladders.insert(kind, ladder(kind, newest, &self.steps)?).is_some() {
                return Err(WriteGateError::Twice { kind, version: newest });
            }
        }
        for Step { from: (kind, version), .. } in &self.steps {
            let known = ladders.get(kind).is_some_and(|ladder| ladder.from(*version).is_some());
            if !known {
                return Err(WriteGateError::Unused { kind, version: *version });
            }
        }
        Ok(WriteGate { roster: self.roster, ladders: Arc::new(ladders) })
    }
}

impl Step {
    fn check(&self) -> Result<(), WriteGateError> {
        let ((kind, from), (other, to)) = (self.from, self.to);
        if kind != other || to.major() >= from.major() {
            return Err(WriteGateError::NotDown { from: name(self.from), to: name(self.to) });
        }
        let (newer, older) = self.tried.as_ref().map_err(|why| {
            let why = why.clone();
            WriteGateError::Fails { kind, from, to, why }
        })?;
        match lost(newer, older, self.down.gone) {
            Some(field) => Err(WriteGateError::Lossy { kind, from, to, field }),
            None => Ok(()),
        }
    }
}

fn name((kind, version): Contract) -> String {
    format!("{kind} {version}")
}

/// The versions of a type from the newest down, each with its one step.
fn ladder(
    kind: &'static str,
    newest: ContractVersion,
    steps: &[Step],
) -> Result<Ladder, WriteGateError> {
    let (mut rungs, mut version) = (Vec::new(), newest);
    loop {
        let from = |step: &&Step| step.from.0 == kind && step.from.1.major() == version.major();
        let mut here = steps.iter().filter(from);
        let step = here.next();
        if here.next().is_some() {
            return Err(WriteGateError::Twice { kind, version });
        }
        rungs.push(Rung { version, down: step.map(|step| step.down.clone()) });
        match step {
            Some(step) => version = step.to.1,
            None if version.major() > 1 => return Err(WriteGateError::Missing { kind, version }),
            None => return Ok(Ladder(rungs)),
        }
    }
}

impl fmt::Debug for WriteGateBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = self.steps.iter().map(|step| (name(step.from), name(step.to)));
        f.debug_struct("WriteGateBuilder")
            .field("newest", &self.newest.iter().map(|newest| name(*newest)).collect::<Vec<_>>())
            .field("steps", &steps.collect::<Vec<_>>())
            .finish()
    }
}

/// A [`WriteGate`] cannot be built as described.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteGateError {
    /// A version has no step to the one before.
    #[error("{kind} {version} has no step down, so nothing can be written for older readers")]
    Missing {
        /// The type.
        kind: &'static str,
        /// The version.
        version: ContractVersion,
    },
    /// A version has two steps, or a type two newest versions.
    #[error("{kind} {version} is declared twice")]
    Twice {
        /// The type.
        kind: &'static str,
        /// The version.
        version: ContractVersion,
    },
    /// A step belongs to no type that is sent.
    #[error("the step down from {kind} {version} is never taken: no newer {kind} is declared")]
    Unused {
        /// The type.
        kind: &'static str,
        /// The version.
        version: ContractVersion,
    },
    /// A step does not lead to an older version of the same type.
    #[error("{to} is no older version of {from}")]
    NotDown {
        /// Where the step begins.
        from: String,
        /// Where it leads.
        to: String,
    },
    /// A step fails for its sample.
    #[error("the step from {kind} {from} to {to} fails for its sample: {why}")]
    Fails {
        /// The type.
        kind: &'static str,
        /// Where the step begins.
        from: ContractVersion,
        /// Where it leads.
        to: ContractVersion,
        /// What the step says.
        why: String,
    },
    /// A step gives a field up without saying so.
    #[error("the step from {kind} {from} to {to} loses the field {field:?}, which is not named")]
    Lossy {
        /// The type.
        kind: &'static str,
        /// Where the step begins.
        from: ContractVersion,
        /// Where it leads.
        to: ContractVersion,
        /// The field.
        field: String,
    },
}

/// A message cannot be written in the version that its readers understand.
#[derive(Debug, thiserror::Error)]
#[error("the {kind} {version} cannot be written in the version that its readers understand")]
pub struct StepDownError {
    kind: &'static str,
    version: ContractVersion,
    to: Option<ContractVersion>,
    source: HandlerError,
}

impl StepDownError {
    pub(super) fn failed<M: Message>(to: ContractVersion, source: HandlerError) -> Self {
        Self { kind: M::TYPE, version: M::VERSION, to: Some(to), source }
    }

    pub(super) fn undeclared<M: Message>() -> Self {
        let source = "the write gate knows nothing of this type and version".into();
        Self { kind: M::TYPE, version: M::VERSION, to: None, source }
    }

    /// The version that its readers understand; nothing where the message was not declared.
    #[must_use]
    pub const fn to(&self) -> Option<ContractVersion> {
        self.to
    }
}
