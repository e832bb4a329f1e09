//! Upcasters: what makes a newer version of a message out of an older one.

use std::collections::BTreeMap;
use std::sync::Arc;

use bluegreen_core::ContractVersion;

use super::{DispatchError, Entry, Handler};
use crate::{HandlerError, Message};

/// Takes a payload as JSON text; answers that of the newer version, or why there is none.
pub(super) type Convert = Arc<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

/// A type and version of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contract {
    pub(super) kind: &'static str,
    pub(super) version: ContractVersion,
}

impl Contract {
    pub(super) const fn of<M: Message>() -> Self {
        Self { kind: M::TYPE, version: M::VERSION }
    }

    const fn key(self) -> (&'static str, u16) {
        (self.kind, self.version.major())
    }
}

/// What was registered for a type and major version.
#[derive(Clone)]
pub(super) enum Way {
    Handle(Handler),
    Raise(Contract, Convert),
}

/// The conversion by `raise`, between texts.
pub(super) fn convert<Old: Message, New: Message>(
    raise: impl Fn(Old) -> Result<New, HandlerError> + Send + Sync + 'static,
) -> Convert {
    Arc::new(move |payload| {
        let old = super::builder::payload::<Old>(payload)?;
        let new = raise(old).and_then(|new| Ok(serde_json::to_string(&new)?));
        new.map_err(|error| {
            let (kind, old, new) = (New::TYPE, Old::VERSION, New::VERSION);
            format!("the {} {old} cannot be made a {kind} {new}: {error}", Old::TYPE)
        })
    })
}

/// Follows each registered version to its handler. In order, so that of several faults the same
/// one is named each time.
pub(super) fn resolve(
    ways: Vec<(Contract, Way)>,
) -> Result<BTreeMap<(&'static str, u16), Entry>, DispatchError> {
    let mut known: BTreeMap<_, (Contract, Way)> = BTreeMap::new();
    for (contract, way) in ways {
        if let Some((first, _)) = known.get(&contract.key()) {
            let (kind, first, second) = (contract.kind, first.version, contract.version);
            return Err(DispatchError::Duplicate { kind, first, second });
        }
        known.insert(contract.key(), (contract, way));
    }
    let entries = known.values().map(|(from, _)| Ok((from.key(), follow(*from, &known)?)));
    entries.collect()
}

fn follow(
    from: Contract,
    known: &BTreeMap<(&'static str, u16), (Contract, Way)>,
) -> Result<Entry, DispatchError> {
    let (mut steps, mut at, mut last) = (Vec::new(), from, from);
    loop {
        match known.get(&at.key()) {
            Some((_, Way::Handle(handler))) => {
                return Ok(Entry { version: from.version, steps, handler: Arc::clone(handler) });
            }
            // More steps than there are versions: it came by one of them twice.
            Some((_, Way::Raise(..))) if steps.len() == known.len() => {
                return Err(DispatchError::Cycle { kind: from.kind, version: from.version });
            }
            Some((old, Way::Raise(to, convert))) => {
                steps.push(Arc::clone(convert));
                (last, at) = (*old, *to);
            }
            None => {
                let (kind, version) = (last.kind, last.version);
                let missing = format!("{} {}", at.kind, at.version);
                return Err(DispatchError::Gap { kind, version, missing });
            }
        }
    }
}
