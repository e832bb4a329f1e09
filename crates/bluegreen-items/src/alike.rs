//! Whether two views say the same, whatever the order in which they say it. Pure.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::Attributes;

/// Whether two maps are the same but for the order of lists: an unordered collection is written in
/// another order each time that it is read anew.
pub(crate) fn alike(one: &Attributes, other: &Attributes) -> bool {
    one.len() == other.len()
        && one.iter().all(|(name, value)| other.get(name).is_some_and(|o| values(value, o)))
}

fn values(one: &AttributeValue, other: &AttributeValue) -> bool {
    match (one, other) {
        (AttributeValue::M(one), AttributeValue::M(other)) => alike(one, other),
        (AttributeValue::L(one), AttributeValue::L(other)) => lists(one, other),
        (one, other) => one == other,
    }
}

fn lists(one: &[AttributeValue], other: &[AttributeValue]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    if one.iter().zip(other).all(|(one, other)| values(one, other)) {
        return true;
    }
    let mut left: Vec<_> = other.iter().collect();
    one.iter().all(|value| {
        let found = left.iter().position(|other| values(value, other));
        found.map(|at| left.swap_remove(at)).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(numbers: &[u32]) -> Attributes {
        let numbers = numbers.iter().map(|n| AttributeValue::N(n.to_string()));
        Attributes::from([("list".to_owned(), AttributeValue::L(numbers.collect()))])
    }

    #[test]
    fn order_makes_no_difference_and_everything_else_does() {
        assert!(alike(&list(&[1, 2, 2]), &list(&[2, 1, 2])));
        assert!(!alike(&list(&[1, 2, 2]), &list(&[1, 1, 2])));
        assert!(!alike(&list(&[1, 2]), &list(&[1, 2, 2])));
        assert!(!alike(&list(&[]), &Attributes::new()));
    }
}
