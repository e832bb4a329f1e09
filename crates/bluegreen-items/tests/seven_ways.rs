//! The ways in which the article's `SaveItem` loses updates, one test each.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bluegreen_core::Color;
use bluegreen_items::{ItemError, Saved};
use bluegreen_local::{Fault, Rule};

use crate::shop::{
    OrderV1, attributes, blue, calls, green, key, m, n, open, put_raw, raw, s, schema, table,
};

#[tokio::test(start_paused = true)]
async fn way_1_a_loser_that_simply_tries_again_does_not_overwrite_the_winner() {
    let world = open().await;
    let mut loser = blue(&world).create(key(), OrderV1::of(1)).await.unwrap();
    let mut winner = green(&world).get::<OrderV1>(&key()).await.unwrap().unwrap();
    winner.value_mut().data.total = 10;
    green(&world).save(&mut winner).await.unwrap();

    loser.value_mut().data.total = 100;
    for _ in 0..3 {
        let error = blue(&world).save(&mut loser).await.unwrap_err();
        assert!(matches!(error, ItemError::Conflict { .. }), "{error}");
        assert_eq!(loser.version(), Some(1), "the version in memory stays");
        let current = blue(&world).read::<OrderV1>(error.current().unwrap().attributes().clone());
        assert_eq!(current.unwrap().value().data.total, 10, "the error carries the winner's");
        assert_eq!(error.current().unwrap().environment(), Some(Color::Green));
    }
}

#[tokio::test(start_paused = true)]
async fn way_2_a_stale_writer_does_not_raise_a_deleted_item_from_the_dead() {
    let world = open().await;
    let mut stale = blue(&world).create(key(), OrderV1::of(1)).await.unwrap();
    let mut other = green(&world).get::<OrderV1>(&key()).await.unwrap().unwrap();
    green(&world).delete(&mut other).await.unwrap();

    stale.value_mut().data.total = 2;
    let error = blue(&world).save(&mut stale).await.unwrap_err();
    assert!(matches!(error, ItemError::Gone), "{error}");
    assert_eq!(raw(&world).await, None);
}

#[tokio::test(start_paused = true)]
async fn way_3_an_item_deleted_and_created_anew_is_not_mistaken_for_the_old_one() {
    let world = open().await;
    let mut stale = blue(&world).create(key(), OrderV1::of(1)).await.unwrap();
    let mut other = green(&world).get::<OrderV1>(&key()).await.unwrap().unwrap();
    green(&world).delete(&mut other).await.unwrap();
    let anew = green(&world).create(key(), OrderV1::of(7)).await.unwrap();
    assert_eq!(anew.version(), stale.version(), "the version alone does not tell them apart");

    stale.value_mut().data.total = 2;
    let error = blue(&world).save(&mut stale).await.unwrap_err();
    assert!(matches!(error, ItemError::Conflict { .. }), "{error}");
    let error = blue(&world).delete(&mut stale).await.unwrap_err();
    assert!(matches!(error, ItemError::Conflict { .. }), "{error}");
    assert_eq!(raw(&world).await.unwrap()["Data"], m([("total", n(7))]));
}

#[tokio::test(start_paused = true)]
async fn way_4_an_item_without_a_version_is_adopted_by_one_writer() {
    let world = open().await;
    put_raw(&world.dynamodb(), [("Data", m([("total", n(1))])), ("ttl", n(99))]).await;
    let mut first = blue(&world).get::<OrderV1>(&key()).await.unwrap().unwrap();
    let mut second = green(&world).get::<OrderV1>(&key()).await.unwrap().unwrap();
    assert_eq!(first.version(), None);

    first.value_mut().data.total = 2;
    assert_eq!(blue(&world).save(&mut first).await.unwrap(), Saved::Written);
    assert_eq!(first.version(), Some(1));
    second.value_mut().data.total = 3;
    let error = green(&world).save(&mut second).await.unwrap_err();
    assert!(matches!(error, ItemError::Conflict { .. }), "{error}");

    let item = raw(&world).await.unwrap();
    assert_eq!((&item["Version"], &item["ttl"]), (&n(1), &n(99)));
    assert_eq!(item.get("CreatedAt"), None, "nobody knows when it was created");
}

#[tokio::test(start_paused = true)]
async fn way_4_adopting_an_item_deleted_meanwhile_does_not_create_it() {
    let world = open().await;
    put_raw(&world.dynamodb(), [("Data", m([("total", n(1))]))]).await;
    let mut item = blue(&world).get::<OrderV1>(&key()).await.unwrap().unwrap();
    let mut other = green(&world).get::<OrderV1>(&key()).await.unwrap().unwrap();
    green(&world).delete(&mut other).await.unwrap();
    item.value_mut().data.total = 2;
    assert!(matches!(blue(&world).save(&mut item).await, Err(ItemError::Gone)));
    assert_eq!(raw(&world).await, None);
}

#[tokio::test(start_paused = true)]
async fn way_5_a_write_drops_neither_index_keys_nor_ttl_nor_schema_version() {
    let world = open().await;
    let created = "2024-01-01T00:00:00Z";
    let extra = [
        ("Data", m([("total", n(1))])),
        ("Version", n(4)),
        ("SchemaVersion", n(2)),
        ("CreatedAt", s(created)),
        ("GSI1PK", s("CUSTOMER#3")),
        ("ttl", n(1_800_000_000)),
    ];
    put_raw(&world.dynamodb(), extra.clone()).await;
    let table = table(&world, Color::Green, schema(2, 0));
    table.modify(&key(), |order: &mut OrderV1| order.data.total = 2).await.unwrap();
    let item = raw(&world).await.unwrap();
    for name in ["SchemaVersion", "CreatedAt", "GSI1PK", "ttl"] {
        assert_eq!(item[name], attributes(extra.clone())[name], "{name}");
    }
    assert_eq!(item["Version"], n(5));
}

#[tokio::test(start_paused = true)]
async fn way_6_a_success_whose_answer_is_lost_is_no_conflict() {
    let world = open().await;
    let table = blue(&world);
    let mut item = table.create(key(), OrderV1::of(1)).await.unwrap();
    item.value_mut().data.total = 2;
    let lost = world.faults().inject(Rule::new(calls("UpdateItem"), Fault::LostReply).first(1));
    assert_eq!(table.save(&mut item).await.unwrap(), Saved::Written);
    assert_eq!((lost.count(), item.version()), (1, Some(2)));
    assert_eq!(raw(&world).await.unwrap()["Version"], n(2), "applied once");
    item.value_mut().data.total = 3;
    table.save(&mut item).await.unwrap();
    assert_eq!(item.version(), Some(3), "and the copy goes on from there");
}

/// One of each kind that Go's `map[string]interface{}` cannot hold.
fn delicate() -> AttributeValue {
    m([
        ("digits", n("12345678901234567890123456789012345678")),
        ("names", AttributeValue::Ss(vec!["a".into(), "b".into()])),
        ("numbers", AttributeValue::Ns(vec!["1".into(), "2".into()])),
        ("blobs", AttributeValue::Bs(vec![Blob::new([0, 255])])),
        ("bytes", AttributeValue::B(Blob::new([1, 2, 3]))),
        ("nothing", AttributeValue::Null(true)),
    ])
}

#[tokio::test(start_paused = true)]
async fn way_7_numbers_and_sets_keep_their_type_and_digits() {
    let world = open().await;
    let data = m([("total", n(1)), ("below", delicate())]);
    put_raw(&world.dynamodb(), [("Data", data), ("beside", delicate())]).await;
    blue(&world).modify(&key(), |order: &mut OrderV1| order.data.total = 2).await.unwrap();
    let item = raw(&world).await.unwrap();
    assert_eq!(item["beside"], delicate());
    assert_eq!(item["Data"], m([("total", n(2)), ("below", delicate())]));
}

#[tokio::test(start_paused = true)]
async fn way_8_every_class_of_failure_that_passes_is_tried_again() {
    let world = open().await;
    let table = blue(&world);
    table.create(key(), OrderV1::of(0)).await.unwrap();
    let faults =
        [Fault::Throttle, Fault::InternalError, Fault::Unavailable, Fault::Reset, Fault::LostReply];
    for (fault, total) in faults.into_iter().zip(1..) {
        // More often than the SDK itself repeats a call.
        let struck = world.faults().inject(Rule::new(calls("UpdateItem"), fault).first(5));
        let item = table.modify(&key(), |order: &mut OrderV1| order.data.total += 1).await;
        assert_eq!(item.unwrap().value().data.total, total, "{fault:?}");
        assert_eq!(struck.count(), 5);
        let item = raw(&world).await.unwrap();
        assert_eq!(item["Data"], m([("total", n(total))]), "{fault:?}: applied once");
    }
    let names: BTreeMap<_, _> = raw(&world).await.unwrap().into_iter().collect();
    assert_eq!(names["Version"], n(6));
}
