//! How large DynamoDB takes an item to be.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::Attributes;

/// DynamoDB's limit for one item, names included: 400 KB.
pub(crate) const LIMIT: usize = 400 * 1024;

/// The limit for all items of a transaction together: 4 MB.
pub(crate) const TRANSACTION_LIMIT: usize = 4 * 1024 * 1024;

/// The size of an item.
pub(crate) fn of_item(attributes: &Attributes) -> usize {
    attributes.iter().map(|(name, value)| of_attribute(name, value)).sum()
}

/// The size of an attribute by DynamoDB's own rules ("item sizes and formats" in its guide).
pub(crate) fn of_attribute(name: &str, value: &AttributeValue) -> usize {
    name.len() + of_value(value)
}

fn of_value(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(text) => of_number(text),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::Ns(texts) => texts.iter().map(|text| of_number(text)).sum(),
        AttributeValue::Bs(blobs) => blobs.iter().map(|bytes| bytes.as_ref().len()).sum(),
        AttributeValue::L(values) => {
            3 + values.iter().map(|value| 1 + of_value(value)).sum::<usize>()
        }
        AttributeValue::M(map) => 3 + of_map(map),
        // A boolean, a null, or a kind that this SDK does not know.
        _ => 1,
    }
}

fn of_map(map: &Attributes) -> usize {
    map.iter().map(|(name, value)| 1 + of_attribute(name, value)).sum()
}

/// A byte for two significant digits and one more; the guide calls it an approximation.
fn of_number(text: &str) -> usize {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0');
    // Up to the last that is no zero: neither leading nor trailing ones are significant.
    let significant = digits.zip(1..).filter(|(digit, _)| *digit != b'0').map(|(_, place)| place);
    let significant: usize = significant.last().unwrap_or(0);
    significant.div_ceil(2) + 1 + usize::from(text.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::primitives::Blob;

    #[test]
    fn each_kind_of_attribute_has_its_size() {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let number = |text: &str| AttributeValue::N(text.to_owned());
        let map = |values: Vec<(&str, AttributeValue)>| {
            AttributeValue::M(values.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
        };
        let cases = [
            (text("abc"), 3),
            (text("ä"), 2),
            (number("1234"), 3),
            (number("-12345"), 5),
            (number("1E100"), 2),
            (number("1000000000000"), 2),
            (number("0.00001230"), 3),
            (number("10.01"), 3),
            (number("0"), 1),
            (AttributeValue::B(Blob::new([0; 12])), 12),
            (AttributeValue::Bool(true), 1),
            (AttributeValue::Null(true), 1),
            (AttributeValue::Ss(vec!["ab".into(), "c".into()]), 3),
            (AttributeValue::Ns(vec!["1".into(), "22".into()]), 4),
            (AttributeValue::Bs(vec![Blob::new([1, 2])]), 2),
            (AttributeValue::L(vec![text("ab"), number("1")]), 3 + 3 + 3),
            (map(vec![("ab", text("c"))]), 3 + 4),
        ];
        for (value, expected) in cases {
            assert_eq!(of_attribute("name", &value), 4 + expected, "{value:?}");
        }
    }
}
