//! Whether DynamoDB takes a value at all. Pure.
//!
//! The service would refuse these too, after a call, for the whole item and often without a word of
//! where. The limits are those of "constraints in Amazon DynamoDB" in its guide.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::number::Number;
use crate::{Attributes, ItemError};

/// How deep lists and maps may lie in each other, what is in the innermost included.
const MOST_LEVELS: usize = 32;

/// The longest name of an attribute, in bytes.
const LONGEST_NAME: usize = 65_535;

/// Refuses attributes that cannot be stored, by the path of what is wrong and its value.
pub(crate) fn check(attributes: &Attributes) -> Result<(), ItemError> {
    attributes.iter().try_for_each(|(name, value)| check_at(name, 1, value))
}

/// Refuses a value at `path`, which is so many levels deep.
pub(crate) fn check_at(path: &str, level: usize, value: &AttributeValue) -> Result<(), ItemError> {
    if path.is_empty() {
        return Err(ItemError::encode(path, "an attribute has an empty name"));
    }
    match wrong(level, value) {
        None => Ok(()),
        Some(Wrong { at, why }) => Err(ItemError::encode(&format!("{path}{at}"), why)),
    }
}

/// What cannot be stored: where below the value, and why.
struct Wrong {
    at: String,
    why: String,
}

fn wrong(level: usize, value: &AttributeValue) -> Option<Wrong> {
    use AttributeValue::{Bs, L, M, N, Ns, Ss};
    let here = |why: String| Wrong { at: String::new(), why };
    if level > MOST_LEVELS {
        return Some(here(format!("it is more than {MOST_LEVELS} levels deep")));
    }
    match value {
        N(text) => number(text).err().map(here),
        Ns(texts) => {
            let bad = texts.iter().find_map(|text| number(text).err());
            let count = texts.iter().map(|text| Number::read(text)).collect::<BTreeSet<_>>().len();
            bad.or_else(|| set(count, texts)).map(here)
        }
        Ss(texts) => set(texts.iter().collect::<BTreeSet<_>>().len(), texts).map(here),
        Bs(blobs) => {
            let bytes: BTreeSet<_> = blobs.iter().map(AsRef::<[u8]>::as_ref).collect();
            set(bytes.len(), blobs).map(here)
        }
        L(values) => values.iter().enumerate().find_map(|(index, value)| {
            wrong(level + 1, value).map(|wrong| wrong.below(&format!("[{index}]")))
        }),
        M(map) => map.iter().find_map(|(name, value)| {
            let found = match name.len() {
                0 => Some(here("an entry has an empty name".to_owned())),
                1..=LONGEST_NAME => wrong(level + 1, value),
                length => Some(here(format!("its name has {length} of {LONGEST_NAME} bytes"))),
            };
            found.map(|wrong| wrong.below(&format!(".{name}")))
        }),
        _ => None,
    }
}

impl Wrong {
    fn below(self, path: &str) -> Self {
        Self { at: format!("{path}{}", self.at), ..self }
    }
}

/// Why a number cannot be stored.
pub(crate) fn number(text: &str) -> Result<(), String> {
    // Most numbers are of this kind.
    if (1..=38).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    let reason = match Number::parse(text) {
        None => "is no number",
        Some(number) if number.significant_digits() > 38 => "has more than 38 significant digits",
        Some(number) if !number.magnitude().is_none_or(|power| (-130..=125).contains(&power)) => {
            "is not of 1E-130 to 9.99E+125"
        }
        Some(_) => return Ok(()),
    };
    Err(format!("{text} {reason}"))
}

/// Why a set of so many different values cannot be stored.
fn set<V: std::fmt::Debug>(different: usize, values: &[V]) -> Option<String> {
    match different {
        0 => Some("DynamoDB stores no empty set".to_owned()),
        _ if different < values.len() => Some(format!("the set has a value twice: {values:?}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn n(text: &str) -> AttributeValue {
        AttributeValue::N(text.to_owned())
    }

    fn map(name: &str, value: AttributeValue) -> AttributeValue {
        AttributeValue::M(Attributes::from([(name.to_owned(), value)]))
    }

    fn refusal(value: AttributeValue) -> Option<(String, String)> {
        let error = check(&Attributes::from([("a".to_owned(), value)])).err()?;
        let ItemError::Encode { path, .. } = &error else { panic!("{error:?}") };
        Some((path.clone(), error.source().unwrap().to_string()))
    }

    #[test]
    fn what_the_service_would_refuse_is_named_with_its_path_and_value() {
        let list = AttributeValue::L;
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let nine = "9".repeat(38);
        let cases = [
            (n("NaN"), "a", "NaN is no number"),
            (n("inf"), "a", "inf is no number"),
            (n("-"), "a", "- is no number"),
            (n("1e999"), "a", "1e999 is not of 1E-130 to 9.99E+125"),
            (
                n("1e99999999999999999999"),
                "a",
                "1e99999999999999999999 is not of 1E-130 to 9.99E+125",
            ),
            (n("1E126"), "a", "1E126 is not of 1E-130 to 9.99E+125"),
            (n("-9E-131"), "a", "-9E-131 is not of 1E-130 to 9.99E+125"),
            (n(&format!("{nine}.1")), "a", "has more than 38 significant digits"),
            (list(vec![n("1"), map("b", n("NaN"))]), "a[1].b", "NaN is no number"),
            (map("", n("1")), "a.", "an entry has an empty name"),
            (map("b", AttributeValue::Ss(vec![])), "a.b", "DynamoDB stores no empty set"),
            (AttributeValue::Ns(texts(&["1", "1.0"])), "a", "the set has a value twice"),
            (AttributeValue::Ss(texts(&["x", "x"])), "a", "the set has a value twice"),
        ];
        for (value, path, why) in cases {
            let (found, reason) = refusal(value.clone()).expect(why);
            assert_eq!(found, path, "{value:?}");
            assert!(reason.contains(why), "{reason}");
        }
        for fine in ["0", "-0.0", "0E999", "1E125", "1E-130", "1.50", "+1", ".5", "0001"] {
            assert_eq!(refusal(n(fine)), None, "{fine}");
        }
        assert_eq!(refusal(n(&format!("{nine}000"))), None, "zeros are not significant");
        assert_eq!(refusal(AttributeValue::S(String::new())), None);
    }

    #[test]
    fn thirty_two_levels_are_the_deepest() {
        let nested = |levels: usize| (1..levels).fold(n("1"), |value, _| map("b", value));
        assert_eq!(refusal(nested(32)), None);
        let (path, why) = refusal(nested(33)).unwrap();
        assert_eq!(
            (path, &*why),
            (format!("a{}", ".b".repeat(32)), "it is more than 32 levels deep")
        );
    }
}
