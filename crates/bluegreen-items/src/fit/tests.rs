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
