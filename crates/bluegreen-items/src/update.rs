mod expression;
mod path;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use crate::{AttributeNames, ItemError};
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

    /// Sets an attribute. The maps on the way to it must be there.
    pub fn set(self, path: &str, value: &impl Serialize) -> Self {
        self.act(path, value, Act::Set)
    }

    /// Sets an attribute that is not there.
    pub fn set_if_absent(self, path: &str, value: &impl Serialize) -> Self {
        self.act(path, value, Act::SetIfAbsent)
    }

    /// Adds to a number; one that is not there counts as 0.
    pub fn add(mut self, path: &str, number: i64) -> Self {
        self.acts.push((path.to_owned(), Act::Add(AttributeValue::N(number.to_string()))));
        self
    }

    /// Appends to a list; one that is not there counts as empty.
    pub fn append(self, path: &str, values: &[impl Serialize]) -> Self {
        self.act(path, &values, Act::Append)
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

    /// Only if the attribute is this.
    pub fn if_equal(mut self, path: &str, value: &impl Serialize) -> Self {
        if let Some(value) = self.encoded(path, value) {
            self.conditions.push((path.to_owned(), Condition::Equal(value)));
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

    pub(crate) const fn version(&self) -> Option<u64> {
        self.version
    }

    fn act(
        mut self,
        path: &str,
        value: &impl Serialize,
        act: impl FnOnce(AttributeValue) -> Act,
    ) -> Self {
        if let Some(value) = self.encoded(path, value) {
            self.acts.push((path.to_owned(), act(value)));
        }
        self
    }

    fn act_on_set<S: Into<String>>(
        mut self,
        path: &str,
        texts: impl IntoIterator<Item = S>,
        act: impl FnOnce(AttributeValue) -> Act,
    ) -> Self {
        let texts: Vec<String> = texts.into_iter().map(Into::into).collect();
        // DynamoDB refuses an empty set, and it would change nothing.
        if !texts.is_empty() {
            self.acts.push((path.to_owned(), act(AttributeValue::Ss(texts))));
        }
        self
    }

    fn encoded(&mut self, path: &str, value: &impl Serialize) -> Option<AttributeValue> {
        match serde_dynamo::to_attribute_value(value) {
            Ok(value) => Some(value),
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
        }
        Ok(())
    }
}

fn elements(path: &str) -> Result<Vec<Element>, ItemError> {
    path::read(path).ok_or_else(|| ItemError::encode(path, "this is no path"))
}
