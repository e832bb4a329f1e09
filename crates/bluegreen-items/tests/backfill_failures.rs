//! What cannot be migrated is named and stops nothing; what the service cannot do at the end costs
//! no report.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use bluegreen_core::{Color, ContractVersion, Stop};
use bluegreen_items::{
    Attributes, Backfill, BackfillConfig, BackfillError, Ending, ItemError, Key, Schema, Step,
    Table,
};
use bluegreen_local::{Fault, Rule, World};

use crate::backfill::{Summed, all, fill, green, put, resumable, run, small};
use crate::canned::recording;
use crate::shop::{
    OrderV1, TABLE, attributes, blue, calls, config, identity, m, n, open, s, table,
};

/// Its calls are signed by blue, and green's are the items'.
fn remembering(world: &World) -> BackfillConfig {
    let key = Key::new("BACKFILL").with_sk("Order 2");
    small().with_checkpoint(blue(world), key).with_checkpoint_interval(Duration::ZERO)
}

async fn put_unreadable(world: &World, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let item = attributes([("Data", m([("total", s("many"))]))]);
        put(world, &format!("ORDER#{number}"), item).await;
    }
}

/// A table whose index has the region as its key, a text.
async fn open_with_index() -> World {
    let world = World::new();
    let attribute = |name: &str| {
        let definition = AttributeDefinition::builder().attribute_name(name);
        definition.attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let part = |name: &str, kind| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
    };
    let projection = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
    let index = GlobalSecondaryIndex::builder()
        .index_name("by-region")
        .key_schema(part("region", KeyType::Hash))
        .projection(projection)
        .build()
        .unwrap();
    let create = world.dynamodb().create_table().table_name(TABLE);
    create
        .set_attribute_definitions(Some(["PK", "SK", "region"].map(attribute).to_vec()))
        .key_schema(part("PK", KeyType::Hash))
        .key_schema(part("SK", KeyType::Range))
        .global_secondary_indexes(index)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
    world
}

#[tokio::test(start_paused = true)]
async fn an_item_that_the_service_refuses_is_named_and_the_others_are_migrated() {
    let world = open_with_index().await;
    fill(&world, 20).await;
    // The seventh gets an attribute that the index cannot take.
    let up = |item: &mut Attributes| {
        if item["PK"] == s("ORDER#7") {
            item.insert("region".to_owned(), n(7));
        }
        Ok(())
    };
    let step = Step::new(1, 2, up).without_down();
    let schema = Schema::builder("Order", ContractVersion::new(2, 0)).step(step).build().unwrap();
    let orders = table(&world, Color::Green, config().with_schema(schema));
    let (_handle, backfill) = Backfill::<OrderV1>::new(&orders, small()).unwrap();
    let report = backfill.run(Stop::never()).await.unwrap();
    assert_eq!((report.ending, report.progress.migrated), (Ending::Finished, 19));
    assert_eq!(report.progress.failed, 1);
    let failure = &report.failures[0];
    assert_eq!(failure.key.as_ref().unwrap().to_string(), "ORDER#7/META");
    assert!(matches!(failure.error, ItemError::Refused { .. }), "{:?}", failure.error);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_the_step_makes_too_large_is_named() {
    let world = open().await;
    fill(&world, 5).await;
    let up = |item: &mut Attributes| {
        if item["PK"] == s("ORDER#3") {
            item.insert("padding".to_owned(), s(&"x".repeat(400 * 1024)));
        }
        Ok(())
    };
    let step = Step::new(1, 2, up).without_down();
    let schema = Schema::builder("Order", ContractVersion::new(2, 0)).step(step).build().unwrap();
    let orders = table(&world, Color::Green, config().with_schema(schema));
    let (_handle, backfill) = Backfill::<OrderV1>::new(&orders, small()).unwrap();
    let report = backfill.run(Stop::never()).await.unwrap();
    assert_eq!((report.progress.migrated, report.progress.failed), (4, 1));
    assert!(matches!(report.failures[0].error, ItemError::TooLarge { .. }));
}

#[tokio::test(start_paused = true)]
async fn too_many_failures_end_the_run_and_are_named() {
    let world = open().await;
    fill(&world, 5).await;
    put_unreadable(&world, 5..12).await;
    let error = run(&green(&world), remembering(&world).with_max_failures(3)).await.unwrap_err();
    assert_eq!(error.to_string(), "more than 3 items could not be migrated");
    let BackfillError::TooManyFailures { most: 3, failures } = error else { panic!("{error:?}") };
    assert_eq!(failures.len(), 4);
    assert!(failures.iter().all(|failure| failure.key.is_some()));
    let report = run(&green(&world), remembering(&world).with_max_failures(7)).await.unwrap();
    assert_eq!((report.ending, report.progress.failed), (Ending::Finished, 7));

    let dry = remembering(&world).with_max_failures(0).dry_run();
    let report = run(&green(&world), dry).await.unwrap();
    assert_eq!(report.progress.failed, 7, "a dry run counts them all");
}

#[tokio::test(start_paused = true)]
async fn what_failed_before_the_run_was_resumed_is_still_named_at_its_end() {
    let world = open().await;
    put_unreadable(&world, 0..15).await;
    fill_after(&world, 15..40).await;
    let config = || remembering(&world).with_segments(1).with_parallel(1);
    let (handle, backfill) = Backfill::<Summed>::new(&green(&world), config()).unwrap();
    let held = world.faults().hold(calls("UpdateItem").access_key("green"), 15);
    tokio::select! {
        biased;
        report = backfill.run(Stop::never()) => panic!("it was held: {report:?}"),
        () = held.reached() => {}
    }
    drop(held);
    let before = handle.progress();
    assert!(before.failed > 0, "{before:?}");
    let report = run(&green(&world), config()).await.unwrap();
    assert_eq!((report.progress.failed, report.progress.migrated), (15, 25));
    let earlier = report.earlier.len();
    assert!(earlier > 0 && (earlier == 10 || earlier + report.failures.len() == 15), "{report:?}");
    let first = &report.earlier[0];
    assert!(first.key.is_some(), "{first:?}");
    assert_eq!(first.reason, "the item cannot be taken from schema version 1 to 2");
}

async fn fill_after(world: &World, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let item = attributes([("Data", m([("total", n(number))]))]);
        put(world, &format!("ORDER#{number}"), item).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_fails_at_the_end_costs_no_report() {
    for operation in ["UpdateItem", "DeleteItem"] {
        let world = open().await;
        fill(&world, 10).await;
        // One page: the only write of the checkpoint after its creation is the last.
        let config = || remembering(&world).with_segments(1).with_page(100);
        {
            let rule = Rule::new(calls(operation).access_key("blue"), Fault::AccessDenied);
            let _denied = world.faults().inject(rule);
            let report = run(&green(&world), config()).await.unwrap();
            let found = (report.ending, report.progress.migrated);
            assert_eq!(found, (Ending::Finished, 10), "{operation}");
        }
        assert_eq!(all(&world).await.len(), if operation == "DeleteItem" { 11 } else { 10 });
        // What was left behind says that nothing is left, and is no reason to look at nothing.
        put(&world, "ORDER#10", attributes([("Data", m([("total", n(10))]))])).await;
        let report = run(&green(&world), config()).await.unwrap();
        assert_eq!(report.progress.migrated, 1, "{operation}");
        assert_eq!(all(&world).await.len(), 11, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_backfill_reads_consistently_and_a_dry_run_at_half_the_price() {
    for (dry_run, expected) in
        [(false, "\"ConsistentRead\":true"), (true, "\"ConsistentRead\":false")]
    {
        let (client, requests) = recording([(200, "{}"), (200, "{}")]);
        let orders = Table::new(client, TABLE, &identity(Color::Green), config()).unwrap();
        let config = BackfillConfig::default().with_segments(1);
        let config = if dry_run { config.dry_run() } else { config };
        run(&orders, config).await.unwrap();
        let requests = requests.lock().unwrap();
        let scan = requests.iter().find(|body| body.contains("TotalSegments")).unwrap();
        assert!(scan.contains(expected), "{scan}");
    }
}

/// The stand-in knows no ARNs, which the service takes for a name: canned answers stand for it.
#[tokio::test(start_paused = true)]
async fn a_checkpoint_in_a_table_named_by_its_arn_is_no_item() {
    const CHECKPOINT: &str = r#"{"Items":[{"PK":{"S":"BACKFILL"},"SK":{"S":"Order 2"}}]}"#;
    let arn = format!("arn:aws:dynamodb:eu-central-1:123456789012:table/{TABLE}");
    for (items, of_checkpoint) in [(TABLE, &*arn), (&*arn, TABLE), (&*arn, &*arn)] {
        let handle = |name: &str, answers: &[(u16, &str)]| {
            let client = match answers {
                [] => recording([(200, "{}"); 9]).0,
                _ => recording([(200, "{}"), (200, CHECKPOINT)]).0,
            };
            Table::new(client, name, &identity(Color::Green), config()).unwrap()
        };
        let key = Key::new("BACKFILL").with_sk("Order 2");
        let config = BackfillConfig::default()
            .with_segments(1)
            .with_checkpoint(handle(of_checkpoint, &[]), key);
        let report = run(&handle(items, &[(200, "")]), config).await.unwrap();
        assert_eq!((report.progress.unchanged, report.progress.failed), (1, 0), "{report:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn more_segments_than_a_checkpoint_has_room_for_are_refused() {
    let world = open().await;
    let config = resumable(&world).with_segments(101);
    let error = Backfill::<Summed>::new(&green(&world), config).unwrap_err();
    assert_eq!(error.to_string(), "segments \"101\" is more than a checkpoint has room for: 100");
    assert!(Backfill::<Summed>::new(&green(&world), small().with_segments(1000)).is_ok());
}
