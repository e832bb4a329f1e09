mod expression;
mod path;

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use crate::transaction::Kind;
use crate::view::{is_absence, plain};
use crate::{AttributeNames, ItemError, storable};
use path::Element;

/// A change of parts of an item by DynamoDB itself, without reading it first.
///
/// Paths are written `Data.lines[2].price`, in the words of the present schema version; a name
/// that itself holds a dot or a bracket cannot be named. What does not fit shows when it is sent.
///
/// ```
/// # use bluegreen_items::{ItemError, Key, Table, Update};
/// # async fn example(stocks: Table, key: Key) -> Result<(), ItemError> {
/// let take = Update::new().add("left", -1).if_at_least("left", 1).set("taken_by", &"Ada");
/// match stocks.update(&key, take).await {
///     Err(ItemError::ConditionFailed { current }) => {
///         println!("sold out: {:?}", current.attributes().get("left"));
///     }
///     other => other?,
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "it changes nothing before it is sent"]
pub struct Update {
    acts: Vec<(String, Act)>,
    conditions: Vec<(String, Condition)>,
    version: Option<u64>,
    /// What is wrong with it: where, and why.
    wrong: Option<(String, String)>,
}

#[derive(Clone, Debug)]
enum Act {
    Set(AttributeValue),
    SetIfAbsent(AttributeValue),
    Append(AttributeValue),
    Add(AttributeValue),
    Remove,
    AddToSet(AttributeValue),
    RemoveFromSet(AttributeValue),
}

#[derive(Clone, Debug)]
enum Condition {
    Present,
    Absent,
    Equal(AttributeValue),
    AtLeast(AttributeValue),
    Below(AttributeValue),
}

impl Update {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an attribute. The maps on the way to it must be there. `None`, unit and an empty set
    /// remove it, as in a save.
    pub fn set(self, path: &str, value: &impl Serialize) -> Self {
        self.act(path, value, |value| {
            Some(if is_absence(&value) { Act::Remove } else { Act::Set(value) })
        })
    }

    /// Sets an attribute that is not there; `None`, unit and an empty set change nothing.
    pub fn set_if_absent(self, path: &str, value: &impl Serialize) -> Self {
        self.act(path, value, |value| (!is_absence(&value)).then_some(Act::SetIfAbsent(value)))
    }

    /// Adds to a number; one that is not there counts as 0.
    pub fn add(mut self, path: &str, number: i64) -> Self {
        self.acts.push((path.to_owned(), Act::Add(AttributeValue::N(number.to_string()))));
        self
    }

    /// Appends to a list; one that is not there counts as empty.
    pub fn append(self, path: &str, values: &[impl Serialize]) -> Self {
        self.act(path, &values, |values| Some(Act::Append(values)))
    }

    /// Removes an attribute, or an entry of a list. One that is not there is no error.
    pub fn remove(mut self, path: &str) -> Self {
        self.acts.push((path.to_owned(), Act::Remove));
        self
    }

    /// Puts texts into a set; one that is not there counts as empty. The set must be a top-level
    /// attribute: DynamoDB changes no others in part.
    pub fn add_to_set<S: Into<String>>(
        self,
        path: &str,
        texts: impl IntoIterator<Item = S>,
    ) -> Self {
        self.act_on_set(path, texts, Act::AddToSet)
    }

    /// Takes texts out of a set, a top-level attribute; the last one takes the set along.
    pub fn remove_from_set<S: Into<String>>(
        self,
        path: &str,
        texts: impl IntoIterator<Item = S>,
    ) -> Self {
        self.act_on_set(path, texts, Act::RemoveFromSet)
    }

    /// Only if the attribute is there.
    pub fn if_present(mut self, path: &str) -> Self {
        self.conditions.push((path.to_owned(), Condition::Present));
        self
    }

    /// Only if the attribute is not there.
    pub fn if_absent(mut self, path: &str) -> Self {
        self.conditions.push((path.to_owned(), Condition::Absent));
        self
    }

    /// Only if the attribute is this; for `None`, unit and an empty set, only if it is not there.
    pub fn if_equal(mut self, path: &str, value: &impl Serialize) -> Self {
        if let Some(value) = self.encoded(path, value) {
            let is_absent = is_absence(&value);
            let condition = if is_absent { Condition::Absent } else { Condition::Equal(value) };
            self.conditions.push((path.to_owned(), condition));
        }
        self
    }

    /// Only if the number is this or more.
    pub fn if_at_least(mut self, path: &str, number: i64) -> Self {
        let number = AttributeValue::N(number.to_string());
        self.conditions.push((path.to_owned(), Condition::AtLeast(number)));
        self
    }

    /// Only if the number is less than this.
    pub fn if_below(mut self, path: &str, number: i64) -> Self {
        let number = AttributeValue::N(number.to_string());
        self.conditions.push((path.to_owned(), Condition::Below(number)));
        self
    }

    /// Only if the item was written this often: another version is a
    /// [conflict](ItemError::Conflict).
    pub const fn if_version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    pub(crate) const fn kind(&self) -> Kind {
        Kind::Update { version: self.version, is_conditional: !self.conditions.is_empty() }
    }

    fn act(
        mut self,
        path: &str,
        value: &impl Serialize,
        act: impl FnOnce(AttributeValue) -> Option<Act>,
    ) -> Self {
        if let Some(act) = self.encoded(path, value).and_then(act) {
            self.acts.push((path.to_owned(), act));
        }
        self
    }

    fn act_on_set<S: Into<String>>(
        mut self,
        path: &str,
        texts: impl IntoIterator<Item = S>,
        act: impl FnOnce(AttributeValue) -> Act,
    ) -> Self {
        // DynamoDB refuses a set with a value twice.
        let texts: BTreeSet<String> = texts.into_iter().map(Into::into).collect();
        // DynamoDB refuses an empty set, and it would change nothing.
        if !texts.is_empty() {
            self.acts.push((path.to_owned(), act(AttributeValue::Ss(texts.into_iter().collect()))));
        }
        self
    }

    fn encoded(&mut self, path: &str, value: &impl Serialize) -> Option<AttributeValue> {
        match serde_dynamo::to_attribute_value(value) {
            Ok(mut value) => {
                plain(&mut value);
                Some(value)
            }
            Err(error) => {
                self.wrong.get_or_insert((path.to_owned(), error.to_string()));
                None
            }
        }
    }

    /// The paths it changes, read; the library's own attributes and the key are nobody's to change.
    fn checked(&self, names: &AttributeNames) -> Result<(), ItemError> {
        if let Some((path, error)) = &self.wrong {
            return Err(ItemError::encode(path, error.clone()));
        }
        if self.acts.is_empty() {
            return Err(ItemError::encode("", "the update changes nothing"));
        }
        for (path, act) in &self.acts {
            let elements = elements(path)?;
            if let Some(Element::Name(name)) = elements.first()
                && (names.is_key(name) || names.is_stamp(name))
            {
                return Err(ItemError::encode(path, "an update changes neither key nor stamps"));
            }
            if matches!(act, Act::AddToSet(_) | Act::RemoveFromSet(_)) && elements.len() > 1 {
                return Err(ItemError::encode(path, "only a top-level set is changed in part"));
            }
            if let Act::Set(value) | Act::SetIfAbsent(value) | Act::Append(value) = act {
                storable::check_at(path, elements.len(), value)?;
            }
        }
        for (path, condition) in &self.conditions {
            if let Condition::Equal(value) = condition {
                storable::check_at(path, elements(path)?.len(), value)?;
            }
        }
        Ok(())
    }
}

fn elements(path: &str) -> Result<Vec<Element>, ItemError> {
    path::read(path).ok_or_else(|| ItemError::encode(path, "this is no path"))
}
