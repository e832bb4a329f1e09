//! An update in DynamoDB's words. Pure.

use std::fmt::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;
use bluegreen_core::ContractVersion;

use super::{Act, Condition, Update, elements};
use crate::expression::Expression;
use crate::schema::label;
use crate::update::path::Element;
use crate::write::Author;
use crate::{ItemError, NewerSchema};

/// The clauses of an update expression, each under its keyword.
#[derive(Default)]
struct Clauses {
    set: Vec<String>,
    add: Vec<String>,
    remove: Vec<String>,
    delete: Vec<String>,
}

impl Update {
    /// The expression that makes this change as `author`, on an item of the present schema version.
    pub(crate) fn expression(&self, author: &Author<'_>) -> Result<Expression, ItemError> {
        self.checked(&author.config.names)?;
        let mut expression = Expression::default();
        let mut clauses = Clauses::default();
        self.stamp(author, &mut expression, &mut clauses)?;
        for (path, act) in &self.acts {
            let path = expression.path(path)?;
            match act {
                Act::Set(value) => {
                    let value = expression.value(value);
                    clauses.set.push(format!("{path} = {value}"));
                }
                Act::SetIfAbsent(value) => {
                    let value = expression.value(value);
                    clauses.set.push(format!("{path} = if_not_exists({path}, {value})"));
                }
                Act::Append(values) => {
                    let values = expression.value(values);
                    let none = expression.value(&AttributeValue::L(Vec::new()));
                    let list = format!("list_append(if_not_exists({path}, {none}), {values})");
                    clauses.set.push(format!("{path} = {list}"));
                }
                Act::Add(value) => {
                    // By `SET`: `ADD` is for top-level attributes only.
                    let value = expression.value(value);
                    let zero = expression.value(&AttributeValue::N("0".to_owned()));
                    clauses.set.push(format!("{path} = if_not_exists({path}, {zero}) + {value}"));
                }
                Act::AddToSet(value) => {
                    let value = expression.value(value);
                    clauses.add.push(format!("{path} {value}"));
                }
                Act::Remove => clauses.remove.push(path),
                Act::RemoveFromSet(value) => {
                    let value = expression.value(value);
                    clauses.delete.push(format!("{path} {value}"));
                }
            }
        }
        expression.update = clauses.joined();
        self.conditions(author, &mut expression)?;
        Ok(expression)
    }

    /// What the library keeps of every write. The marks of earlier writes stay as they are: this
    /// write is made unrepeatable by the token of its transaction.
    fn stamp(
        &self,
        author: &Author<'_>,
        expression: &mut Expression,
        clauses: &mut Clauses,
    ) -> Result<(), ItemError> {
        let names = &author.config.names;
        let one = AttributeValue::N("1".to_owned());
        let add = format!("{} {}", expression.word(&names.version), expression.value(&one));
        clauses.add.push(add);
        let always = [
            (&names.modified_at, author.timestamp()?),
            (&names.environment, AttributeValue::S(author.color.to_string())),
        ];
        for (name, value) in always {
            let set = format!("{} = {}", expression.word(name), expression.value(&value));
            clauses.set.push(set);
        }
        // Which of the fields the item has that a minor version adds cannot be known.
        let version = ContractVersion::new(author.config.schema.version().major(), 0);
        let once = [
            (&names.incarnation, author.mark.to_attribute()),
            (&names.schema_version, label::to_attribute(version)),
        ];
        for (name, value) in once {
            let (name, value) = (expression.word(name), expression.value(&value));
            clauses.set.push(format!("{name} = if_not_exists({name}, {value})"));
        }
        Ok(())
    }

    fn conditions(
        &self,
        author: &Author<'_>,
        expression: &mut Expression,
    ) -> Result<(), ItemError> {
        let config = author.config;
        let mut all =
            vec![format!("attribute_exists({})", expression.word(&config.names.partition_key))];
        all.extend(of_schema(author, expression));
        if let Some(version) = self.version {
            let value = expression.value(&AttributeValue::N(version.to_string()));
            all.push(format!("{} = {value}", expression.word(&config.names.version)));
        }
        for (path, condition) in &self.conditions {
            let path = expression.path(path)?;
            all.push(match condition {
                Condition::Present => format!("attribute_exists({path})"),
                Condition::Absent => format!("attribute_not_exists({path})"),
                Condition::Equal(value) => format!("{path} = {}", expression.value(value)),
                Condition::AtLeast(value) => format!("{path} >= {}", expression.value(value)),
                Condition::Below(value) => format!("{path} < {}", expression.value(value)),
            });
        }
        expression.condition = all.join(" AND ");
        Ok(())
    }
}

/// The condition that the item has the major version whose words the update speaks. A table that
/// says newer ones may be read as if they were known, and has no older ones, needs none.
fn of_schema(author: &Author<'_>, expression: &mut Expression) -> Option<String> {
    let schema = &author.config.schema;
    let present = schema.version();
    let has_older = schema.oldest().major() < present.major();
    if author.config.newer_schema == NewerSchema::Read && !has_older {
        return None;
    }
    let label = expression.word(&author.config.names.schema_version);
    let major = present.major();
    let number = expression.value(&AttributeValue::N(major.to_string()));
    // The texts that begin with "1." are those from "1." up to "1/". Emulators by others refuse
    // `begins_with`, or a comparison without a look at the type, where the label is a number.
    let [from, to] =
        ['.', '/'].map(|end| expression.value(&AttributeValue::S(format!("{major}{end}"))));
    let is_text = expression.value(&AttributeValue::S("S".to_owned()));
    let text = expression.value(&AttributeValue::S(major.to_string()));
    let mut either = vec![
        format!("{label} = {number}"),
        format!("{label} = {text}"),
        format!("(attribute_type({label}, {is_text}) AND {label} BETWEEN {from} AND {to})"),
    ];
    if schema.version_of(None).major() == major {
        either.push(format!("attribute_not_exists({label})"));
    }
    Some(format!("({})", either.join(" OR ")))
}

impl Expression {
    /// The placeholder of a name; the same for the same name.
    fn word(&mut self, name: &str) -> String {
        let known = self.names.iter().find(|(_, known)| *known == name);
        known.map(|(word, _)| word.clone()).unwrap_or_else(|| {
            let word = format!("#u{}", self.names.len());
            self.names.insert(word.clone(), name.to_owned());
            word
        })
    }

    fn value(&mut self, value: &AttributeValue) -> String {
        let word = format!(":u{}", self.values.len());
        self.values.insert(word.clone(), value.clone());
        word
    }

    fn path(&mut self, path: &str) -> Result<String, ItemError> {
        let mut text = String::new();
        for element in elements(path)? {
            match element {
                Element::Name(name) => {
                    let word = self.word(&name);
                    let dot = if text.is_empty() { "" } else { "." };
                    text.push_str(dot);
                    text.push_str(&word);
                }
                Element::Index(index) => {
                    let written = write!(text, "[{index}]");
                    debug_assert!(written.is_ok(), "a string takes everything");
                }
            }
        }
        Ok(text)
    }
}

impl Clauses {
    fn joined(self) -> String {
        let Self { set, add, remove, delete } = self;
        [("SET", set), ("ADD", add), ("REMOVE", remove), ("DELETE", delete)]
            .into_iter()
            .filter(|(_, clauses)| !clauses.is_empty())
            .map(|(word, clauses)| format!("{word} {}", clauses.join(", ")))
            .collect::<Vec<_>>()
            .join(" ")
    }
}
