//! Tables with other keys than text, and items whose every attribute is called otherwise.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use bluegreen_core::{Color, ContractVersion, Stop};
use bluegreen_items::{
    AttributeNames, Backfill, BackfillConfig, Ending, ItemError, Key, KeyValue, Schema, Step,
    Table, Transaction, Update, Upserted,
};
use bluegreen_local::World;
use serde::{Deserialize, Serialize};

use crate::shop::{OrderV1, config, identity, n, open, table};

#[derive(Debug, Serialize, Deserialize)]
struct Reading {
    volts: u32,
}

/// Readings by the number of a device and the bytes of a digest.
async fn readings(world: &World) -> Table {
    let attribute = |name: &str, kind| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
    };
    let part = |name: &str, kind| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
    };
    let create = world.dynamodb().create_table().table_name("readings");
    create
        .attribute_definitions(attribute("device", ScalarAttributeType::N))
        .attribute_definitions(attribute("digest", ScalarAttributeType::B))
        .key_schema(part("device", KeyType::Hash))
        .key_schema(part("digest", KeyType::Range))
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
    let names = AttributeNames::default().with_partition_key("device").with_sort_key("digest");
    let config = config().with_names(names);
    Table::new(world.dynamodb(), "readings", &identity(Color::Blue), config).unwrap()
}

fn key(number: &str) -> Key {
    Key::new(KeyValue::Number(number.to_owned())).with_sk(vec![0, 255])
}

#[tokio::test(start_paused = true)]
async fn keys_of_numbers_and_bytes_serve_every_operation_however_a_number_is_written() {
    let world = World::new();
    let table = readings(&world).await;
    let mut one = table.create(key("1.50"), Reading { volts: 1 }).await.unwrap();
    one.value_mut().volts = 2;
    table.save(&mut one).await.unwrap();
    // The service answers 1.5, and it is the same item by any name.
    table.modify(&key("15E-1"), |reading: &mut Reading| reading.volts += 1).await.unwrap();
    table.update(&key("+1.5"), Update::new().add("volts", 1)).await.unwrap();
    let exists = table.create(key("1.5"), Reading { volts: 9 }).await.unwrap_err();
    assert!(matches!(exists, ItemError::AlreadyExists { .. }), "{exists}");
    let created = table.upsert(key("-2"), Reading { volts: 5 }).await.unwrap();
    assert!(matches!(created, Upserted::Created(_)));
    let keys = [key("1.500"), key("-2.0"), key("3"), key("1.5")];
    let found = table.get_many::<Reading>(&keys).await.unwrap();
    let volts: Vec<_> = found.iter().map(|one| one.as_ref().map(|one| one.value().volts)).collect();
    assert_eq!(volts, [Some(4), Some(5), None, Some(4)]);

    let mut first = table.get::<Reading>(&key("1.5")).await.unwrap().unwrap();
    first.value_mut().volts = 0;
    let mut payment = Transaction::new();
    payment.save(&table, &mut first).await.unwrap();
    let update = Update::new().add("volts", 1);
    let twice = payment.update(&table, &key("1.50"), &update);
    assert!(twice.is_err(), "a transaction has one part for an item");
    payment.update(&table, &key("-2"), &update).unwrap();
    payment.commit().await.unwrap();
    let mut second = table.get::<Reading>(&key("-2.00")).await.unwrap().unwrap();
    assert_eq!(second.value().volts, 6);
    table.delete(&mut second).await.unwrap();

    let step = Step::new(1, 2, |_| Ok(())).without_down();
    let schema = Schema::builder("Item", ContractVersion::new(2, 0)).step(step).build().unwrap();
    let table = table.with_schema(schema).unwrap();
    let config = BackfillConfig::default().with_checkpoint(table.clone(), key("0"));
    let (_progress, backfill) = Backfill::<Reading>::new(&table, config).unwrap();
    let report = backfill.run(Stop::never()).await.unwrap();
    assert_eq!((report.ending, report.progress.migrated), (Ending::Finished, 1), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn every_attribute_of_the_library_can_be_called_otherwise() {
    let world = open().await;
    let names = AttributeNames::default()
        .with_version("rev")
        .with_schema_version("shape")
        .with_created_at("born")
        .with_modified_at("touched")
        .with_environment("by")
        .with_write_ids("marks")
        .with_incarnation("life");
    let named = |color| table(&world, color, config().with_names(names.clone()));
    let (blue, green) = (named(Color::Blue), named(Color::Green));
    let mut stale = blue.create(crate::shop::key(), OrderV1::of(1)).await.unwrap();
    let change = |order: &mut OrderV1| order.data.total = 2;
    green.modify(&crate::shop::key(), change).await.unwrap();
    stale.value_mut().data.total = 9;
    let conflict = blue.save(&mut stale).await.unwrap_err();
    assert!(matches!(conflict, ItemError::Conflict { .. }), "{conflict}");

    let item = crate::shop::raw(&world).await.unwrap();
    let found: BTreeSet<_> = item.keys().map(String::as_str).collect();
    let expected =
        ["PK", "SK", "Data", "rev", "shape", "born", "touched", "by", "marks", "life"].into();
    assert_eq!(found, expected);
    assert_eq!((&item["rev"], &item["by"]), (&n(2), &AttributeValue::S("green".to_owned())));
}
