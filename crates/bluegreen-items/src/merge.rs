//! The difference between two views of a value, laid over the stored item. Pure.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::Attributes;

/// Where an attribute stands: the names of the maps on the way, and its own.
pub(crate) type Path = Vec<String>;

/// What is to be done to a map: entries to set and entries to remove. Any other entry stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Patch {
    pub(crate) changed: Attributes,
    pub(crate) removed: BTreeSet<String>,
}

impl Patch {
    pub(crate) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }

    /// The entries of the map that the patch leaves alone.
    pub(crate) fn untouched<'a>(
        &'a self,
        map: &'a Attributes,
    ) -> impl Iterator<Item = (&'a String, &'a AttributeValue)> + Clone {
        map.iter()
            .filter(|(name, _)| !self.changed.contains_key(*name) && !self.removed.contains(*name))
    }

    /// The map as the patch leaves it.
    pub(crate) fn applied_to(self, mut map: Attributes) -> Attributes {
        for name in &self.removed {
            map.remove(name);
        }
        map.extend(self.changed);
        map
    }

    /// A copy of the map as the patch leaves it.
    fn laid_over(self, map: &Attributes) -> Attributes {
        let mut left = Attributes::with_capacity(map.len() + self.changed.len());
        left.extend(self.untouched(map).map(|(name, value)| (name.clone(), value.clone())));
        left.extend(self.changed);
        left
    }

    /// Removes the attribute at `path` as well. Only top-level attributes and those beside changed
    /// ones can be reached.
    pub(crate) fn remove(&mut self, path: &[String]) {
        if let [name] = path {
            self.changed.remove(name);
            self.removed.insert(name.clone());
        } else if let Some((name, parent)) = path.split_last()
            && let Some(map) = map_at_mut(&mut self.changed, parent)
        {
            map.remove(name);
        }
    }
}

/// A patch, and what is doubtful about it.
#[derive(Debug)]
pub(crate) struct Overlay {
    pub(crate) patch: Patch,
    /// Maps that the value no longer has, kept because they hold what it never knew.
    pub(crate) residues: Vec<Path>,
}

/// Lays the difference between the views `before` and `after` over `stored`.
///
/// Maps are merged at every depth; lists, sets and scalars are replaced whole. A map that `after`
/// lacks loses what `before` had in it; what is left of it then is a *residue* and stays, unless
/// its path is in `whole`.
pub(crate) fn overlay(
    stored: &Attributes,
    before: &Attributes,
    after: &Attributes,
    whole: &BTreeSet<Path>,
) -> Overlay {
    let nothing = Attributes::new();
    let mut merge = Merge { whole, nothing: &nothing, path: Vec::new(), residues: Vec::new() };
    let patch = merge.patch(stored, before, after);
    Overlay { patch, residues: merge.residues }
}

struct Merge<'a> {
    whole: &'a BTreeSet<Path>,
    nothing: &'a Attributes,
    path: Vec<&'a str>,
    residues: Vec<Path>,
}

impl<'a> Merge<'a> {
    fn patch(
        &mut self,
        stored: &Attributes,
        before: &'a Attributes,
        after: &'a Attributes,
    ) -> Patch {
        let mut patch = Patch::default();
        for (name, new) in after {
            let old = before.get(name);
            if old == Some(new) {
                continue;
            }
            let value = self.at(name, |merge| merge.laid_over(stored.get(name), old, new));
            if stored.get(name) != Some(&value) {
                patch.changed.insert(name.clone(), value);
            }
        }
        for (name, old) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
            let Some(present) = stored.get(name) else { continue };
            match self.at(name, |merge| merge.residue(present, old)) {
                Some(rest) => drop(patch.changed.insert(name.clone(), rest)),
                None => drop(patch.removed.insert(name.clone())),
            }
        }
        patch
    }

    fn at<R>(&mut self, name: &'a str, inside: impl FnOnce(&mut Self) -> R) -> R {
        self.path.push(name);
        let result = inside(self);
        self.path.pop();
        result
    }

    fn laid_over(
        &mut self,
        stored: Option<&AttributeValue>,
        old: Option<&'a AttributeValue>,
        new: &'a AttributeValue,
    ) -> AttributeValue {
        let (Some(AttributeValue::M(stored)), AttributeValue::M(new)) = (stored, new) else {
            return new.clone();
        };
        let old = old.and_then(|old| old.as_m().ok()).unwrap_or(self.nothing);
        AttributeValue::M(self.patch(stored, old, new).laid_over(stored))
    }

    /// What the value never knew of a map that it no longer has.
    fn residue(
        &mut self,
        stored: &AttributeValue,
        old: &'a AttributeValue,
    ) -> Option<AttributeValue> {
        if !self.whole.is_empty() && self.whole.contains(&self.path()) {
            return None;
        }
        let (AttributeValue::M(stored), AttributeValue::M(old)) = (stored, old) else {
            return None;
        };
        let rest = self.patch(stored, old, self.nothing).laid_over(stored);
        if rest.is_empty() {
            return None;
        }
        self.residues.push(self.path());
        Some(AttributeValue::M(rest))
    }

    fn path(&self) -> Path {
        self.path.iter().map(|&name| name.to_owned()).collect()
    }
}

/// The part of `view` that is also in `stored`, at every depth of maps.
pub(crate) fn known_in(stored: &Attributes, view: &Attributes) -> Attributes {
    let both = view.iter().filter_map(|(name, value)| Some((name, value, stored.get(name)?)));
    both.map(|(name, value, stored)| match (value, stored) {
        (AttributeValue::M(value), AttributeValue::M(stored)) => {
            (name.clone(), AttributeValue::M(known_in(stored, value)))
        }
        _ => (name.clone(), value.clone()),
    })
    .collect()
}

/// The map at `path`, the map itself for an empty one.
pub(crate) fn map_at<'a>(map: &'a Attributes, path: &[String]) -> Option<&'a Attributes> {
    path.iter().try_fold(map, |map, name| map.get(name)?.as_m().ok())
}

/// The map at `path`, to be changed.
pub(crate) fn map_at_mut<'a>(
    map: &'a mut Attributes,
    path: &[String],
) -> Option<&'a mut Attributes> {
    path.iter().try_fold(map, |map, name| match map.get_mut(name)? {
        AttributeValue::M(map) => Some(map),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
