mod builder;
pub(crate) mod label;
mod loss;
mod step;

use std::sync::Arc;

use bluegreen_core::{ContractVersion, Reads};

pub use builder::{SchemaBuilder, SchemaError};
pub use step::{Step, StepError, typed};

use crate::{Attributes, ItemError};
use step::Down;

/// What a release reads and writes of one kind of item: its schema version, and the steps from
/// earlier ones.
///
/// A higher minor version only adds: it needs no step, and the type's serde defaults fill in what
/// an older item lacks. A higher major version is another language, with a [`Step`] from the one
/// before.
///
/// ```
/// # use bluegreen_core::ContractVersion;
/// # use bluegreen_items::{Schema, Step, typed};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct OrderV1 { name: String }
/// #[derive(Serialize, Deserialize)]
/// struct OrderV2 { first: String, last: String }
///
/// let up = |old: OrderV1| match old.name.split_once(' ') {
///     Some((first, last)) => OrderV2 { first: first.to_owned(), last: last.to_owned() },
///     None => OrderV2 { first: String::new(), last: old.name },
/// };
/// let down = |new: OrderV2| OrderV1 { name: format!("{} {}", new.first, new.last) };
/// let example = OrderV2 { first: "Ada".to_owned(), last: "Lovelace".to_owned() };
/// let orders = Schema::builder("Order", ContractVersion::new(2, 0))
///     .step(Step::new(1, 2, typed(up)).down(typed(down)).example(&example))
///     .build()?;
/// assert!(orders.reads().reads("items/Order", ContractVersion::new(1, 0)));
/// # Ok::<(), bluegreen_items::SchemaError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Schema {
    contract: Arc<str>,
    version: ContractVersion,
    /// From the oldest to the present version, without a gap.
    steps: Arc<[Step]>,
    /// The major version of items that do not say theirs.
    unlabeled: u16,
}

impl Schema {
    /// The schema of a kind of item that has no earlier major version. The name is what members
    /// announce it by: two kinds in one table have two.
    #[must_use]
    pub fn new(name: &str, version: ContractVersion) -> Self {
        let (contract, steps) = (contract(name), Arc::default());
        Self { contract, version, steps, unlabeled: version.major() }
    }

    /// A schema yet to be described.
    pub fn builder(name: &str, version: ContractVersion) -> SchemaBuilder {
        SchemaBuilder::new(name, version)
    }

    /// The name among the contracts that members announce: `items/` and the name given.
    #[must_use]
    pub fn contract(&self) -> &str {
        &self.contract
    }

    pub(crate) fn is_named(&self) -> bool {
        self.contract.len() > PREFIX.len()
    }

    /// The version that this release knows, and writes where it may.
    #[must_use]
    pub const fn version(&self) -> ContractVersion {
        self.version
    }

    /// The oldest major version that this release can still read.
    #[must_use]
    pub fn oldest(&self) -> ContractVersion {
        self.steps.first().map_or(self.version, |step| ContractVersion::new(step.from(), 0))
    }

    /// What this release understands of the contract, for the member record of the process:
    /// `FollowConfig::with_reads` takes it.
    #[must_use]
    pub fn reads(&self) -> Reads {
        self.announced_in(Reads::default())
    }

    /// The same beside what else the process reads.
    #[must_use]
    pub fn announced_in(&self, reads: Reads) -> Reads {
        let earlier = self.steps.iter().map(|step| ContractVersion::new(step.from(), 0));
        earlier.chain([self.version]).fold(reads, |reads, v| reads.with(&*self.contract, v))
    }

    /// The versions that can be written, the present one first, then each that a step leads down
    /// to.
    pub(crate) fn writable(&self) -> impl Iterator<Item = ContractVersion> {
        let with_down =
            |step: &&Step| matches!(step.way_down(), Down::Lossless(_) | Down::Lossy(_));
        let lower = self.steps.iter().rev().take_while(with_down);
        [self.version].into_iter().chain(lower.map(|step| ContractVersion::new(step.from(), 0)))
    }

    /// The version of an item with this label.
    pub(crate) fn version_of(&self, label: Option<ContractVersion>) -> ContractVersion {
        label.unwrap_or_else(|| match self.unlabeled {
            present if present == self.version.major() => self.version,
            earlier => ContractVersion::new(earlier, 0),
        })
    }

    /// Takes an item of an earlier version up to the present one.
    pub(crate) fn lift(&self, item: &mut Attributes, from: u16) -> Result<(), ItemError> {
        if from < self.oldest().major() {
            let found = ContractVersion::new(from, 0);
            return Err(ItemError::OlderSchema { found, oldest: self.oldest() });
        }
        let to = self.version.major();
        if from < to && self.steps.iter().all(|step| step.from() != from) {
            return Err(ItemError::Step { from, to, source: "no step begins there".into() });
        }
        self.steps.iter().filter(|step| step.from() >= from).try_for_each(|step| step.up(item))
    }

    /// What of an item of the present version is not in what it was taken `down` to; nothing where
    /// going up again brings back all of it, or cannot be done.
    pub(crate) fn lost(&self, item: &Attributes, down: &Attributes, to: u16) -> Option<String> {
        let mut again = down.clone();
        self.lift(&mut again, to).ok()?;
        loss::of(item, &again)
    }

    /// Takes an item of the present version down to an earlier one.
    pub(crate) fn lower(&self, item: &mut Attributes, to: u16) -> Result<(), ItemError> {
        let mut steps = self.steps.iter().rev().take_while(|step| step.from() >= to);
        steps.try_for_each(|step| step.take_down(item))
    }
}

/// Keeps the names of items apart from those of messages, which members announce too.
const PREFIX: &str = "items/";

fn contract(name: &str) -> Arc<str> {
    Arc::from(format!("{PREFIX}{name}"))
}

#[cfg(test)]
mod tests;
