//! What identifies a metric: namespace, name and the exact set of dimensions.

use std::collections::BTreeMap;

use super::cbor::Value;
use super::fault::Fault;
use super::fields::Fields;

const DIMENSION_LIMIT: usize = 30;
const NAME_LIMIT: usize = 255;
const DIMENSION_VALUE_LIMIT: usize = 1_024;

/// The dimension that carries the color, throughout this project.
const COLOR_DIMENSION: &str = "Environment";

/// Dimensions by name: order does not tell two sets apart.
pub(crate) type Dimensions = BTreeMap<String, String>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Metric {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) dimensions: Dimensions,
}

impl Metric {
    /// As the `Metric` structure of requests and answers names it.
    pub(crate) fn read(fields: &Fields<'_>) -> Result<Self, Fault> {
        let namespace = read_namespace(fields)?;
        Self::read_within(namespace, fields)
    }

    /// As a datum names it, below its request's namespace.
    pub(crate) fn read_within(namespace: &str, fields: &Fields<'_>) -> Result<Self, Fault> {
        let name = fields.required_text("MetricName")?;
        check_text(name, NAME_LIMIT, &fields.name("MetricName"))?;
        let dimensions = read_dimensions(fields)?;
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned(), dimensions })
    }

    /// A dimension named `Environment` must carry a color.
    ///
    /// Stricter than AWS, which takes any text: a color spelled wrong would make a metric that
    /// nobody ever reads, and on AWS nothing would say so.
    pub(crate) fn check_color(&self) -> Result<(), Fault> {
        match self.dimensions.get(COLOR_DIMENSION).map(String::as_str) {
            None | Some("blue" | "green") => Ok(()),
            Some(other) => Err(Fault::invalid(format!(
                "The dimension {COLOR_DIMENSION} of {} is \"{other}\"; allowed are blue and green.",
                self.name
            ))),
        }
    }

    pub(crate) fn to_value(&self) -> Value {
        let dimensions = self.dimensions.iter();
        let dimensions = dimensions.map(|(name, value)| {
            Value::map([("Name", Value::text(name)), ("Value", Value::text(value))])
        });
        Value::map([
            ("Namespace", Value::text(&self.namespace)),
            ("MetricName", Value::text(&self.name)),
            ("Dimensions", Value::List(dimensions.collect())),
        ])
    }
}

pub(crate) fn read_namespace<'a>(fields: &Fields<'a>) -> Result<&'a str, Fault> {
    let namespace = fields.required_text("Namespace")?;
    check_text(namespace, NAME_LIMIT, &fields.name("Namespace"))?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_/#: ".contains(c);
    if namespace.chars().all(allowed) && !namespace.starts_with(':') {
        Ok(namespace)
    } else {
        Err(Fault::invalid(format!("The namespace \"{namespace}\" has characters not allowed.")))
    }
}

fn read_dimensions(fields: &Fields<'_>) -> Result<Dimensions, Fault> {
    let structures = fields.structures("Dimensions")?;
    if structures.len() > DIMENSION_LIMIT {
        let path = fields.name("Dimensions");
        return Err(Fault::invalid(format!(
            "{path} has {} dimensions; at most {DIMENSION_LIMIT} are allowed.",
            structures.len()
        )));
    }
    let mut dimensions = Dimensions::new();
    for dimension in structures {
        let name = dimension.required_text("Name")?;
        let value = dimension.required_text("Value")?;
        check_text(name, NAME_LIMIT, &dimension.name("Name"))?;
        check_text(value, DIMENSION_VALUE_LIMIT, &dimension.name("Value"))?;
        if name.starts_with(':') {
            let path = dimension.name("Name");
            return Err(Fault::invalid(format!("{path} must not start with a colon.")));
        }
        if dimensions.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Fault::invalid(format!("The dimension {name} is given twice.")));
        }
    }
    Ok(dimensions)
}

fn check_text(text: &str, limit: usize, path: &str) -> Result<(), Fault> {
    let fits = (1..=limit).contains(&text.len());
    let printable = text.chars().all(|c| c.is_ascii() && !c.is_ascii_control());
    if fits && printable && !text.trim().is_empty() {
        Ok(())
    } else {
        Err(Fault::invalid(format!(
            "{path} must be 1 to {limit} printable ASCII characters, not all of them blank."
        )))
    }
}
