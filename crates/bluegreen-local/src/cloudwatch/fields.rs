//! Typed reading of an input's fields; null counts as absent.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::cbor::Value;
use super::fault::Fault;

/// The fields of one CBOR map, and where it stands in the request, for messages.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    entries: &'a [(String, Value)],
    path: String,
}

impl<'a> Fields<'a> {
    /// The fields of a whole input.
    pub(crate) fn of(input: &'a Value) -> Result<Self, Fault> {
        Self::at(input, String::new())
    }

    fn at(value: &'a Value, path: String) -> Result<Self, Fault> {
        match value {
            Value::Map(entries) => Ok(Self { entries, path }),
            _ => Err(Fault::unreadable(format!("{path} is not a structure"))),
        }
    }

    /// The full name of a field, as in `MetricData.member.2.Value`.
    pub(crate) fn name(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    fn get(&self, field: &str) -> Option<&'a Value> {
        let entry = self.entries.iter().find(|(key, _)| key == field);
        entry.map(|(_, value)| value).filter(|value| **value != Value::Null)
    }

    pub(crate) fn has(&self, field: &str) -> bool {
        self.get(field).is_some()
    }

    fn unfit(&self, field: &str, wanted: &str) -> Fault {
        Fault::unreadable(format!("{} is not {wanted}", self.name(field)))
    }

    pub(crate) fn text(&self, field: &str) -> Result<Option<&'a str>, Fault> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.unfit(field, "text")),
        }
    }

    pub(crate) fn required_text(&self, field: &str) -> Result<&'a str, Fault> {
        self.text(field)?.ok_or_else(|| Fault::missing(&self.name(field)))
    }

    pub(crate) fn flag(&self, field: &str) -> Result<Option<bool>, Fault> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.unfit(field, "a boolean")),
        }
    }

    pub(crate) fn integer(&self, field: &str) -> Result<Option<i64>, Fault> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Integer(number)) => Ok(Some(*number)),
            Some(_) => Err(self.unfit(field, "an integer")),
        }
    }

    pub(crate) fn number(&self, field: &str) -> Result<Option<f64>, Fault> {
        self.get(field).map(|value| self.as_number(field, value)).transpose()
    }

    pub(crate) fn required_number(&self, field: &str) -> Result<f64, Fault> {
        self.number(field)?.ok_or_else(|| Fault::missing(&self.name(field)))
    }

    pub(crate) fn numbers(&self, field: &str) -> Result<Option<Vec<f64>>, Fault> {
        let Some(items) = self.list(field)? else {
            return Ok(None);
        };
        items.iter().map(|item| self.as_number(field, item)).collect::<Result<_, _>>().map(Some)
    }

    #[expect(clippy::cast_precision_loss, reason = "CloudWatch's own values are doubles")]
    fn as_number(&self, field: &str, value: &Value) -> Result<f64, Fault> {
        match value {
            Value::Float(number) => Ok(*number),
            Value::Integer(number) => Ok(*number as f64),
            _ => Err(self.unfit(field, "a number")),
        }
    }

    pub(crate) fn time(&self, field: &str) -> Result<Option<SystemTime>, Fault> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        let Value::Time(seconds) = value else {
            return Err(self.unfit(field, "a time"));
        };
        let since = Duration::try_from_secs_f64(*seconds);
        since
            .ok()
            .and_then(|since| UNIX_EPOCH.checked_add(since))
            .map(Some)
            .ok_or_else(|| Fault::invalid(format!("{} is out of range.", self.name(field))))
    }

    pub(crate) fn required_time(&self, field: &str) -> Result<SystemTime, Fault> {
        self.time(field)?.ok_or_else(|| Fault::missing(&self.name(field)))
    }

    fn list(&self, field: &str) -> Result<Option<&'a [Value]>, Fault> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::List(items)) => Ok(Some(items)),
            Some(_) => Err(self.unfit(field, "a list")),
        }
    }

    /// The texts of a list; an absent list is empty.
    pub(crate) fn texts(&self, field: &str) -> Result<Vec<&'a str>, Fault> {
        let items = self.list(field)?.unwrap_or_default().iter();
        let texts = items.map(|item| match item {
            Value::Text(text) => Ok(text.as_str()),
            _ => Err(self.unfit(field, "a list of text")),
        });
        texts.collect()
    }

    /// The structures of a list; an absent list is empty.
    pub(crate) fn structures(&self, field: &str) -> Result<Vec<Self>, Fault> {
        let items = self.list(field)?.unwrap_or_default().iter().enumerate();
        let path = self.name(field);
        items.map(|(at, item)| Self::at(item, format!("{path}.member.{}", at + 1))).collect()
    }

    pub(crate) fn structure(&self, field: &str) -> Result<Option<Self>, Fault> {
        self.get(field).map(|value| Self::at(value, self.name(field))).transpose()
    }

    pub(crate) fn required_structure(&self, field: &str) -> Result<Self, Fault> {
        self.structure(field)?.ok_or_else(|| Fault::missing(&self.name(field)))
    }
}
