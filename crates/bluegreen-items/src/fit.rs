//! Makes sure that a value can read back what it is about to write. Pure.
//!
//! Two things may stand in the way, and both are rare. A map that the value dropped may hold what
//! it never knew: where that is all that changed in its eyes (`skip_serializing_if`) the unknown
//! part stays, where it would make an `Option` come back or an enum have two variants it goes. And
//! a field that was read by an alias, its former name, is written by its new one: both at once
//! could not be read again, so the former goes.
//!
//! Neither can be told from the outside, so the value itself is asked: `view` is what it makes of a
//! map, and nothing where it cannot read it. A value that answers differently each time (by a
//! default that varies) is only asked whether it can read: a removal on the strength of a
//! difference that comes by itself would take what is somebody else's.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::Attributes;
use crate::alike::alike;
use crate::merge::{Patch, Path, known_in, map_at, map_at_mut, overlay};

/// Reads a map as the value does and answers its view of it.
pub(crate) type View<'a> = &'a dyn Fn(&Attributes) -> Option<Attributes>;

/// How much of the value a write carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What was changed.
    Difference,
    /// That, and what the stored item lacks: it is about to bear a higher schema version.
    Complete,
}

/// The difference between the views laid over the stored item so that the value can read it back;
/// nothing where it cannot.
pub(crate) fn fit(
    stored: &Attributes,
    before: &Attributes,
    after: &Attributes,
    extent: Extent,
    view: View<'_>,
) -> Option<Patch> {
    let known = match extent {
        Extent::Difference => None,
        Extent::Complete => Some(known_in(stored, before)),
    };
    let known = known.as_ref().unwrap_or(before);
    let first = overlay(stored, known, after, &BTreeSet::new());
    let mut inventions = Vec::new();
    invented(stored, before, &first.patch.changed, &mut Path::new(), &mut inventions);
    if first.residues.is_empty() && inventions.is_empty() {
        return Some(first.patch);
    }
    let is_steady = view(stored).is_some_and(|again| alike(&again, before));
    let read_back = |patch: &Patch| view(&patch.clone().applied_to(stored.clone()));
    let reads_back =
        |patch: &Patch| read_back(patch).is_some_and(|seen| !is_steady || alike(&seen, after));
    if reads_back(&first.patch) {
        return Some(first.patch);
    }
    let reads_as_before =
        |map: &Attributes| view(map).is_some_and(|seen| !is_steady || alike(&seen, before));
    let aliases = superseded(stored, before, &inventions, &reads_as_before);
    let patched = |whole: &BTreeSet<Path>| {
        let mut patch = overlay(stored, known, after, whole).patch;
        aliases.iter().for_each(|alias| patch.remove(alias));
        patch
    };
    let mut whole: BTreeSet<Path> = first.residues.iter().cloned().collect();
    for residue in &first.residues {
        whole.remove(residue);
        if !reads_back(&patched(&whole)) {
            whole.insert(residue.clone());
        }
    }
    let patch = patched(&whole);
    read_back(&patch).map(|_| patch)
}

/// What is written where the stored item has nothing although the value had something: it came
/// from a default, or from an alias. With the value it had.
fn invented(
    stored: &Attributes,
    before: &Attributes,
    written: &Attributes,
    path: &mut Path,
    found: &mut Vec<(Path, AttributeValue)>,
) {
    for (name, old) in before {
        let Some(new) = written.get(name) else { continue };
        match (stored.get(name), old, new) {
            (None, old, _) => {
                let path = path.iter().chain([name]).cloned().collect();
                found.push((path, old.clone()));
            }
            (Some(AttributeValue::M(stored)), AttributeValue::M(old), AttributeValue::M(new)) => {
                path.push(name.clone());
                invented(stored, old, new, path, found);
                path.pop();
            }
            _ => {}
        }
    }
}

/// The former names of what is written by a new one: the attribute whose place an invention takes
/// without any difference to the value.
fn superseded(
    stored: &Attributes,
    before: &Attributes,
    inventions: &[(Path, AttributeValue)],
    reads_as_before: &dyn Fn(&Attributes) -> bool,
) -> Vec<Path> {
    let alias_of = |(path, old): &(Path, AttributeValue)| {
        let (name, parent) = path.split_last()?;
        let mut with = stored.clone();
        map_at_mut(&mut with, parent)?.insert(name.clone(), old.clone());
        if reads_as_before(&with) {
            return None;
        }
        let known = map_at(before, parent)?;
        let mut candidates = map_at(stored, parent)?.keys().filter(|n| !known.contains_key(*n));
        let alias = candidates.find(|candidate| {
            let mut without = with.clone();
            map_at_mut(&mut without, parent).map(|map| map.remove(*candidate));
            reads_as_before(&without)
        })?;
        Some(parent.iter().chain([alias]).cloned().collect())
    };
    inventions.iter().filter_map(alias_of).collect()
}

#[cfg(test)]
mod tests;
