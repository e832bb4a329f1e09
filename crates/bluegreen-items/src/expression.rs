//! Conditions and updates in DynamoDB's words. Pure.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::merge::Patch;
use crate::write::{Act, Lock};
use crate::{AttributeNames, Attributes};

/// The room for the condition of a lock.
const LONGEST_LOCK: usize =
    "attribute_exists(#pk)".len() + 2 * " AND attribute_not_exists(#v)".len();

/// The room for a part of an update.
const LONGEST_PART: usize = ", #s100 = :s100".len();

/// A condition, and an update where there is one, with the names and values they use.
///
/// All names go through placeholders: half of the words of a domain are reserved.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Expression {
    pub(crate) condition: String,
    pub(crate) update: String,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: Attributes,
}

impl Expression {
    /// The condition of an act.
    pub(crate) fn of(act: &Act, names: &AttributeNames) -> Self {
        match act {
            Act::Create => {
                let mut expression = Self::default();
                expression.name("#pk".to_owned(), &names.partition_key);
                expression.condition = "attribute_not_exists(#pk)".to_owned();
                expression
            }
            Act::Update(lock) => Self::locked(lock, names),
        }
    }

    /// The condition that the item is still the one that was read. Equality on both: a version
    /// that only must not be higher would let a stale writer overwrite an item created anew.
    pub(crate) fn locked(lock: &Lock, names: &AttributeNames) -> Self {
        let mut expression = Self::default();
        // An absent version equals another absent one also where there is no item at all.
        expression.name("#pk".to_owned(), &names.partition_key);
        expression.condition = String::with_capacity(LONGEST_LOCK);
        expression.condition.push_str("attribute_exists(#pk)");
        let version = lock.version.map(|version| AttributeValue::N(version.to_string()));
        expression.same(("#v", ":v"), &names.version, version);
        let incarnation = lock.incarnation.map(|mark| mark.to_attribute());
        expression.same(("#i", ":i"), &names.incarnation, incarnation);
        expression
    }

    /// The same with an update.
    pub(crate) fn with_update(mut self, patch: &Patch) -> Self {
        let parts = patch.changed.len() + patch.removed.len();
        self.names.reserve(parts);
        self.values.reserve(patch.changed.len());
        self.update.reserve(parts * LONGEST_PART);
        for (index, (name, value)) in patch.changed.iter().enumerate() {
            let (part, word) = (format!("#s{index}"), format!(":s{index}"));
            let before = if index == 0 { "SET " } else { ", " };
            self.update.extend([before, &part, " = ", &word]);
            self.name(part, name);
            self.values.insert(word, value.clone());
        }
        for (index, name) in patch.removed.iter().enumerate() {
            let part = format!("#r{index}");
            let before = if index == 0 { " REMOVE " } else { ", " };
            self.update.extend([before, &part]);
            self.name(part, name);
        }
        self
    }

    fn same(
        &mut self,
        (name, value): (&str, &str),
        attribute: &str,
        expected: Option<AttributeValue>,
    ) {
        self.name(name.to_owned(), attribute);
        match expected {
            Some(expected) => {
                self.condition.extend([" AND ", name, " = ", value]);
                self.values.insert(value.to_owned(), expected);
            }
            None => self.condition.extend([" AND attribute_not_exists(", name, ")"]),
        }
    }

    fn name(&mut self, placeholder: String, name: &str) {
        self.names.insert(placeholder, name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::Mark;

    #[test]
    fn a_lock_is_equality_and_absence_is_locked_on_too() {
        let names = AttributeNames::default();
        let condition = |version, incarnation| {
            Expression::locked(&Lock { version, incarnation }, &names).condition
        };
        assert_eq!(
            condition(Some(3), Some(Mark::new(1))),
            "attribute_exists(#pk) AND #v = :v AND #i = :i"
        );
        assert_eq!(
            condition(None, None),
            "attribute_exists(#pk) AND attribute_not_exists(#v) AND attribute_not_exists(#i)"
        );
    }

    #[test]
    fn an_update_names_every_attribute_by_a_placeholder() {
        let patch = Patch {
            changed: Attributes::from([("status".to_owned(), AttributeValue::Bool(true))]),
            removed: ["size".to_owned(), "a.b".to_owned()].into(),
        };
        let expression =
            Expression::of(&Act::Create, &AttributeNames::default()).with_update(&patch);
        assert_eq!(expression.update, "SET #s0 = :s0 REMOVE #r0, #r1");
        assert_eq!(expression.names["#s0"], "status");
        assert_eq!((&*expression.names["#r0"], &*expression.names["#r1"]), ("a.b", "size"));
        assert_eq!(expression.names.len(), 4);
        assert_eq!(expression.values.len(), 1);
    }
}
