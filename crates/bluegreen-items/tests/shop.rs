//! A shop whose two releases share one table: what the tests play with.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use bluegreen_core::{Clock, Color, ContractVersion, Release, ServiceIdentity, ServiceKey};
use bluegreen_items::{Attributes, Key, Schema, Table, TableConfig};
use bluegreen_local::{Calls, Service, World};
use serde::{Deserialize, Serialize};

pub(crate) const TABLE: &str = "orders";

/// The order as release 1 knows it, in the article's shape.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct OrderV1 {
    #[serde(rename = "Data")]
    pub(crate) data: DataV1,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DataV1 {
    pub(crate) total: u64,
    #[serde(default)]
    pub(crate) note: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) log: Vec<u32>,
}

impl OrderV1 {
    pub(crate) fn of(total: u64) -> Self {
        Self { data: DataV1 { total, ..DataV1::default() } }
    }
}

/// The order as release 2 knows it: with an attribute beside `Data` and two below it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct OrderV2 {
    #[serde(rename = "Data")]
    pub(crate) data: DataV2,
    #[serde(default)]
    pub(crate) region: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct DataV2 {
    pub(crate) total: u64,
    #[serde(default)]
    pub(crate) note: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) log: Vec<u32>,
    #[serde(default)]
    pub(crate) currency: String,
    #[serde(default)]
    pub(crate) discounts: BTreeMap<String, u32>,
}

pub(crate) fn key() -> Key {
    Key::new("ORDER#17").with_sk("META")
}

pub(crate) fn config() -> TableConfig {
    let start = UNIX_EPOCH + Duration::from_secs(1_795_000_000);
    TableConfig::default().with_clock(Clock::starting_at(start))
}

pub(crate) fn schema(major: u16, minor: u16) -> TableConfig {
    config().with_schema(Schema::new("Order", ContractVersion::new(major, minor)))
}

pub(crate) fn identity(color: Color) -> ServiceIdentity {
    let key = ServiceKey::new("orders").unwrap();
    ServiceIdentity::new(key, color, Release::new("1").unwrap(), "task")
}

/// A world with the table in it, whose clock follows tokio's.
pub(crate) async fn open() -> World {
    open_by(config().clock).await
}

/// The same by this clock.
pub(crate) async fn open_by(clock: Clock) -> World {
    let world = World::builder().clock(clock).build();
    let attribute = |name: &str| {
        let definition = AttributeDefinition::builder().attribute_name(name);
        definition.attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let part = |name: &str, kind| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
    };
    let create = world.dynamodb().create_table().table_name(TABLE);
    create
        .attribute_definitions(attribute("PK"))
        .attribute_definitions(attribute("SK"))
        .key_schema(part("PK", KeyType::Hash))
        .key_schema(part("SK", KeyType::Range))
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
    world
}

/// The table as a color sees it. Its calls are signed with the color's name.
pub(crate) fn table(world: &World, color: Color, config: TableConfig) -> Table {
    Table::new(world.dynamodb_as(color.as_str()), TABLE, &identity(color), config).unwrap()
}

pub(crate) fn blue(world: &World) -> Table {
    table(world, Color::Blue, config())
}

pub(crate) fn green(world: &World) -> Table {
    table(world, Color::Green, config())
}

pub(crate) fn calls(operation: &str) -> Calls {
    Calls::to(Service::DynamoDb).operation(operation)
}

pub(crate) fn count(world: &World, operations: &[&str]) -> Vec<u64> {
    operations.iter().map(|operation| world.calls_in(&calls(operation))).collect()
}

pub(crate) fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(crate) fn n(number: impl Display) -> AttributeValue {
    AttributeValue::N(format!("{number}"))
}

pub(crate) fn m<const N: usize>(entries: [(&str, AttributeValue); N]) -> AttributeValue {
    AttributeValue::M(attributes(entries))
}

pub(crate) fn attributes<const N: usize>(entries: [(&str, AttributeValue); N]) -> Attributes {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn key_attributes() -> Attributes {
    attributes([("PK", s("ORDER#17")), ("SK", s("META"))])
}

/// Stores an item as it is, past the library, as legacy code does.
pub(crate) async fn put_raw<const N: usize>(client: &Client, entries: [(&str, AttributeValue); N]) {
    let mut item = key_attributes();
    item.extend(attributes(entries));
    client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
}

/// The item as it is, past the library.
pub(crate) async fn raw(world: &World) -> Option<Attributes> {
    raw_by(&world.dynamodb()).await
}

/// The same by a client of the caller's.
pub(crate) async fn raw_by(client: &Client) -> Option<Attributes> {
    let get = client.get_item().table_name(TABLE).consistent_read(true);
    get.set_key(Some(key_attributes())).send().await.unwrap().item
}
