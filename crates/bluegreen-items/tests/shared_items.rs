//! Two releases on one item: what one does not know survives the other's writes.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bluegreen_core::{Color, ContractVersion};
use bluegreen_items::{Attributes, ItemError, NewerSchema};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::shop::{
    DataV2, OrderV1, OrderV2, attributes, blue, config, green, key, m, n, open, put_raw, raw, s,
    schema, table,
};

fn full_v2() -> OrderV2 {
    OrderV2 {
        data: DataV2 {
            total: 10,
            note: Some("leave at the door".to_owned()),
            log: vec![1, 2],
            currency: "EUR".to_owned(),
            discounts: [("spring".to_owned(), 5)].into(),
        },
        region: Some("eu".to_owned()),
    }
}

#[tokio::test(start_paused = true)]
async fn blue_at_schema_1_changes_greens_item_and_green_finds_its_attributes_intact() {
    // A minor version is an addition that blue reads anyway; a major one blue must allow.
    for (greens, blues) in [
        (schema(1, 1), schema(1, 0)),
        (schema(2, 0), schema(1, 0).with_newer_schema(NewerSchema::Read)),
    ] {
        let version = greens.schema.version();
        let world = open().await;
        let green = table(&world, Color::Green, greens);
        green.create(key(), full_v2()).await.unwrap();

        let blue = table(&world, Color::Blue, blues);
        let mut item = blue.get::<OrderV1>(&key()).await.unwrap().unwrap();
        item.value_mut().data.total = 20;
        item.value_mut().data.note = None;
        blue.save(&mut item).await.unwrap();

        let item = green.get::<OrderV2>(&key()).await.unwrap().unwrap();
        let mut expected = full_v2();
        expected.data.total = 20;
        expected.data.note = None;
        assert_eq!(*item.value(), expected);
        assert_eq!(item.schema_version(), Some(version), "the label is not lowered");
        assert_eq!(item.environment(), Some(Color::Blue));
        assert_eq!(raw(&world).await.unwrap()["Data"].as_m().unwrap().get("note"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_major_schema_is_an_error_and_never_misread() {
    let world = open().await;
    let green = table(&world, Color::Green, schema(2, 0));
    green.create(key(), full_v2()).await.unwrap();
    let found = ContractVersion::new(2, 0);
    let blue = table(&world, Color::Blue, schema(1, 3));
    for error in [
        blue.get::<OrderV1>(&key()).await.unwrap_err(),
        blue.modify(&key(), |_: &mut OrderV1| {}).await.unwrap_err(),
        blue.upsert(key(), OrderV1::of(1)).await.unwrap_err(),
    ] {
        assert!(matches!(error, ItemError::NewerSchema { found: f, .. } if f == found), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn green_raises_blues_item_to_its_schema_with_all_of_its_attributes() {
    let world = open().await;
    blue(&world).create(key(), OrderV1::of(1)).await.unwrap();
    let green = table(&world, Color::Green, schema(1, 1));
    green.modify(&key(), |order: &mut OrderV2| order.data.total = 2).await.unwrap();
    let item = raw(&world).await.unwrap();
    assert_eq!(item["SchemaVersion"], s("1.1"));
    let data = m([("total", n(2)), ("currency", s("")), ("discounts", m([]))]);
    assert_eq!(item["Data"], data, "the defaults it read are stored with the label");
    let seen_by_blue = blue(&world).get::<OrderV1>(&key()).await.unwrap().unwrap();
    assert_eq!(*seen_by_blue.value(), OrderV1::of(2));
}

#[tokio::test(start_paused = true)]
async fn unknown_keys_beside_and_below_data_survive_every_kind_of_write() {
    let world = open().await;
    let deep = m([("deeper", m([("deepest", n(1))]))]);
    let data = m([("total", n(1)), ("note", s("x")), ("unknown", deep.clone())]);
    put_raw(&world.dynamodb(), [("Data", data), ("unknown", deep.clone())]).await;
    let blue = blue(&world);
    blue.modify(&key(), |order: &mut OrderV1| order.data.note = None).await.unwrap();
    blue.upsert(key(), OrderV1::of(5)).await.unwrap();
    let mut item = blue.get::<OrderV1>(&key()).await.unwrap().unwrap();
    *item.value_mut() = OrderV1::of(6);
    blue.save(&mut item).await.unwrap();
    let item = raw(&world).await.unwrap();
    assert_eq!(item["unknown"], deep);
    assert_eq!(item["Data"], m([("total", n(6)), ("unknown", deep)]));
}

#[tokio::test(start_paused = true)]
async fn what_others_write_without_a_version_meanwhile_survives_too() {
    let world = open().await;
    blue(&world).create(key(), OrderV1::of(1)).await.unwrap();
    let mut item = blue(&world).get::<OrderV1>(&key()).await.unwrap().unwrap();
    let sweeper = world.dynamodb().update_item().table_name(crate::shop::TABLE);
    sweeper
        .key("PK", s("ORDER#17"))
        .key("SK", s("META"))
        .update_expression("SET swept = :swept")
        .expression_attribute_values(":swept", n(7))
        .send()
        .await
        .unwrap();
    item.value_mut().data.total = 2;
    blue(&world).save(&mut item).await.unwrap();
    assert_eq!(raw(&world).await.unwrap()["swept"], n(7));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Renamed {
    #[serde(rename = "Data")]
    data: RenamedData,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct RenamedData {
    #[serde(rename = "total")]
    sum: u64,
    #[serde(alias = "note")]
    remark: String,
}

#[tokio::test(start_paused = true)]
async fn a_renamed_field_moves_to_its_new_name_when_it_is_written() {
    let world = open().await;
    let data = m([("total", n(1)), ("note", s("old")), ("unknown", n(3))]);
    put_raw(&world.dynamodb(), [("Data", data), ("SchemaVersion", n(1))]).await;
    let green = green(&world);
    green.modify(&key(), |order: &mut Renamed| order.data.sum = 2).await.unwrap();
    let data = m([("total", n(2)), ("note", s("old")), ("unknown", n(3))]);
    assert_eq!(raw(&world).await.unwrap()["Data"], data, "an alias that was not written stays");
    green.modify(&key(), |order: &mut Renamed| order.data.remark = "new".into()).await.unwrap();
    let data = m([("total", n(2)), ("remark", s("new")), ("unknown", n(3))]);
    assert_eq!(raw(&world).await.unwrap()["Data"], data);
    let item = green.get::<Renamed>(&key()).await.unwrap().unwrap();
    assert_eq!(item.value().data.remark, "new", "and the item can still be read");
}

#[tokio::test(start_paused = true)]
async fn a_field_skipped_when_empty_is_removed_and_comes_back() {
    let world = open().await;
    let blue = blue(&world);
    blue.create(key(), OrderV1::of(1)).await.unwrap();
    let log = async || raw(&world).await.unwrap()["Data"].as_m().unwrap().get("log").cloned();
    assert_eq!(log().await, None);
    blue.modify(&key(), |order: &mut OrderV1| order.data.log.push(7)).await.unwrap();
    assert_eq!(log().await, Some(AttributeValue::L(vec![n(7)])));
    blue.modify(&key(), |order: &mut OrderV1| order.data.log.clear()).await.unwrap();
    assert_eq!(log().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_could_not_be_read_again_is_not_written() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Tagged {
        data: Tags,
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct Tags {
        // An empty set is absent, and nothing says what absence means: `default` is missing.
        #[serde(with = "serde_dynamo::string_set")]
        tags: BTreeSet<String>,
    }
    let world = open().await;
    let table = blue(&world);
    let tagged = |tags: &[&str]| Tagged {
        data: Tags { tags: tags.iter().map(|&tag| tag.to_owned()).collect() },
    };
    let error = table.create(key(), tagged(&[])).await.unwrap_err();
    assert_eq!(error.to_string(), "the value cannot be written at \"data\"");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("missing field `tags`"), "{cause}");

    table.create(key(), tagged(&["a"])).await.unwrap();
    let change = |tagged: &mut Tagged| tagged.data.tags.clear();
    let error = table.modify(&key(), change).await.unwrap_err();
    assert!(matches!(error, ItemError::Encode { .. }), "{error}");
    let stored = table.get::<Tagged>(&key()).await.unwrap().unwrap();
    assert_eq!((stored.version(), stored.value().data.tags.len()), (Some(1), 1));
}

/// Bytes as DynamoDB's binary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct EveryKind {
    text: String,
    number: i64,
    real: f64,
    flag: bool,
    bytes: Bytes,
    #[serde(default)]
    nothing: Option<u8>,
    list: Vec<Option<u8>>,
    map: BTreeMap<String, Vec<i64>>,
    #[serde(default, with = "serde_dynamo::string_set")]
    texts: BTreeSet<String>,
    #[serde(default, with = "serde_dynamo::number_set")]
    numbers: BTreeSet<i64>,
    #[serde(default, with = "serde_dynamo::binary_set")]
    blobs: BTreeSet<Bytes>,
    state: State,
    #[serde(default)]
    nested: BTreeMap<String, Nested>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    Open,
    Counted(u32),
    Pair(String, bool),
    Shipped { by: Option<String>, bytes: Bytes },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Nested {
    #[serde(default)]
    inner: Option<Box<Self>>,
    #[serde(default, with = "serde_dynamo::string_set")]
    texts: BTreeSet<String>,
    #[serde(default, with = "serde_dynamo::binary_set")]
    blobs: BTreeSet<Bytes>,
    states: Vec<State>,
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        Just(State::Open),
        any::<u32>().prop_map(State::Counted),
        (".{0,4}", any::<bool>()).prop_map(|(text, flag)| State::Pair(text, flag)),
        (proptest::option::of("[a-z]{0,3}"), bytes())
            .prop_map(|(by, bytes)| State::Shipped { by, bytes }),
    ]
}

fn nested() -> impl Strategy<Value = Nested> {
    let sets = || {
        let texts = proptest::collection::btree_set("[a-z]{1,3}", 0..3);
        let blobs = proptest::collection::btree_set(bytes(), 0..3);
        (texts, blobs, proptest::collection::vec(state(), 0..3))
    };
    let leaf =
        sets().prop_map(|(texts, blobs, states)| Nested { inner: None, texts, blobs, states });
    leaf.prop_recursive(4, 8, 1, move |inner| {
        (proptest::option::of(inner), sets()).prop_map(|(inner, (texts, blobs, states))| Nested {
            inner: inner.map(Box::new),
            texts,
            blobs,
            states,
        })
    })
}

fn bytes() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 1..4).prop_map(Bytes)
}

fn every_kind() -> impl Strategy<Value = EveryKind> {
    let scalars =
        (".{0,8}", any::<i64>(), -1e9..1e9f64, any::<bool>(), bytes(), any::<Option<u8>>());
    let collections = (
        proptest::collection::vec(any::<Option<u8>>(), 0..4),
        proptest::collection::btree_map(
            "[a-c]",
            proptest::collection::vec(any::<i64>(), 0..3),
            0..3,
        ),
        proptest::collection::btree_set("[a-z]{1,3}", 0..4),
        proptest::collection::btree_set(any::<i64>(), 0..4),
        proptest::collection::btree_set(bytes(), 0..4),
    );
    let deep = (state(), proptest::collection::btree_map("[a-c]", nested(), 0..3));
    (scalars, collections, deep).prop_map(|(scalars, collections, (state, nested))| {
        let (text, number, real, flag, bytes, nothing) = scalars;
        let (list, map, texts, numbers, blobs) = collections;
        EveryKind {
            text,
            number,
            real,
            flag,
            bytes,
            nothing,
            list,
            map,
            texts,
            numbers,
            blobs,
            state,
            nested,
        }
    })
}

/// An attribute that some other release may have stored.
fn foreign() -> impl Strategy<Value = AttributeValue> {
    let leaf = prop_oneof![
        "[a-z]{0,5}".prop_map(AttributeValue::S),
        "-?[1-9][0-9]{0,36}[1-9]".prop_map(AttributeValue::N),
        bytes().prop_map(|bytes| AttributeValue::B(Blob::new(bytes.0))),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null(true)),
        proptest::collection::btree_set("[a-z]{1,3}", 1..4)
            .prop_map(|set| AttributeValue::Ss(set.into_iter().collect())),
        proptest::collection::btree_set(1..99u8, 1..4)
            .prop_map(|set| AttributeValue::Ns(set.iter().map(u8::to_string).collect())),
        proptest::collection::btree_set(bytes(), 1..4).prop_map(|set| {
            AttributeValue::Bs(set.into_iter().map(|bytes| Blob::new(bytes.0)).collect())
        }),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(AttributeValue::L),
            proptest::collection::hash_map("[a-z]{1,3}", inner, 0..3).prop_map(AttributeValue::M),
        ]
    })
}

/// The same with sets in order, because DynamoDB keeps none.
fn ordered(value: AttributeValue) -> AttributeValue {
    let ordered_map = |map: Attributes| map.into_iter().map(|(k, v)| (k, ordered(v))).collect();
    match value {
        AttributeValue::Ss(mut set) => {
            set.sort();
            AttributeValue::Ss(set)
        }
        AttributeValue::Ns(mut set) => {
            set.sort();
            AttributeValue::Ns(set)
        }
        AttributeValue::Bs(mut set) => {
            set.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
            AttributeValue::Bs(set)
        }
        AttributeValue::L(values) => AttributeValue::L(values.into_iter().map(ordered).collect()),
        AttributeValue::M(map) => AttributeValue::M(ordered_map(map)),
        other => other,
    }
}

fn run<R>(test: impl Future<Output = R>) -> R {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(test)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_kind_of_attribute_is_written_changed_and_read_back(
        first in every_kind(),
        second in every_kind(),
    ) {
        run(async {
            let world = open().await;
            let table = blue(&world);
            table.create(key(), first.clone()).await.unwrap();
            let mut item = table.get::<EveryKind>(&key()).await.unwrap().unwrap();
            assert_eq!(*item.value(), first);
            *item.value_mut() = second.clone();
            table.save(&mut item).await.unwrap();
            let item = table.get::<EveryKind>(&key()).await.unwrap().unwrap();
            assert_eq!(*item.value(), second);
        });
    }

    #[test]
    fn any_foreign_attribute_survives_beside_and_below(
        beside in foreign(),
        below in foreign(),
    ) {
        run(async {
            let world = open().await;
            let data = m([("total", n(1)), ("unknown", below.clone())]);
            put_raw(&world.dynamodb(), [("Data", data), ("unknown", beside.clone())]).await;
            blue(&world).modify(&key(), |order: &mut OrderV1| order.data.total = 2).await.unwrap();
            let item = raw(&world).await.unwrap();
            assert_eq!(ordered(item["unknown"].clone()), ordered(beside));
            let data = item["Data"].as_m().unwrap();
            assert_eq!(ordered(data["unknown"].clone()), ordered(below));
            assert_eq!(data["total"], n(2));
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_that_holds_its_own_key_and_stamps_is_served_and_not_obeyed() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct VersionedItem {
        #[serde(rename = "PK")]
        pk: String,
        #[serde(rename = "SK")]
        sk: String,
        version: u64,
        data: Attributes2,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Attributes2 {
        total: u64,
    }
    let world = open().await;
    let table = table(&world, Color::Blue, config());
    let value = || VersionedItem {
        pk: "ORDER#17".to_owned(),
        sk: "META".to_owned(),
        version: 99,
        data: Attributes2 { total: 1 },
    };
    table.create(key(), value()).await.unwrap();
    let mut item = table.get::<VersionedItem>(&key()).await.unwrap().unwrap();
    assert_eq!(item.value().version, 1);
    item.value_mut().version = 1_000;
    item.value_mut().data.total = 2;
    table.save(&mut item).await.unwrap();
    assert_eq!(raw(&world).await.unwrap()["Version"], n(2));

    item.value_mut().pk = "ORDER#18".to_owned();
    let error = table.save(&mut item).await.unwrap_err();
    assert_eq!(error.to_string(), "the value cannot be written at \"PK\"");
    let elsewhere = bluegreen_items::Key::new("ORDER#18").with_sk("META");
    assert!(matches!(table.create(elsewhere, value()).await, Err(ItemError::Encode { .. })));
    assert_eq!(attributes([("PK", s("ORDER#17"))])["PK"], raw(&world).await.unwrap()["PK"]);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_takes_all_that_is_there_can_be_stored_and_touches_nothing_of_it() {
    /// What a value of JSON can hold, which is no binary.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Json {
        Flag(bool),
        Number(f64),
        Text(String),
        List(Vec<Self>),
        Map(BTreeMap<String, Self>),
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct Open {
        total: u64,
        #[serde(flatten)]
        rest: BTreeMap<String, Json>,
    }
    let world = open().await;
    let table = blue(&world);
    let rest = BTreeMap::from([("note".to_owned(), Json::Text("ring".to_owned()))]);
    table.create(key(), Open { total: 1, rest }).await.unwrap();
    let before = raw(&world).await.unwrap();
    table.modify(&key(), |open: &mut Open| open.total += 1).await.unwrap();
    let item = table.modify(&key(), |open: &mut Open| open.total += 1).await.unwrap();
    assert_eq!(item.value().rest["note"], Json::Text("ring".to_owned()));
    let after = raw(&world).await.unwrap();
    assert_eq!((&after["total"], &after["Version"]), (&n(3), &n(3)));
    for name in ["note", "CreatedAt", "IncarnationID", "PK", "SK", "SchemaVersion"] {
        assert_eq!(before[name], after[name], "{name}");
    }

    let digits = n("12345678901234567890123456789012345678");
    let names = AttributeValue::Ss(vec!["a".to_owned(), "b".to_owned()]);
    put_raw(&world.dynamodb(), [("total", n(1)), ("digits", digits.clone()), ("set", names)]).await;
    table.modify(&key(), |open: &mut Open| open.total += 1).await.unwrap();
    let stored = raw(&world).await.unwrap();
    assert_eq!(stored["digits"], digits);
    assert!(matches!(&stored["set"], AttributeValue::Ss(set) if set.len() == 2), "{stored:?}");
}
