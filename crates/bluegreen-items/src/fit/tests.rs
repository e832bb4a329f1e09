use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_dynamo::to_attribute_value;

use super::*;
use crate::view::{decode, encode};

/// Reads `stored` as a `T`, changes it, and answers the item that a write leaves.
fn changed<T: Serialize + DeserializeOwned>(
    stored: &Attributes,
    extent: Extent,
    change: impl FnOnce(&mut T),
) -> Attributes {
    let mut value: T = decode(stored).unwrap();
    let before = encode(&value).unwrap();
    change(&mut value);
    let after = encode(&value).unwrap();
    let view = |map: &Attributes| encode(&decode::<T>(map).ok()?).ok();
    let patch = fit(stored, &before, &after, extent, &view).unwrap();
    let left = patch.applied_to(stored.clone());
    assert_eq!(view(&left), Some(after), "the value reads back what it wrote");
    left
}

macro_rules! item {
    ($($name:literal: $value:expr),* $(,)?) => {
        Attributes::from([$(($name.to_owned(), to_attribute_value($value).unwrap())),*])
    };
}

fn inner<const N: usize>(entries: [(&'static str, u32); N]) -> BTreeMap<&'static str, u32> {
    entries.into_iter().collect()
}

#[derive(Serialize, Deserialize)]
struct Address {
    street: u32,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
struct Meta {
    #[serde(default)]
    note: Option<u32>,
}

impl Meta {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Serialize, Deserialize)]
struct Customer {
    #[serde(default)]
    address: Option<Address>,
    #[serde(default, skip_serializing_if = "Meta::is_empty")]
    meta: Meta,
}

#[test]
fn an_option_that_becomes_none_goes_with_what_was_unknown_in_it() {
    let stored = item! { "address": inner([("street", 1), ("zip", 2)]) };
    let left = changed(&stored, Extent::Difference, |customer: &mut Customer| {
        customer.address = None;
    });
    assert_eq!(left, item! {});
}

#[test]
fn a_struct_skipped_when_empty_keeps_what_was_unknown_in_it() {
    let stored = item! { "meta": inner([("note", 1), ("flag", 2)]) };
    let left =
        changed(&stored, Extent::Difference, |customer: &mut Customer| customer.meta.note = None);
    assert_eq!(left, item! { "meta": inner([("flag", 2)]) });
}

#[test]
fn each_dropped_map_is_decided_for_itself() {
    let stored = item! {
        "address": inner([("street", 1), ("zip", 2)]),
        "meta": inner([("note", 1), ("flag", 2)]),
    };
    let left = changed(&stored, Extent::Difference, |customer: &mut Customer| {
        customer.address = None;
        customer.meta.note = None;
    });
    assert_eq!(left, item! { "meta": inner([("flag", 2)]) });
}

#[derive(Serialize, Deserialize)]
enum State {
    Pending { since: u32 },
    Paid { total: u32 },
}

#[derive(Serialize, Deserialize)]
struct WithState {
    state: State,
}

#[test]
fn an_enum_never_has_two_variants() {
    let stored =
        item! { "state": BTreeMap::from([("Pending", inner([("since", 1), ("new", 2)]))]) };
    let left = changed(&stored, Extent::Difference, |item: &mut WithState| {
        item.state = State::Paid { total: 9 };
    });
    assert_eq!(left, item! { "state": BTreeMap::from([("Paid", inner([("total", 9)]))]) });
}

#[derive(Serialize, Deserialize)]
struct Renamed {
    #[serde(alias = "amount")]
    total: u32,
    #[serde(alias = "who")]
    customer: u32,
    #[serde(default)]
    priority: u32,
}

#[derive(Serialize, Deserialize)]
struct Outer {
    data: Renamed,
}

#[test]
fn a_renamed_field_moves_when_it_is_written_and_no_other_does() {
    let stored = item! { "amount": 5, "who": 6, "unknown": 7 };
    let left = changed(&stored, Extent::Difference, |item: &mut Renamed| item.total = 50);
    assert_eq!(left, item! { "total": 50, "who": 6, "unknown": 7 });

    let left = changed(&stored, Extent::Difference, |item: &mut Renamed| item.priority = 1);
    assert_eq!(left, item! { "amount": 5, "who": 6, "unknown": 7, "priority": 1 });
}

#[test]
fn a_renamed_field_moves_at_any_depth() {
    let stored = item! { "data": inner([("amount", 5), ("who", 6), ("unknown", 7)]) };
    let left = changed(&stored, Extent::Difference, |item: &mut Outer| item.data.customer = 60);
    assert_eq!(left, item! { "data": inner([("amount", 5), ("customer", 60), ("unknown", 7)]) });
}

#[test]
fn an_item_that_gets_a_higher_schema_version_gets_all_of_the_value() {
    let stored = item! { "data": inner([("amount", 5), ("who", 6), ("unknown", 7)]) };
    let left = changed(&stored, Extent::Complete, |item: &mut Outer| item.data.customer = 60);
    let data = inner([("total", 5), ("customer", 60), ("priority", 0), ("unknown", 7)]);
    assert_eq!(left, item! { "data": data });
}

#[derive(Serialize, Deserialize)]
struct Unordered {
    tags: HashSet<String>,
    #[serde(default)]
    currency: String,
}

#[test]
fn a_collection_without_an_order_costs_nobody_an_attribute() {
    let stored = item! { "tags": ["a", "b"], "GSI1PK": "theirs", "other": 7 };
    for extent in [Extent::Difference, Extent::Complete] {
        // Each reading has an order of its own, so that one of a few would do harm.
        for _ in 0..50 {
            let mut value: Unordered = decode(&stored).unwrap();
            let before = encode(&value).unwrap();
            value.currency = "EUR".to_owned();
            let after = encode(&value).unwrap();
            let view = |map: &Attributes| encode(&decode::<Unordered>(map).ok()?).ok();
            let patch = fit(&stored, &before, &after, extent, &view).unwrap();
            let left = patch.applied_to(stored.clone());
            assert_eq!(left.len(), stored.len() + 1, "{left:?}");
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Varying {
    #[serde(default, skip_serializing_if = "Meta::is_empty")]
    meta: Meta,
    #[serde(default = "tick")]
    read_at: u64,
}

/// A default that varies, as a time or a random number does.
fn tick() -> u64 {
    static TICKS: AtomicU64 = AtomicU64::new(0);
    TICKS.fetch_add(1, Ordering::Relaxed)
}

#[test]
fn a_default_that_varies_costs_nobody_an_attribute() {
    let stored = item! { "meta": inner([("note", 1), ("theirs", 2)]) };
    let mut value: Varying = decode(&stored).unwrap();
    let before = encode(&value).unwrap();
    value.meta.note = None;
    let after = encode(&value).unwrap();
    let view = |map: &Attributes| encode(&decode::<Varying>(map).ok()?).ok();
    let patch = fit(&stored, &before, &after, Extent::Difference, &view).unwrap();
    let left = patch.applied_to(stored);
    assert_eq!(left.get("meta"), item! { "meta": inner([("theirs", 2)]) }.get("meta"));
}

/// What a type knows of a map: some of its entries, whole or in part.
enum Known {
    Whole,
    Part(BTreeMap<String, Self>),
}

/// A random item, with names that are few enough to meet again.
fn tree(random: &mut fastrand::Rng, depth: u32) -> Attributes {
    (0..random.usize(0..5)).map(|_| (name(random), node(random, depth))).collect()
}

fn name(random: &mut fastrand::Rng) -> String {
    random.char('a'..='f').to_string()
}

fn node(random: &mut fastrand::Rng, depth: u32) -> AttributeValue {
    let number = |random: &mut fastrand::Rng| {
        let digits = (0..38).map(|_| random.char('1'..='9')).collect::<String>();
        AttributeValue::N(digits)
    };
    match random.u8(0..if depth == 0 { 3 } else { 7 }) {
        0 => number(random),
        1 => AttributeValue::Ss(vec![name(random)]),
        2 => AttributeValue::Bool(random.bool()),
        3 => AttributeValue::L(vec![number(random), AttributeValue::M(tree(random, depth - 1))]),
        _ => AttributeValue::M(tree(random, depth - 1)),
    }
}

/// What another version of the type knows of an item: some of what is there, and something else.
fn knowledge(random: &mut fastrand::Rng, of: &Attributes) -> BTreeMap<String, Known> {
    let mut known = BTreeMap::from([(name(random), Known::Whole)]);
    // In one order, so that a seed makes one case.
    let of_names: BTreeMap<_, _> = of.iter().collect();
    for (name, value) in of_names {
        if random.bool() {
            continue;
        }
        let known_now = match value.as_m() {
            Ok(map) if random.u8(0..4) > 0 => Known::Part(knowledge(random, map)),
            _ => Known::Whole,
        };
        known.insert(name.clone(), known_now);
    }
    known.retain(|name, known| match (known, of.get(name)) {
        // A map that is there is known in part or whole, but not by chance as something else.
        (Known::Part(_), value) => value.is_some_and(AttributeValue::is_m),
        (Known::Whole, _) => true,
    });
    known
}

/// The view of what is known; nothing where it cannot be read.
fn seen(map: &Attributes, known: &BTreeMap<String, Known>) -> Option<Attributes> {
    let mut view = Attributes::new();
    for (name, known) in known {
        let Some(value) = map.get(name) else { continue };
        let value = match known {
            Known::Whole => value.clone(),
            Known::Part(known) => AttributeValue::M(seen(value.as_m().ok()?, known)?),
        };
        view.insert(name.clone(), value);
    }
    Some(view)
}

fn change(random: &mut fastrand::Rng, view: &mut Attributes, known: &BTreeMap<String, Known>) {
    for (name, known) in known {
        match (random.u8(0..4), known) {
            (0, _) => drop(view.remove(name)),
            (1, Known::Whole) => drop(view.insert(name.clone(), node(random, 2))),
            (_, Known::Part(known)) => {
                if let Some(AttributeValue::M(map)) = view.get_mut(name) {
                    change(random, map, known);
                }
            }
            _ => {}
        }
    }
}

/// What is unknown is as it was, wherever the map around it is still there.
fn check_intact(
    stored: &Attributes,
    known: &BTreeMap<String, Known>,
    after: &Attributes,
    left: &Attributes,
) {
    for (name, value) in stored {
        match known.get(name) {
            None => assert_eq!(left.get(name), Some(value), "{name}"),
            Some(Known::Whole) => {}
            Some(Known::Part(known)) => {
                let maps = (value.as_m(), after.get(name).map(AttributeValue::as_m));
                if let (Ok(value), Some(Ok(after))) = maps {
                    check_intact(value, known, after, left[name].as_m().unwrap());
                }
            }
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_a_version_knows_and_changes_the_rest_stays_at_every_depth(seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let stored = tree(&mut random, 4);
        let known = knowledge(&mut random, &stored);
        let before = seen(&stored, &known).unwrap();
        let mut after = before.clone();
        change(&mut random, &mut after, &known);
        let view = |map: &Attributes| seen(map, &known);
        for extent in [Extent::Difference, Extent::Complete] {
            let patch = fit(&stored, &before, &after, extent, &view).unwrap();
            let left = patch.applied_to(stored.clone());
            check_intact(&stored, &known, &after, &left);
            let again = seen(&left, &known).unwrap();
            assert_eq!(again, after);
        }
    }
}
