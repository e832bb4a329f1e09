use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use aws_sdk_dynamodb::primitives::Blob;
use proptest::prelude::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
struct Wrapped<T>(T);

#[derive(Debug, PartialEq, Deserialize)]
struct Pair(Option<i8>, String);

#[derive(Debug, PartialEq, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Deserialize)]
struct Nested {
    a: Option<Box<Self>>,
    #[serde(default, alias = "c")]
    b: Vec<f32>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Denying {
    a: Option<u64>,
    b: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Flat {
    a: Option<bool>,
    #[serde(flatten)]
    rest: BTreeMap<String, Untagged>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Float(f64),
    Text(String),
    Truth(bool),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
    Nothing,
}

#[derive(Debug, PartialEq, Deserialize)]
enum Choice {
    #[serde(rename = "a")]
    Unit,
    #[serde(rename = "b")]
    New(u8),
    #[serde(rename = "c")]
    Struct { a: Option<String> },
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "a", rename_all = "lowercase")]
enum Tagged {
    A { b: Option<u8> },
    B,
}

/// Bytes, as `serde_bytes` takes them.
#[derive(Debug, PartialEq)]
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taken;
        impl Visitor<'_> for Taken {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_byte_buf(Taken)
    }
}

fn value() -> impl Strategy<Value = AttributeValue> {
    let texts = || proptest::collection::btree_set("[ab1]{0,2}", 1..3);
    let numbers = prop_oneof![
        (-300..300_i64).prop_map(|number| number.to_string()),
        Just("18446744073709551615".to_owned()),
        Just("1.5".to_owned()),
        Just("12345678901234567890123456789012345678".to_owned()),
    ];
    let leaf = prop_oneof![
        numbers.prop_map(AttributeValue::N),
        "[abc]{0,2}".prop_map(AttributeValue::S),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null(true)),
        Just(AttributeValue::B(Blob::new([1, 2]))),
        Just(AttributeValue::Bs(vec![Blob::new([1]), Blob::new([2])])),
        texts().prop_map(|set| AttributeValue::Ss(set.into_iter().collect())),
        Just(AttributeValue::Ns(vec!["1".to_owned(), "2.5".to_owned()])),
    ];
    leaf.prop_recursive(3, 24, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(AttributeValue::L),
            proptest::collection::hash_map("[abc1]", inner, 0..3).prop_map(AttributeValue::M),
        ]
    })
}

/// Both ways of reading answer the same, a value or none.
fn same<T: DeserializeOwned + Debug + PartialEq>(
    value: &AttributeValue,
) -> Result<(), TestCaseError> {
    let measure = T::deserialize(of(value.clone())).ok();
    prop_assert_eq!(T::deserialize(Value(value)).ok(), measure);
    if let AttributeValue::M(item) = value {
        let measure = T::deserialize(of(value.clone())).ok();
        prop_assert_eq!(T::deserialize(Item(item.iter())).ok(), measure);
    }
    Ok(())
}

macro_rules! same {
    ($value:expr, $($type:ty),*) => {$(
        same::<$type>($value)?;
        same::<Option<$type>>($value)?;
        same::<Wrapped<$type>>($value)?;
        same::<Vec<$type>>($value)?;
    )*};
}

proptest! {
    #[test]
    fn what_is_read_in_place_is_what_serde_dynamo_reads_from_a_copy(value in value()) {
        same!(&value, u8, i8, u16, i16, u32, i32, u64, i64, f32, f64, bool, char, String, ());
        same!(&value, Unit, Pair, (u8, f64), Bytes, Nested, Denying, Flat, Untagged, Choice, Tagged);
        same!(&value, BTreeMap<u8, Untagged>, BTreeMap<String, Nested>, BTreeSet<String>);
    }
}

#[test]
fn what_a_value_does_not_know_stands_in_no_way() {
    let number = AttributeValue::N("no number".to_owned());
    let item = Attributes::from([("unknown".to_owned(), number)]);
    let read = Nested::deserialize(Item(item.iter())).unwrap();
    assert_eq!(read, Nested { a: None, b: vec![] });
}
