use super::*;
use proptest::prelude::*;

fn number(value: u8) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn map<const N: usize>(entries: [(&str, AttributeValue); N]) -> Attributes {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn nested<const N: usize>(entries: [(&str, AttributeValue); N]) -> AttributeValue {
    AttributeValue::M(map(entries))
}

fn laid(stored: &Attributes, before: &Attributes, after: &Attributes) -> Attributes {
    overlay(stored, before, after, &BTreeSet::new()).patch.applied_to(stored.clone())
}

#[test]
fn a_change_deep_in_a_map_leaves_its_unknown_neighbors() {
    let stored = map([
        ("data", nested([("known", number(1)), ("unknown", number(2))])),
        ("beside", number(3)),
    ]);
    let before = map([("data", nested([("known", number(1))]))]);
    let after = map([("data", nested([("known", number(9)), ("added", number(4))]))]);
    let expected = map([
        ("data", nested([("known", number(9)), ("unknown", number(2)), ("added", number(4))])),
        ("beside", number(3)),
    ]);
    assert_eq!(laid(&stored, &before, &after), expected);
}

#[test]
fn a_map_that_was_skipped_before_keeps_what_was_unknown_in_it() {
    let stored = map([("meta", nested([("unknown", number(1))]))]);
    let after = map([("meta", nested([("note", number(2))]))]);
    let expected = map([("meta", nested([("note", number(2)), ("unknown", number(1))]))]);
    assert_eq!(laid(&stored, &map([]), &after), expected);
}

#[test]
fn a_list_is_replaced_whole() {
    let line = |name| AttributeValue::L(vec![nested([(name, number(1))])]);
    let stored = map([("lines", line("unknown"))]);
    let patched = laid(&stored, &map([("lines", line("a"))]), &map([("lines", line("b"))]));
    assert_eq!(patched, map([("lines", line("b"))]));
}

#[test]
fn what_is_left_of_a_removed_map_is_a_residue_unless_it_goes_whole() {
    let stored = map([("a", nested([("b", nested([("known", number(1)), ("new", number(2))]))]))]);
    let before = map([("a", nested([("b", nested([("known", number(1))]))]))]);
    let after = map([("a", nested([]))]);
    let path = vec!["a".to_owned(), "b".to_owned()];

    let kept = overlay(&stored, &before, &after, &BTreeSet::new());
    assert_eq!(kept.residues, vec![path.clone()]);
    assert_eq!(
        kept.patch.applied_to(stored.clone()),
        map([("a", nested([("b", nested([("new", number(2))]))]))])
    );

    let whole = overlay(&stored, &before, &after, &BTreeSet::from([path]));
    assert_eq!(whole.patch.applied_to(stored), after);
}

/// Any attribute value, few names, so that maps meet.
fn value() -> impl Strategy<Value = AttributeValue> {
    let leaf = prop_oneof![
        (0..4u8).prop_map(number),
        "[ab]{0,2}".prop_map(AttributeValue::S),
        any::<bool>().prop_map(AttributeValue::Bool),
        proptest::collection::btree_set("[a-c]", 1..3)
            .prop_map(|set| AttributeValue::Ss(set.into_iter().collect())),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(AttributeValue::L),
            attributes_of(inner).prop_map(AttributeValue::M),
        ]
    })
}

fn attributes_of(
    inner: impl Strategy<Value = AttributeValue>,
) -> impl Strategy<Value = Attributes> {
    proptest::collection::hash_map("[a-e]", inner, 0..5)
}

/// What a value that knows only every other name sees of a stored map.
fn seen(stored: &Attributes, known: &str) -> Attributes {
    let names = stored.iter().filter(|(name, _)| known.contains(name.as_str()));
    names
        .map(|(name, value)| match value {
            AttributeValue::M(map) => (name.clone(), AttributeValue::M(seen(map, known))),
            other => (name.clone(), other.clone()),
        })
        .collect()
}

/// Every path that `known` does not name, through maps that the value still has.
fn unseen(stored: &Attributes, after: &Attributes, known: &str) -> Attributes {
    stored
        .iter()
        .filter_map(|(name, value)| match (value, after.get(name)) {
            (value, _) if !known.contains(name.as_str()) => Some((name.clone(), value.clone())),
            (AttributeValue::M(map), Some(AttributeValue::M(after))) => {
                Some((name.clone(), AttributeValue::M(unseen(map, after, known))))
            }
            _ => None,
        })
        .collect()
}

fn contains(whole: &Attributes, part: &Attributes) -> bool {
    part.iter().all(|(name, part)| match (whole.get(name), part) {
        (Some(AttributeValue::M(whole)), AttributeValue::M(part)) => contains(whole, part),
        (whole, part) => whole == Some(part),
    })
}

proptest! {
    #[test]
    fn a_value_that_did_not_change_writes_nothing(stored in attributes_of(value())) {
        let view = seen(&stored, "abc");
        prop_assert!(overlay(&stored, &view, &view, &BTreeSet::new()).patch.is_empty());
    }

    #[test]
    fn what_the_value_does_not_know_survives_and_what_it_says_is_written(
        stored in attributes_of(value()),
        wish in attributes_of(value()),
    ) {
        let (before, after) = (seen(&stored, "abc"), seen(&wish, "abc"));
        let patched = laid(&stored, &before, &after);
        prop_assert!(contains(&patched, &after), "{patched:?}");
        prop_assert!(contains(&patched, &unseen(&stored, &after, "abc")), "{patched:?}");
    }

    #[test]
    fn without_residues_the_value_reads_back_what_it_wrote(
        stored in attributes_of(value()),
        wish in attributes_of(value()),
    ) {
        let (before, after) = (seen(&stored, "abc"), seen(&wish, "abc"));
        let residues = overlay(&stored, &before, &after, &BTreeSet::new()).residues;
        let whole = residues.into_iter().collect();
        let patched = overlay(&stored, &before, &after, &whole).patch.applied_to(stored);
        prop_assert_eq!(seen(&patched, "abc"), after);
    }
}

/// As many entries as an item can hold: with a look at each for each, this would take long.
#[test]
fn a_map_as_full_as_can_be_is_emptied() {
    let names = || (0..10_000).map(|index| index.to_string());
    let all = |entry: &AttributeValue| {
        AttributeValue::M(names().map(|name| (name, entry.clone())).collect())
    };
    let [known, unknown] = ["known", "unknown"].map(|name| (name, number(1)));
    let line = nested([known.clone()]);
    let before = map([("scalars", all(&number(1))), ("lines", all(&line))]);
    let stored = map([("scalars", all(&number(1))), ("lines", all(&nested([known, unknown])))]);
    let after = map([("scalars", nested([])), ("lines", nested([]))]);
    let kept = overlay(&stored, &before, &after, &BTreeSet::new());
    assert_eq!(kept.residues.len(), 10_000);
    let whole = kept.residues.into_iter().collect();
    let gone = overlay(&stored, &before, &after, &whole);
    assert_eq!(gone.patch.applied_to(stored), after);
}
