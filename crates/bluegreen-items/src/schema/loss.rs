//! What of an item is not in another one. Pure.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::Attributes;
use crate::number::Number;

/// The path of an attribute of `before` that `after` lacks or has otherwise. What `after` has in
/// addition, a default it may be, is no loss.
pub(super) fn of(before: &Attributes, after: &Attributes) -> Option<String> {
    before.iter().find_map(|(name, old)| match after.get(name) {
        None => Some(name.clone()),
        Some(new) => within(old, new).map(|rest| format!("{name}{rest}")),
    })
}

/// The rest of the path to what is lost; empty where the value itself is.
fn within(old: &AttributeValue, new: &AttributeValue) -> Option<String> {
    use AttributeValue::{Bs, L, M, N, Ns, Ss};
    let is_same = match (old, new) {
        (M(old), M(new)) => return of(old, new).map(|path| format!(".{path}")),
        (L(old), L(new)) if old.len() == new.len() => {
            return old.iter().zip(new).enumerate().find_map(|(index, (old, new))| {
                within(old, new).map(|rest| format!("[{index}]{rest}"))
            });
        }
        (Ss(old), Ss(new)) => is_same_set(old, new),
        (Bs(old), Bs(new)) => {
            let bytes = |set: &[aws_sdk_dynamodb::primitives::Blob]| -> BTreeSet<Vec<u8>> {
                set.iter().map(|blob| blob.as_ref().to_vec()).collect()
            };
            bytes(old) == bytes(new)
        }
        (N(old), N(new)) => Number::read(old) == Number::read(new),
        (Ns(old), Ns(new)) => {
            let numbers = |set: &[String]| -> BTreeSet<Number> {
                set.iter().map(|text| Number::read(text)).collect()
            };
            numbers(old) == numbers(new)
        }
        (old, new) => old == new,
    };
    (!is_same).then(String::new)
}

fn is_same_set(old: &[String], new: &[String]) -> bool {
    old.iter().collect::<BTreeSet<_>>() == new.iter().collect::<BTreeSet<_>>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(text: &str) -> AttributeValue {
        AttributeValue::N(text.to_owned())
    }

    fn map<const N: usize>(entries: [(&str, AttributeValue); N]) -> Attributes {
        entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn what_is_lost_is_named_by_its_path_and_an_addition_is_no_loss() {
        let m = |map: Attributes| AttributeValue::M(map);
        let lines = |price: &str| AttributeValue::L(vec![m(map([("price", n(price))]))]);
        let set = |set: &[&str]| AttributeValue::Ss(set.iter().map(|&s| s.to_owned()).collect());
        let cases = [
            (map([]), map([("more", n("1"))]), None),
            (map([("a", n("1"))]), map([]), Some("a")),
            (map([("a", n("1"))]), map([("a", n("2"))]), Some("a")),
            (map([("a", n("1.50"))]), map([("a", n("15e-1"))]), None),
            (map([("a", n("100"))]), map([("a", n("1E+2"))]), None),
            (map([("a", n("-0.0"))]), map([("a", n("0"))]), None),
            (map([("a", n("-1"))]), map([("a", n("1"))]), Some("a")),
            (map([("a", set(&["x", "y"]))]), map([("a", set(&["y", "x"]))]), None),
            (map([("a", set(&["x", "y"]))]), map([("a", set(&["x"]))]), Some("a")),
            (map([("a", m(map([("b", n("1"))])))]), map([("a", m(map([])))]), Some("a.b")),
            (map([("a", lines("7"))]), map([("a", lines("8"))]), Some("a[0].price")),
            (map([("a", lines("7"))]), map([("a", n("7"))]), Some("a")),
        ];
        for (before, after, expected) in cases {
            assert_eq!(of(&before, &after).as_deref(), expected, "{before:?} {after:?}");
        }
    }
}
