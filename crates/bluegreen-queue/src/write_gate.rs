mod builder;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use bluegreen_core::{Audience, ContractVersion, Deployment, Members, Roster};
use serde_json::Value;

pub use builder::{StepDownError, WriteGateBuilder, WriteGateError};

use crate::{HandlerError, Message};

/// Makes an older version of a message: takes and answers JSON text.
type Convert = Arc<dyn Fn(&str) -> Result<String, HandlerError> + Send + Sync>;

/// Which version of a message is written: the newest one that everybody who may receive it reads.
///
/// Who that is say the members: all living processes, and the colors that may be asked back
/// although none of their processes lives. Where one of them does not announce a version, the
/// producer steps down to the version before it, at last to the oldest declared. The question is
/// put for each message, so that a deployment that begins, a rollback and a process that joins
/// count from the moment they are known; while nobody knows who lives, the oldest is written.
///
/// Each process says what it reads by `FollowConfig::with_reads(dispatch.reads())`, one that only
/// sends as well: whoever announces nothing counts as an old reader.
///
/// ```
/// # use bluegreen_core::{ContractVersion, Members, Roster};
/// use bluegreen_queue::{Message, ProducerConfig, WriteGate};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct OrderV1 { cents: u64 }
/// # #[derive(serde::Serialize, serde::Deserialize)] struct OrderV2 { cents: u64, currency: String }
/// # impl Message for OrderV1 {
/// #     const TYPE: &str = "OrderPlaced"; const VERSION: ContractVersion = ContractVersion::new(1, 0);
/// # }
/// # impl Message for OrderV2 {
/// #     const TYPE: &str = "OrderPlaced"; const VERSION: ContractVersion = ContractVersion::new(2, 0);
/// # }
/// # fn example(roster: Roster) -> Result<(), Box<dyn std::error::Error>> {
/// let sample = OrderV2 { cents: 7, currency: "EUR".to_owned() };
/// let gate = WriteGate::builder(roster)
///     .newest::<OrderV2>()
///     // What version 1 has no room for is named, so that nothing is given up by mistake.
///     .step_down(&sample, &["currency"], |new: OrderV2| match &*new.currency {
///         "EUR" => Ok(OrderV1 { cents: new.cents }),
///         other => Err(format!("version 1 knows no {other}").into()),
///     })
///     .build()?;
/// let config = ProducerConfig::default().with_write_gate(gate);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct WriteGate {
    roster: Roster,
    ladders: Arc<HashMap<&'static str, Ladder>>,
}

/// The versions of a type, the newest first.
struct Ladder(Vec<Rung>);

/// A version, and the step to the next rung.
struct Rung {
    version: ContractVersion,
    down: Option<Down>,
}

/// How an older version is made.
#[derive(Clone)]
struct Down {
    to: ContractVersion,
    gone: &'static [&'static str],
    convert: Convert,
}

/// A message as it is to be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) version: ContractVersion,
    pub(crate) payload: String,
}

impl WriteGate {
    /// A gate yet to be described, that asks this roster who lives.
    pub fn builder(roster: Roster) -> WriteGateBuilder {
        WriteGateBuilder::new(roster)
    }

    /// The version in which a message of type `kind` is written now.
    #[must_use]
    pub fn version(&self, kind: &str, deployment: Option<&Deployment>) -> Option<ContractVersion> {
        let members = self.roster.members();
        let audience = deployment.zip(members.as_deref()).map(audience);
        self.ladders.get(kind)?.choose(kind, audience.as_ref()).map(|rung| rung.version)
    }

    /// The message in the version in which it is written now.
    pub(crate) fn write<M: Message>(
        &self,
        message: &M,
        deployment: Option<&Deployment>,
    ) -> Result<Written, StepDownError> {
        let ladder = self.ladders.get(M::TYPE);
        let from = ladder.and_then(|ladder| ladder.from(M::VERSION));
        let (Some(ladder), Some(rungs)) = (ladder, from) else {
            return Err(StepDownError::undeclared::<M>());
        };
        let members = self.roster.members();
        let audience = deployment.zip(members.as_deref()).map(audience);
        let target = ladder.choose(M::TYPE, audience.as_ref());
        let mut written = Written {
            version: M::VERSION,
            payload: serde_json::to_string(message)
                .map_err(|error| StepDownError::failed::<M>(M::VERSION, error.into()))?,
        };
        for rung in rungs {
            if target.is_none_or(|target| target.version.major() >= written.version.major()) {
                break;
            }
            let Some(down) = &rung.down else { break };
            let failed = |source| StepDownError::failed::<M>(down.to, source);
            let payload = (down.convert)(&written.payload).map_err(failed)?;
            if let Some(field) = lost(&written.payload, &payload, down.gone) {
                let lost =
                    format!("the field {field:?} would be lost, and is not named as given up");
                return Err(failed(lost.into()));
            }
            written = Written { version: down.to, payload };
        }
        Ok(written)
    }
}

fn audience<'a>((deployment, members): (&Deployment, &'a Members)) -> Audience<'a> {
    Audience::of(deployment, members)
}

impl Ladder {
    /// The newest rung that the whole audience reads, or the last one.
    fn choose(&self, kind: &str, audience: Option<&Audience<'_>>) -> Option<&Rung> {
        let audience = audience.filter(|audience| audience.unknown().is_none());
        let read = |rung: &&Rung| {
            audience.is_some_and(|audience| audience.lacks(kind, rung.version).is_none())
        };
        self.0.iter().find(read).or(self.0.last())
    }

    /// The rungs from that version downwards.
    fn from(&self, version: ContractVersion) -> Option<&[Rung]> {
        let place = self.0.iter().position(|rung| rung.version.reads(version))?;
        self.0.get(place..)
    }
}

impl fmt::Debug for WriteGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions = |ladder: &Ladder| -> Vec<_> {
            ladder.0.iter().map(|rung| rung.version.to_string()).collect()
        };
        f.debug_map()
            .entries(self.ladders.iter().map(|(kind, ladder)| (kind, versions(ladder))))
            .finish()
    }
}

/// A field of the newer payload, by its path, that the older one lacks without saying so.
fn lost(newer: &str, older: &str, gone: &[&str]) -> Option<String> {
    let is_gone = |path: &str| {
        let within =
            |gone: &&str| path.strip_prefix(gone).is_some_and(|rest| rest.starts_with('.'));
        gone.iter().any(|gone| path == *gone || within(gone))
    };
    let (newer, older) = (paths(newer), paths(older));
    newer.into_iter().find(|path| !older.contains(path) && !is_gone(path))
}

/// All fields of a payload at any depth, as `lines.discount`: the elements of an array are one.
fn paths(payload: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    if let Ok(value) = serde_json::from_str(payload) {
        walk(&value, "", &mut paths);
    }
    paths
}

fn walk(value: &Value, at: &str, paths: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let path = if at.is_empty() { field.clone() } else { format!("{at}.{field}") };
                walk(value, &path, paths);
                paths.insert(path);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| walk(element, at, paths)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests;
