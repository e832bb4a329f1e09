//! Changes by expression, with the guarantees of a save.

use std::time::Duration;

use bluegreen_core::{Color, ContractVersion};
use bluegreen_items::{ItemError, Schema, Step, Table, Update};
use bluegreen_local::{Fault, Rule};

use crate::canned::{canceled, client};
use crate::shop::{
    OrderV1, TABLE, blue, calls, config, count, green, identity, key, m, n, open, put_raw, raw, s,
    schema, table,
};

const TRANSACT: &str = "TransactWriteItems";

#[tokio::test(start_paused = true)]
async fn an_update_changes_parts_in_one_call_and_stamps_them() {
    let world = open().await;
    let data = m([("total", n(1)), ("note", s("x")), ("unknown", n(3))]);
    put_raw(&world.dynamodb(), [("Data", data), ("old", n(1)), ("Version", n(4))]).await;
    let update = Update::new()
        .add("Data.total", 5)
        .append("Data.log", &[7, 8])
        .set("Data.new.name", &"y")
        .remove("old")
        .add_to_set("tags", ["a", "b"]);
    let error = green(&world).update(&key(), update).await.unwrap_err();
    assert!(matches!(error, ItemError::Refused { .. }), "a map is missing: {error}");

    let update = Update::new()
        .add("Data.total", 5)
        .append("Data.log", &[7, 8])
        .set("Data.note", &"y")
        .set_if_absent("Data.unknown", &99)
        .remove("old")
        .add_to_set("tags", ["a", "b"]);
    green(&world).update(&key(), update).await.unwrap();
    let update = Update::new().set("Data.log[0]", &9).remove_from_set("tags", ["a"]);
    green(&world).update(&key(), update).await.unwrap();
    assert_eq!(count(&world, &["GetItem", "UpdateItem", TRANSACT]), [0, 0, 3]);

    let item = raw(&world).await.unwrap();
    let log = aws_sdk_dynamodb::types::AttributeValue::L(vec![n(9), n(8)]);
    let data = m([("total", n(6)), ("note", s("y")), ("unknown", n(3)), ("log", log)]);
    assert_eq!((&item["Data"], &item["Version"]), (&data, &n(6)));
    assert_eq!(item["tags"].as_ss().unwrap(), &["b"]);
    assert_eq!((&item["EnvironmentID"], &item["SchemaVersion"]), (&s("green"), &n(1)));
    assert!(item.contains_key("IncarnationID") && item.contains_key("ModifiedAt"));
    assert!(!item.contains_key("old"));
}

#[tokio::test(start_paused = true)]
async fn whoever_read_the_item_before_an_update_meets_a_conflict() {
    let world = open().await;
    let mut item = blue(&world).create(key(), OrderV1::of(1)).await.unwrap();
    green(&world).update(&key(), Update::new().add("Data.total", 1)).await.unwrap();
    item.value_mut().data.total = 100;
    let error = blue(&world).save(&mut item).await.unwrap_err();
    let ItemError::Conflict { current } = error else { panic!("{error}") };
    assert_eq!(current.version(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn an_update_whose_reply_is_lost_is_applied_once_also_after_writes_of_others() {
    // The token tells, so that it does not matter how many an item remembers: 8.
    for foreign in [0, 8, 9, 12] {
        let world = open().await;
        blue(&world).create(key(), OrderV1::of(1)).await.unwrap();
        let blues = calls(TRANSACT).access_key("blue");
        // More often than the SDK repeats a call.
        let lost = world.faults().inject(Rule::new(blues.clone(), Fault::LostReply).first(5));
        let repetition = world.faults().hold(blues, 3);
        let (key, table) = (key(), blue(&world));
        let (updated, ()) =
            tokio::join!(table.update(&key, Update::new().add("Data.total", 1)), async {
                repetition.reached().await;
                for _ in 0..foreign {
                    let change = |order: &mut OrderV1| order.data.total += 10;
                    green(&world).modify(&key, change).await.unwrap();
                }
                repetition.release();
            });
        updated.unwrap();
        assert_eq!(lost.count(), 5);
        assert_eq!(raw(&world).await.unwrap()["Data"], m([("total", n(2 + 10 * foreign))]));
    }
}

/// An update that the service refuses without naming an item; there is one when it is looked for.
async fn missed_and_found(update: Update) -> ItemError {
    let refused = canceled(["ConditionalCheckFailed"]);
    let stored = r#"{"Item":{"PK":{"S":"ORDER#17"},"SK":{"S":"META"},"Version":{"N":"1"}}}"#;
    let client = client([(400, &*refused), (200, stored)]);
    let table = Table::new(client, TABLE, &identity(Color::Blue), config()).unwrap();
    table.update(&key(), update).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn an_update_that_missed_its_item_says_so_though_one_was_created_since() {
    let error = missed_and_found(Update::new().set("a", &1)).await;
    assert!(matches!(error, ItemError::Gone), "{error}");
    let error = missed_and_found(Update::new().set("a", &1).if_version(1)).await;
    assert!(matches!(error, ItemError::Gone), "{error}");
    // These may be in the way of the item that was found, too.
    let error = missed_and_found(Update::new().set("a", &1).if_version(2)).await;
    assert!(matches!(error, ItemError::Conflict { .. }), "{error}");
    let error = missed_and_found(Update::new().set("a", &1).if_present("b")).await;
    assert!(matches!(error, ItemError::ConditionFailed { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_update_that_is_never_answered_is_unknown_and_applied_at_most_once() {
    let world = open().await;
    blue(&world).create(key(), OrderV1::of(1)).await.unwrap();
    let _lost = world.faults().inject(Rule::new(calls(TRANSACT), Fault::LostReply));
    let updated = blue(&world).update(&key(), Update::new().add("Data.total", 1)).await;
    assert!(matches!(updated, Err(ItemError::OutcomeUnknown)), "{updated:?}");
    assert_eq!(raw(&world).await.unwrap()["Data"], m([("total", n(2))]));
}

#[tokio::test(start_paused = true)]
async fn an_update_that_cannot_be_made_says_why_and_changes_nothing() {
    let world = open().await;
    let table = blue(&world);
    let error = table.update(&key(), Update::new().add("Data.total", 1)).await.unwrap_err();
    assert!(matches!(error, ItemError::Gone), "{error}");
    assert_eq!(raw(&world).await, None, "an update creates nothing");

    table.create(key(), OrderV1::of(1)).await.unwrap();
    let take = || Update::new().add("Data.total", -1).if_at_least("Data.total", 1);
    table.update(&key(), take()).await.unwrap();
    let ItemError::ConditionFailed { current } = table.update(&key(), take()).await.unwrap_err()
    else {
        panic!("there was nothing left")
    };
    assert_eq!(current.version(), Some(2));
    let stale = Update::new().set("Data.total", &5).if_version(1);
    let error = table.update(&key(), stale).await.unwrap_err();
    assert!(matches!(error, ItemError::Conflict { .. }), "{error}");
    for (update, fits) in [
        (Update::new().set("a", &1).if_present("a"), false),
        (Update::new().set("a", &1).if_absent("a"), true),
        (Update::new().set("a", &2).if_equal("a", &2), false),
        (Update::new().set("a", &2).if_equal("a", &1).if_below("Data.total", 1), true),
    ] {
        assert_eq!(table.update(&key(), update.clone()).await.is_ok(), fits, "{update:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_update_is_refused_by_name_before_it_is_sent() {
    let world = open().await;
    let cases = [
        (Update::new(), "the value cannot be written at \"\""),
        (Update::new().set("a..b", &1), "the value cannot be written at \"a..b\""),
        (Update::new().set("PK", &1), "the value cannot be written at \"PK\""),
        (Update::new().add("Version", 1), "the value cannot be written at \"Version\""),
        (
            Update::new().add_to_set("Data.tags", ["a"]),
            "the value cannot be written at \"Data.tags\"",
        ),
        (Update::new().remove("WriteIDs[0]"), "the value cannot be written at \"WriteIDs[0]\""),
        (Update::new().set("a", &1).if_present("["), "the value cannot be written at \"[\""),
        (
            Update::new().set("a", &std::collections::BTreeMap::from([((), 1)])),
            "the value cannot be written at \"a\"",
        ),
    ];
    for (update, expected) in cases {
        assert_eq!(blue(&world).update(&key(), update).await.unwrap_err().to_string(), expected);
    }
    assert_eq!(count(&world, &[TRANSACT]), [0]);
}

#[tokio::test(start_paused = true)]
async fn an_update_speaks_of_one_schema_version_only() {
    let world = open().await;
    let v2 = ContractVersion::new(2, 0);
    let step = Step::new(1, 2, |item| {
        let total = item.remove("total").unwrap_or(n(0));
        item.insert("sum".to_owned(), total);
        Ok(())
    });
    let two = Schema::builder("Order", v2).step(step.without_down()).build().unwrap();
    let green = table(&world, Color::Green, config().with_schema(two));
    put_raw(&world.dynamodb(), [("total", n(5)), ("SchemaVersion", s("1.3"))]).await;
    green.update(&key(), Update::new().add("sum", 1)).await.unwrap();
    let item = raw(&world).await.unwrap();
    assert_eq!((&item["sum"], &item["SchemaVersion"], &item["Version"]), (&n(6), &n(2), &n(2)));
    assert_eq!(item.get("total"), None);

    let error = blue(&world).update(&key(), Update::new().add("total", 1)).await.unwrap_err();
    assert!(matches!(error, ItemError::NewerSchema { found, .. } if found == v2), "{error}");
    for label in [n(10), s("10"), s("10.2"), s("11.1")] {
        put_raw(&world.dynamodb(), [("total", n(5)), ("SchemaVersion", label)]).await;
        let error = blue(&world).update(&key(), Update::new().add("total", 1)).await.unwrap_err();
        assert!(matches!(error, ItemError::NewerSchema { .. }), "{error}");
    }
    for label in [n(1), s("1"), s("1.7")] {
        put_raw(&world.dynamodb(), [("total", n(5)), ("SchemaVersion", label)]).await;
        let blue = table(&world, Color::Blue, schema(1, 7));
        blue.update(&key(), Update::new().add("total", 1)).await.unwrap();
    }
}

/// A service that is away for longer than it remembers tokens.
#[tokio::test(start_paused = true)]
async fn an_update_in_doubt_is_not_sent_again_once_its_token_is_forgotten() {
    let world = open().await;
    blue(&world).create(key(), OrderV1::of(1)).await.unwrap();
    let patient = config().with_budget(Duration::from_secs(30 * 60));
    let table = table(&world, Color::Blue, patient);
    // Applied, and the reply is lost; then nobody answers for eleven minutes.
    world.faults().inject(Rule::new(calls(TRANSACT), Fault::LostReply).first(1)).keep();
    let away = world.faults().inject(Rule::new(calls(TRANSACT), Fault::Unavailable));
    let updating =
        tokio::spawn(
            async move { table.update(&key(), Update::new().add("Data.total", -5)).await },
        );
    tokio::time::sleep(Duration::from_secs(11 * 60)).await;
    drop(away);
    let outcome = updating.await.unwrap();
    assert!(matches!(outcome, Err(ItemError::OutcomeUnknown)), "{outcome:?}");
    let item = raw(&world).await.unwrap();
    assert_eq!(item["Data"].as_m().unwrap()["total"], n(-4), "applied once");
}

#[tokio::test(start_paused = true)]
async fn none_removes_an_attribute_at_every_depth_as_a_save_does() {
    let world = open().await;
    let table = blue(&world);
    let mut order = OrderV1::of(1);
    order.data.note = Some("x".to_owned());
    table.create(key(), order.clone()).await.unwrap();
    let nothing = None::<String>;
    let if_noted = Update::new().add("count", 1).if_equal("Data.note", &nothing);
    let error = table.update(&key(), if_noted.clone()).await.unwrap_err();
    assert!(matches!(error, ItemError::ConditionFailed { .. }), "{error}");
    table.update(&key(), Update::new().set("Data.note", &nothing)).await.unwrap();
    assert!(!raw(&world).await.unwrap()["Data"].as_m().unwrap().contains_key("note"));
    table.update(&key(), if_noted).await.unwrap();

    order.data.note = None;
    let update = Update::new().set("Data", &order.data).set_if_absent("more", &nothing);
    table.update(&key(), update).await.unwrap();
    let item = raw(&world).await.unwrap();
    assert_eq!((&item["Data"], item.contains_key("more")), (&m([("total", n(1))]), false));
    assert_eq!(table.get::<OrderV1>(&key()).await.unwrap().unwrap().into_value(), order);
}

#[tokio::test(start_paused = true)]
async fn an_update_of_an_item_without_a_label_claims_no_minor_version() {
    let world = open().await;
    put_raw(&world.dynamodb(), [("Data", m([("total", n(1))]))]).await;
    let table = table(&world, Color::Blue, schema(1, 3));
    table.update(&key(), Update::new().add("Data.total", 1)).await.unwrap();
    assert_eq!(raw(&world).await.unwrap()["SchemaVersion"], n(1));
    table.modify(&key(), |order: &mut OrderV1| order.data.total += 1).await.unwrap();
    assert_eq!(raw(&world).await.unwrap()["SchemaVersion"], s("1.3"));
}
