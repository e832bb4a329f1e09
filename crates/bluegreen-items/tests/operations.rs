//! Creating, reading, changing and deleting, and what each costs.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use bluegreen_core::{Clock, Color};
use bluegreen_items::{ItemError, Key, Saved, Upserted, Versioned};
use bluegreen_local::{Fault, Rule};
use serde::{Deserialize, Serialize};

use crate::shop::{OrderV1, blue, calls, config, count, green, key, m, n, open, raw, s, table};

const OPERATIONS: [&str; 4] = ["GetItem", "PutItem", "UpdateItem", "DeleteItem"];

#[tokio::test(start_paused = true)]
async fn success_costs_one_call_each() {
    let world = open().await;
    let table = blue(&world);
    let mut item = table.create(key(), OrderV1::of(1)).await.unwrap();
    assert_eq!(count(&world, &OPERATIONS), [0, 1, 0, 0]);
    item.value_mut().data.total = 2;
    table.save(&mut item).await.unwrap();
    assert_eq!(count(&world, &OPERATIONS), [0, 1, 1, 0]);
    table.modify(&key(), |order: &mut OrderV1| order.data.total = 3).await.unwrap();
    assert_eq!(count(&world, &OPERATIONS), [1, 1, 2, 0]);
    table.upsert(key(), OrderV1::of(4)).await.unwrap();
    assert_eq!(count(&world, &OPERATIONS), [1, 2, 3, 0], "the refusal carried the item");
    let mut item = table.get::<OrderV1>(&key()).await.unwrap().unwrap();
    table.delete(&mut item).await.unwrap();
    assert_eq!(count(&world, &OPERATIONS), [2, 2, 3, 1]);
    table.upsert(key(), OrderV1::of(5)).await.unwrap();
    assert_eq!(count(&world, &OPERATIONS), [2, 3, 3, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_did_not_change_is_not_written() {
    let world = open().await;
    let table = blue(&world);
    let mut item = table.create(key(), OrderV1::of(1)).await.unwrap();
    assert_eq!(table.save(&mut item).await.unwrap(), Saved::Unchanged);
    item.value_mut().data.total = 1;
    assert_eq!(table.save(&mut item).await.unwrap(), Saved::Unchanged);
    let mut item = table.get::<OrderV1>(&key()).await.unwrap().unwrap();
    assert_eq!(table.save(&mut item).await.unwrap(), Saved::Unchanged);
    assert_eq!(count(&world, &OPERATIONS), [1, 1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn stamps_follow_the_clock_and_name_the_color() {
    let world = open().await;
    let start = UNIX_EPOCH + Duration::from_secs(1_000);
    let clock = Clock::starting_at(start);
    let blue = table(&world, Color::Blue, config().with_clock(clock));
    let green = table(&world, Color::Green, config().with_clock(clock));
    blue.create(key(), OrderV1::of(1)).await.unwrap();
    let first = raw(&world).await.unwrap();
    assert_eq!(first["CreatedAt"], first["ModifiedAt"]);
    assert_eq!(first["CreatedAt"], s("1970-01-01T00:16:40Z"));

    tokio::time::advance(Duration::from_secs(60)).await;
    let item = green.modify(&key(), |order: &mut OrderV1| order.data.total = 2).await.unwrap();
    let stored = blue.get::<OrderV1>(&key()).await.unwrap().unwrap();
    for item in [item, stored] {
        assert_eq!(item.environment(), Some(Color::Green));
        assert_eq!(item.created_at(), Some(start));
        let since = item.modified_at().unwrap().duration_since(start).unwrap();
        assert_eq!(since.as_secs(), 60);
        assert_eq!(item.version(), Some(2));
        assert_eq!(*item.key(), key());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_memory_after_a_save_is_what_is_stored() {
    let world = open().await;
    let table = blue(&world);
    let mut item = table.create(key(), OrderV1::of(1)).await.unwrap();
    assert_eq!(Some(item.stored().unwrap().attributes().clone()), raw(&world).await);
    item.value_mut().data.note = Some("x".to_owned());
    table.save(&mut item).await.unwrap();
    assert_eq!(Some(item.stored().unwrap().attributes().clone()), raw(&world).await);
}

#[tokio::test(start_paused = true)]
async fn creating_what_exists_is_told_apart_and_carries_the_item() {
    let world = open().await;
    green(&world).create(key(), OrderV1::of(7)).await.unwrap();
    let error = blue(&world).create(key(), OrderV1::of(1)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the item exists already: the item is at version 1, written by green"
    );
    let ItemError::AlreadyExists { current } = error else { panic!("{error}") };
    let current = blue(&world).read::<OrderV1>(current.into_attributes()).unwrap();
    assert_eq!(current.value().data.total, 7);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_gone() {
    let world = open().await;
    let table = blue(&world);
    assert!(table.get::<OrderV1>(&key()).await.unwrap().is_none());
    assert!(table.get_eventually_consistent::<OrderV1>(&key()).await.unwrap().is_none());
    let error = table.modify(&key(), |_: &mut OrderV1| {}).await.unwrap_err();
    assert!(matches!(error, ItemError::Gone));
    let mut never = Versioned::new(key(), OrderV1::of(1));
    assert!(matches!(table.delete(&mut never).await, Err(ItemError::Gone)));
    let mut item = table.create(key(), OrderV1::of(1)).await.unwrap();
    let mut twin = table.get::<OrderV1>(&key()).await.unwrap().unwrap();
    table.delete(&mut item).await.unwrap();
    assert!(matches!(table.delete(&mut twin).await, Err(ItemError::Gone)));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_refuses_leaves_the_item_alone() {
    #[derive(Debug)]
    enum Refusal {
        TooCheap,
        Item(#[expect(dead_code, reason = "shown by a failing test")] ItemError),
    }
    impl From<ItemError> for Refusal {
        fn from(error: ItemError) -> Self {
            Self::Item(error)
        }
    }
    let world = open().await;
    let (table, key) = (blue(&world), key());
    table.create(key.clone(), OrderV1::of(1)).await.unwrap();
    let refused = table.try_modify(&key, |order: &mut OrderV1| {
        order.data.total = 0;
        Err(Refusal::TooCheap)
    });
    assert!(matches!(refused.await, Err(Refusal::TooCheap)));
    assert_eq!(raw(&world).await.unwrap()["Data"], m([("total", n(1))]));
}

#[tokio::test(start_paused = true)]
async fn an_upsert_of_an_item_deleted_meanwhile_creates_it() {
    let world = open().await;
    let table = blue(&world);
    let mut item = table.create(key(), OrderV1::of(1)).await.unwrap();
    let update = world.faults().hold(calls("UpdateItem"), 1);
    let (upserted, ()) = tokio::join!(table.upsert(key(), OrderV1::of(2)), async {
        update.reached().await;
        green(&world).delete(&mut item).await.unwrap();
        update.release();
    });
    let Upserted::Created(item) = upserted.unwrap() else { panic!("it was created") };
    assert_eq!(item.version(), Some(1));
    assert_eq!(raw(&world).await.unwrap()["Data"], m([("total", n(2))]));
}

#[tokio::test(start_paused = true)]
async fn an_upsert_tells_what_it_did_and_may_be_declined() {
    let world = open().await;
    let table = blue(&world);
    let cheaper = |total: u64| move |stored: &OrderV1| total < stored.data.total;
    let name = |upserted: &Upserted<OrderV1>| match upserted {
        Upserted::Created(_) => "created",
        Upserted::Updated(_) => "updated",
        Upserted::Unchanged(_) => "unchanged",
        Upserted::Declined(_) => "declined",
        _ => "?",
    };
    let cases =
        [(5, "created", 1, 5), (7, "declined", 1, 5), (3, "updated", 2, 3), (3, "declined", 2, 3)];
    for (total, expected, version, stored) in cases {
        let upserted = table.upsert_if(key(), OrderV1::of(total), cheaper(total)).await.unwrap();
        assert_eq!(name(&upserted), expected);
        let item = upserted.into_item();
        assert_eq!((item.version(), item.value().data.total), (Some(version), stored));
    }
    let upserted = table.upsert(key(), OrderV1::of(3)).await.unwrap();
    assert_eq!((name(&upserted), upserted.item().version()), ("unchanged", Some(2)));
}

#[tokio::test(start_paused = true)]
async fn a_declined_upsert_is_judged_by_the_item_that_came_between() {
    let world = open().await;
    let table = blue(&world);
    table.create(key(), OrderV1::of(10)).await.unwrap();
    let update = world.faults().hold(calls("UpdateItem").access_key("blue"), 1);
    let cheaper = |stored: &OrderV1| stored.data.total > 5;
    let (upserted, ()) = tokio::join!(table.upsert_if(key(), OrderV1::of(5), cheaper), async {
        update.reached().await;
        let key = key();
        green(&world).modify(&key, |order: &mut OrderV1| order.data.total = 2).await.unwrap();
        update.release();
    });
    let Upserted::Declined(item) = upserted.unwrap() else { panic!("2 is cheaper than 5") };
    assert_eq!(item.value().data.total, 2);
}

#[tokio::test(start_paused = true)]
async fn a_time_to_live_is_stored_as_dynamodb_acts_on_it() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Session {
        ttl: Option<bluegreen_items::Ttl>,
    }
    let world = open().await;
    let spec = aws_sdk_dynamodb::types::TimeToLiveSpecification::builder();
    let spec = spec.attribute_name("ttl").enabled(true).build().unwrap();
    let set = world.dynamodb().update_time_to_live().table_name(crate::shop::TABLE);
    set.time_to_live_specification(spec).send().await.unwrap();
    let table = blue(&world);
    let now = world.clock().now();
    let ttl = bluegreen_items::Ttl::after(now, Duration::from_secs(60));
    let mut item = table.create(key(), Session { ttl: Some(ttl) }).await.unwrap();
    assert_eq!(raw(&world).await.unwrap()["ttl"], n(ttl.as_secs()));
    assert_eq!(world.dynamodb_service().sweep_expired(), 0);
    item.value_mut().ttl = Some(bluegreen_items::Ttl::at(now - Duration::from_secs(60)));
    table.save(&mut item).await.unwrap();
    assert!(item.value().ttl.unwrap().has_passed(now));
    assert_eq!(world.dynamodb_service().sweep_expired(), 1);
    item.value_mut().ttl = None;
    assert!(matches!(table.save(&mut item).await, Err(ItemError::Gone)));
}

#[tokio::test(start_paused = true)]
async fn a_change_looks_again_for_an_item_that_could_not_be_read() {
    let world = open().await;
    let table = blue(&world);
    table.create(key(), OrderV1::of(1)).await.unwrap();
    // More often than the SDK repeats a call.
    let reset = world.faults().inject(Rule::new(calls("GetItem"), Fault::Reset).first(5));
    let changed = table.modify(&key(), |order: &mut OrderV1| order.data.total += 1).await;
    assert_eq!((changed.unwrap().value().data.total, reset.count()), (2, 5));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_only_ever_turned_away_is_not_in_doubt() {
    let world = open().await;
    let table = blue(&world);
    table.create(key(), OrderV1::of(1)).await.unwrap();
    let _throttled = world.faults().inject(Rule::new(calls("UpdateItem"), Fault::Throttle));
    let error = table.modify(&key(), |order: &mut OrderV1| order.data.total = 2).await;
    assert!(matches!(error, Err(ItemError::Throttled { .. })), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_item_too_large_is_refused_before_it_is_sent() {
    let world = open().await;
    let mut order = OrderV1::of(1);
    order.data.note = Some("x".repeat(410_000));
    let error = blue(&world).create(key(), order).await.unwrap_err();
    assert!(matches!(error, ItemError::TooLarge { limit: 409_600, .. }), "{error}");
    assert_eq!(count(&world, &OPERATIONS), [0, 0, 0, 0]);
}

/// An item of any number of fields, all of them numbers; key and stamps are none.
#[derive(Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, Field>")]
struct Wide(BTreeMap<String, u32>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Field {
    Number(u32),
    Other(serde::de::IgnoredAny),
}

impl From<BTreeMap<String, Field>> for Wide {
    fn from(fields: BTreeMap<String, Field>) -> Self {
        let numbers = fields.into_iter().filter_map(|(name, field)| match field {
            Field::Number(number) if name.starts_with('a') => Some((name, number)),
            Field::Number(_) | Field::Other(_) => None,
        });
        Self(numbers.collect())
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_whose_change_outgrows_an_expression_is_written_whole() {
    let world = open().await;
    let table = blue(&world);
    let wide = |from: u32, to: u32| -> BTreeMap<String, u32> {
        (from..to).map(|index| (format!("a{index}"), index)).collect()
    };
    let mut item = table.create(key(), Wide(wide(0, 1))).await.unwrap();
    item.value_mut().0.extend(wide(1, 400));
    table.save(&mut item).await.unwrap();
    assert_eq!(count(&world, &OPERATIONS), [0, 2, 0, 0]);
    let stored = raw(&world).await.unwrap();
    assert_eq!((&stored["Version"], &stored["a399"]), (&n(2), &n(399)));
    assert_eq!(item.stored().unwrap().attributes(), &stored);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_does_not_fit_is_refused_before_it_is_sent() {
    let world = open().await;
    let error = blue(&world).get::<OrderV1>(&Key::new("ORDER#17")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the key \"ORDER#17\" is wrong: the table has a sort key and the key has none"
    );
    assert_eq!(count(&world, &OPERATIONS), [0, 0, 0, 0]);
}

#[tokio::test]
async fn calls_can_be_spawned() {
    let world = open().await;
    let table = blue(&world);
    let task = tokio::spawn(async move {
        table.create(key(), OrderV1::of(1)).await?;
        table.upsert(key(), OrderV1::of(2)).await?;
        table.modify(&key(), |order: &mut OrderV1| order.data.total += 1).await
    });
    assert_eq!(task.await.unwrap().unwrap().value().data.total, 3);
}
