//! Between a value and its attributes.
//!
//! A value's view is *plain*: `None`, unit and empty sets are absent from its maps, because absence
//! is how an attribute is removed and because DynamoDB stores no empty sets; sets are sorted, so
//! that two views of one value are equal.

mod in_place;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Attributes, ItemError};
pub(crate) use in_place::Attribute;
use in_place::Item;

/// The view of a value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Attributes, ItemError> {
    let mut view: Attributes = serde_dynamo::to_item(value).map_err(|error| {
        let located = serde_path_to_error::serialize(value, serde_dynamo::Serializer);
        let path = located.err().map(|error| error.path().to_string());
        ItemError::encode(&spelled(path), error)
    })?;
    make_plain(&mut view);
    Ok(view)
}

/// Refuses an item that a write would leave when no `T` can be read from it: when a field that may
/// be absent has no default, when unknown fields are denied, or when the type reads otherwise than it
/// writes.
pub(crate) fn check_readable<'a, T: DeserializeOwned>(
    left: impl Iterator<Item = Attribute<'a>> + Clone,
) -> Result<(), ItemError> {
    match read_known::<T>(left) {
        Err(ItemError::Decode { path, source }) => {
            Err(ItemError::encode(&path, format!("it could not be read again: {source}")))
        }
        other => other.map(drop),
    }
}

/// The value that a view or an item is of.
pub(crate) fn decode<T: DeserializeOwned>(attributes: &Attributes) -> Result<T, ItemError> {
    decode_from(attributes.iter())
}

/// The same of attributes wherever they are.
pub(crate) fn decode_from<'a, T: DeserializeOwned>(
    attributes: impl Iterator<Item = Attribute<'a>> + Clone,
) -> Result<T, ItemError> {
    // serde_dynamo panics on a kind of attribute that the SDK does not know.
    if let Some((name, _)) = attributes.clone().find(|(_, value)| is_unknown(value)) {
        return Err(ItemError::decode(name, "the attribute is of a kind this SDK does not know"));
    }
    read_known(attributes)
}

/// The same of attributes whose kinds are known: they were read before, or are of a value's view.
fn read_known<'a, T: DeserializeOwned>(
    attributes: impl Iterator<Item = Attribute<'a>> + Clone,
) -> Result<T, ItemError> {
    T::deserialize(Item(attributes.clone())).map_err(|error| {
        // The path costs time, so it is looked for only now.
        let located = serde_path_to_error::deserialize::<_, T>(Item(attributes));
        let path = located.err().map(|error| error.path().to_string());
        ItemError::decode(&spelled(path), error)
    })
}

/// The path as an error shows it; a value that is wrong as a whole has none.
fn spelled(path: Option<String>) -> String {
    path.filter(|path| path != ".").unwrap_or_default()
}

fn make_plain(view: &mut Attributes) {
    view.retain(|_, value| {
        plain(value);
        !is_absence(value)
    });
}

/// Takes what is expressed by absence out of the maps of a value, and puts its sets in order.
pub(crate) fn plain(value: &mut AttributeValue) {
    match value {
        AttributeValue::M(map) => make_plain(map),
        AttributeValue::L(values) => values.iter_mut().for_each(plain),
        AttributeValue::Ss(set) | AttributeValue::Ns(set) => set.sort_unstable(),
        AttributeValue::Bs(set) => set.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref())),
        _ => {}
    }
}

/// Whether a value is expressed by the absence of its attribute.
pub(crate) fn is_absence(value: &AttributeValue) -> bool {
    match value {
        AttributeValue::Null(_) => true,
        AttributeValue::Ss(set) | AttributeValue::Ns(set) => set.is_empty(),
        AttributeValue::Bs(set) => set.is_empty(),
        _ => false,
    }
}

fn is_unknown(value: &AttributeValue) -> bool {
    match value {
        AttributeValue::M(map) => map.values().any(is_unknown),
        AttributeValue::L(values) => values.iter().any(is_unknown),
        AttributeValue::S(_)
        | AttributeValue::N(_)
        | AttributeValue::B(_)
        | AttributeValue::Bool(_)
        | AttributeValue::Null(_)
        | AttributeValue::Ss(_)
        | AttributeValue::Ns(_)
        | AttributeValue::Bs(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::{BTreeMap, HashSet};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Line {
        price: u32,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Order {
        lines: Vec<Line>,
        #[serde(default)]
        note: Option<String>,
        #[serde(default, with = "serde_dynamo::string_set")]
        tags: HashSet<String>,
    }

    fn order(note: Option<&str>, tags: &[&str]) -> Order {
        Order {
            lines: vec![Line { price: 7 }],
            note: note.map(str::to_owned),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        }
    }

    #[test]
    fn a_view_has_no_nothing_and_no_empty_set_and_reads_back() {
        let empty = order(None, &[]);
        let view = encode(&empty).unwrap();
        assert_eq!(view.keys().collect::<Vec<_>>(), ["lines"]);
        assert_eq!(decode::<Order>(&view).unwrap(), empty);

        let full = order(Some("x"), &["b", "a", "c"]);
        let view = encode(&full).unwrap();
        assert_eq!(view["tags"].as_ss().unwrap(), &["a", "b", "c"]);
        assert_eq!(decode::<Order>(&view).unwrap(), full);
    }

    #[test]
    fn an_attribute_that_does_not_fit_is_named_with_its_path() {
        let mut view = encode(&order(None, &[])).unwrap();
        let price = AttributeValue::S("seven".to_owned());
        let line = AttributeValue::M(Attributes::from([("price".to_owned(), price)]));
        view.insert("lines".to_owned(), AttributeValue::L(vec![line]));
        let error = decode::<Order>(&view).unwrap_err();
        assert_eq!(error.to_string(), "the item cannot be read at \"lines[0].price\"");
    }

    #[test]
    fn a_value_that_has_no_attributes_is_refused() {
        assert!(matches!(encode(&17), Err(ItemError::Encode { .. })));
        let keyed_by_units = BTreeMap::from([((), 1)]);
        assert!(matches!(encode(&keyed_by_units), Err(ItemError::Encode { .. })));
    }
}
