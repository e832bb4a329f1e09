//! Our own write whose reply was lost is recognized, however the reply was lost, and never applied
//! a second time.

use bluegreen_items::{ItemError, Saved, Table, Update, Versioned};
use bluegreen_local::{Fault, Rule, World};

use crate::shop::{OrderV1, blue, calls, config, green, key, m, n, open, put_raw, raw, s, table};
use bluegreen_core::Color;

async fn foreign_writes(world: &World, count: usize) {
    for _ in 0..count {
        green(world).modify(&key(), |order: &mut OrderV1| order.data.total += 1).await.unwrap();
    }
}

/// Saves a change whose reply is lost, and lets others write before the SDK repeats it.
async fn save_with_foreign_writes_between(
    world: &World,
    table: &Table,
    item: &mut Versioned<OrderV1>,
    foreign: usize,
) -> Result<Saved, ItemError> {
    item.value_mut().data.note = Some("ours".to_owned());
    let blues = calls("UpdateItem").access_key("blue");
    let _lost = world.faults().inject(Rule::new(blues.clone(), Fault::LostReply).first(1));
    let repetition = world.faults().hold(blues, 2);
    let (saved, ()) = tokio::join!(table.save(item), async {
        repetition.reached().await;
        foreign_writes(world, foreign).await;
        repetition.release();
    });
    saved
}

#[tokio::test(start_paused = true)]
async fn a_write_is_recognized_with_k_foreign_writes_between() {
    for (remembered, foreign) in [(8, 0), (8, 1), (8, 8), (3, 3)] {
        let world = open().await;
        let table = table(&world, Color::Blue, config().with_remembered_writes(remembered));
        let mut item = table.create(key(), OrderV1::of(1)).await.unwrap();
        let saved = save_with_foreign_writes_between(&world, &table, &mut item, foreign).await;
        assert_eq!(saved.unwrap(), Saved::Written, "{foreign}");
        assert_eq!(item.version(), Some(2), "the copy is at its own write, not at the others'");
        let version = raw(&world).await.unwrap()["Version"].clone();
        assert_eq!(version, n(2 + foreign), "applied once");
    }
}

#[tokio::test(start_paused = true)]
async fn with_one_foreign_write_more_the_outcome_is_unknown() {
    let world = open().await;
    let table = blue(&world);
    let mut item = table.create(key(), OrderV1::of(1)).await.unwrap();
    let saved = save_with_foreign_writes_between(&world, &table, &mut item, 9).await;
    assert!(matches!(saved, Err(ItemError::OutcomeUnknown)), "{saved:?}");
    assert_eq!(raw(&world).await.unwrap()["Version"], n(11), "nothing was applied twice");
}

#[tokio::test(start_paused = true)]
async fn a_writer_far_behind_whose_write_went_out_once_has_a_plain_conflict() {
    let world = open().await;
    let mut item = blue(&world).create(key(), OrderV1::of(1)).await.unwrap();
    foreign_writes(&world, 30).await;
    item.value_mut().data.total = 2;
    let error = blue(&world).save(&mut item).await.unwrap_err();
    assert!(matches!(error, ItemError::Conflict { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_save_that_failed_altogether_is_settled_by_the_next_one() {
    let world = open().await;
    let table = blue(&world);
    let mut item = table.create(key(), OrderV1::of(1)).await.unwrap();
    item.value_mut().data.log.push(1);
    {
        let _lost = world.faults().inject(Rule::new(calls("UpdateItem"), Fault::LostReply));
        let error = table.save(&mut item).await.unwrap_err();
        assert!(matches!(error, ItemError::Unavailable { .. }) && error.is_retryable(), "{error}");
    }
    foreign_writes(&world, 2).await;
    assert_eq!(table.save(&mut item).await.unwrap(), Saved::Written);
    let stored = table.get::<OrderV1>(&key()).await.unwrap().unwrap();
    assert_eq!((stored.version(), &stored.value().data.log), (Some(4), &vec![1]));
}

#[tokio::test(start_paused = true)]
async fn a_change_made_between_the_tries_is_written_after_the_first() {
    let world = open().await;
    let table = blue(&world);
    let mut item = table.create(key(), OrderV1::of(1)).await.unwrap();
    item.value_mut().data.total += 1;
    {
        let _lost = world.faults().inject(Rule::new(calls("UpdateItem"), Fault::LostReply));
        assert!(table.save(&mut item).await.is_err());
    }
    item.value_mut().data.total += 1;
    assert_eq!(table.save(&mut item).await.unwrap(), Saved::Written);
    assert_eq!(item.version(), Some(3));
    let stored = table.get::<OrderV1>(&key()).await.unwrap().unwrap();
    assert_eq!(stored.value().data.total, 3);
}

#[tokio::test(start_paused = true)]
async fn a_change_made_while_the_creation_is_in_doubt_is_written_after_it() {
    let world = open().await;
    let table = blue(&world);
    let mut item = Versioned::new(key(), OrderV1::of(1));
    item.value_mut().data.note = Some("before".to_owned());
    {
        let _lost = world.faults().inject(Rule::new(calls("PutItem"), Fault::LostReply));
        let _away = world.faults().inject(Rule::new(calls("GetItem"), Fault::LostReply));
        let error = table.save(&mut item).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }
    item.value_mut().data.note = None;
    assert_eq!(table.save(&mut item).await.unwrap(), Saved::Written);
    assert_eq!(table.save(&mut item).await.unwrap(), Saved::Unchanged);
    let stored = table.get::<OrderV1>(&key()).await.unwrap().unwrap();
    assert_eq!((stored.version(), &stored.value().data.note), (Some(2), &None));
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_was_refused_is_created_whole_by_the_next_save() {
    let world = open().await;
    let table = blue(&world);
    let mut other = table.create(key(), OrderV1::of(1)).await.unwrap();
    let mut item = Versioned::new(key(), OrderV1::of(2));
    let error = table.save(&mut item).await.unwrap_err();
    assert!(matches!(error, ItemError::AlreadyExists { .. }), "{error}");
    table.delete(&mut other).await.unwrap();
    assert_eq!(table.save(&mut item).await.unwrap(), Saved::Written);
    let stored = table.get::<OrderV1>(&key()).await.unwrap().unwrap();
    assert_eq!((stored.version(), stored.value().data.total), (Some(1), 2));
}

#[tokio::test(start_paused = true)]
async fn a_save_whose_future_was_dropped_is_settled_by_the_next_one() {
    let world = open().await;
    let table = blue(&world);
    let mut item = table.create(key(), OrderV1::of(1)).await.unwrap();
    item.value_mut().data.log.push(1);
    let held = world.faults().hold_reply(calls("UpdateItem"), 1);
    tokio::select! {
        biased;
        saved = table.save(&mut item) => panic!("the reply was held: {saved:?}"),
        () = held.reached() => {}
    }
    drop(held);
    assert_eq!(item.version(), Some(1), "nothing is known yet");
    assert_eq!(table.save(&mut item).await.unwrap(), Saved::Written);
    assert_eq!(item.version(), Some(2));
    let stored = table.get::<OrderV1>(&key()).await.unwrap().unwrap();
    assert_eq!(stored.value().data.log, [1]);
}

/// Creates an item as blue and loses the reply; what `between` does comes before blue's next call.
async fn create_with_a_lost_reply(
    world: &World,
    between: impl Future<Output = ()>,
) -> Result<Versioned<OrderV1>, ItemError> {
    let blues = |operation| calls(operation).access_key("blue");
    let _lost = world.faults().inject(Rule::new(blues("PutItem"), Fault::LostReply).first(1));
    let (repetition, question) =
        (world.faults().hold(blues("PutItem"), 2), world.faults().hold(blues("GetItem"), 1));
    let table = blue(world);
    let (created, ()) = tokio::join!(table.create(key(), OrderV1::of(1)), async {
        tokio::select! {
            () = repetition.reached() => {}
            () = question.reached() => {}
        }
        between.await;
        repetition.release();
        question.release();
    });
    created
}

async fn foreign_deletion(world: &World) {
    let mut item = green(world).get::<OrderV1>(&key()).await.unwrap().unwrap();
    green(world).delete(&mut item).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_was_applied_and_deleted_since_does_not_come_back() {
    let world = open().await;
    let created = create_with_a_lost_reply(&world, foreign_deletion(&world)).await;
    assert!(matches!(created, Err(ItemError::OutcomeUnknown)), "{created:?}");
    assert_eq!(raw(&world).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_creation_in_doubt_that_meets_another_item_is_unknown() {
    let world = open().await;
    let between = async {
        foreign_deletion(&world).await;
        green(&world).create(key(), OrderV1::of(2)).await.unwrap();
    };
    let created = create_with_a_lost_reply(&world, between).await;
    assert!(matches!(created, Err(ItemError::OutcomeUnknown)), "{created:?}");
    let item = green(&world).get::<OrderV1>(&key()).await.unwrap().unwrap();
    assert_eq!((item.version(), item.value().data.total), (Some(1), 2));
}

#[tokio::test(start_paused = true)]
async fn a_creation_whose_reply_was_lost_is_recognized_after_any_number_of_writes() {
    let world = open().await;
    let item = create_with_a_lost_reply(&world, foreign_writes(&world, 30)).await.unwrap();
    assert_eq!((item.version(), item.value().data.total), (Some(1), 1), "its own write");
    assert_eq!(raw(&world).await.unwrap()["Version"], n(31));
    assert_eq!(world.calls_in(&calls("PutItem")), 1);
}

#[tokio::test(start_paused = true)]
async fn a_creation_is_looked_for_until_the_table_answers() {
    let world = open().await;
    let _lost = world.faults().inject(Rule::new(calls("PutItem"), Fault::LostReply));
    let away = Rule::new(calls("GetItem"), Fault::Unavailable).first(9);
    let away = world.faults().inject(away);
    let item = blue(&world).create(key(), OrderV1::of(1)).await.unwrap();
    assert_eq!((item.version(), away.count()), (Some(1), 9));
    assert_eq!(world.calls_in(&calls("PutItem")), 1, "never sent again");
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_cannot_be_looked_for_is_unknown_and_nothing_to_repeat() {
    let world = open().await;
    let _lost = world.faults().inject(Rule::new(calls("PutItem"), Fault::LostReply));
    let _away = world.faults().inject(Rule::new(calls("GetItem"), Fault::Unavailable));
    let error = blue(&world).create(key(), OrderV1::of(1)).await.unwrap_err();
    assert!(matches!(error, ItemError::OutcomeUnknown) && !error.is_retryable(), "{error}");

    let mut item = Versioned::new(key(), OrderV1::of(1));
    let error = blue(&world).save(&mut item).await.unwrap_err();
    assert!(matches!(error, ItemError::Unavailable { .. }), "the same item can ask: {error}");
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_was_turned_away_is_repeated_by_the_sdk() {
    let world = open().await;
    let throttled = Rule::new(calls("PutItem"), Fault::Throttle).first(2);
    let throttled = world.faults().inject(throttled);
    blue(&world).create(key(), OrderV1::of(1)).await.unwrap();
    assert_eq!((throttled.count(), world.calls_in(&calls("GetItem"))), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_deletion_whose_reply_was_lost_is_done() {
    let world = open().await;
    let table = blue(&world);
    let mut item = table.create(key(), OrderV1::of(1)).await.unwrap();
    let _lost = world.faults().inject(Rule::new(calls("DeleteItem"), Fault::LostReply).first(1));
    table.delete(&mut item).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_deletion_in_doubt_that_meets_another_item_is_unknown_applied_or_not() {
    for fault in [Fault::LostReply, Fault::Reset] {
        let world = open().await;
        let table = blue(&world);
        let mut item = table.create(key(), OrderV1::of(1)).await.unwrap();
        {
            let _lost = world.faults().inject(Rule::new(calls("DeleteItem"), fault).first(3));
            assert!(table.delete(&mut item).await.unwrap_err().is_retryable());
        }
        if fault == Fault::Reset {
            foreign_deletion(&world).await;
        }
        green(&world).create(key(), OrderV1::of(2)).await.unwrap();
        let deleted = table.delete(&mut item).await;
        assert!(matches!(deleted, Err(ItemError::OutcomeUnknown)), "{fault:?} {deleted:?}");
        assert!(raw(&world).await.is_some(), "the new item is another one");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_not_called_done_because_another_has_stamped_the_item_meanwhile() {
    let world = open().await;
    put_raw(&world.dynamodb(), [("Data", m([("total", n(1))]))]).await;
    let mut item = blue(&world).get::<OrderV1>(&key()).await.unwrap().unwrap();
    let deletes = calls("DeleteItem").access_key("blue");
    let _failed = world.faults().inject(Rule::new(deletes.clone(), Fault::Reset).first(1));
    let repetition = world.faults().hold(deletes, 2);
    let table = blue(&world);
    let (deleted, ()) = tokio::join!(table.delete(&mut item), async {
        repetition.reached().await;
        foreign_writes(&world, 1).await;
        repetition.release();
    });
    assert!(matches!(deleted, Err(ItemError::OutcomeUnknown)), "{deleted:?}");
    let error = table.delete(&mut item).await.unwrap_err();
    assert!(matches!(error, ItemError::Conflict { .. }), "{error}");
    assert!(raw(&world).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_item_was_deleted_and_written_anew_since_is_unknown() {
    let world = open().await;
    let table = blue(&world);
    let mut item = table.create(key(), OrderV1::of(1)).await.unwrap();
    item.value_mut().data.note = Some("ours".to_owned());
    let blues = calls("UpdateItem").access_key("blue");
    let _lost = world.faults().inject(Rule::new(blues.clone(), Fault::LostReply).first(1));
    let repetition = world.faults().hold(blues, 2);
    let (saved, ()) = tokio::join!(table.save(&mut item), async {
        repetition.reached().await;
        let mut ours = green(&world).get::<OrderV1>(&key()).await.unwrap().unwrap();
        assert_eq!(ours.value().data.note.as_deref(), Some("ours"), "it was applied");
        green(&world).delete(&mut ours).await.unwrap();
        green(&world).create(key(), OrderV1::of(5)).await.unwrap();
        foreign_writes(&world, 1).await;
        repetition.release();
    });
    assert!(matches!(saved, Err(ItemError::OutcomeUnknown)), "{saved:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_lost_reply_does_not_say_that_nothing_happened() {
    let world = open().await;
    let table = blue(&world);
    table.create(key(), OrderV1::of(1)).await.unwrap();
    for operation in ["UpdateItem", "TransactWriteItems"] {
        let calls = calls(operation);
        let _lost = world.faults().inject(Rule::new(calls.clone(), Fault::LostReply).first(1));
        let _denied = world.faults().inject(Rule::new(calls, Fault::AccessDenied));
        let changed = match operation {
            "UpdateItem" => {
                let change = |order: &mut OrderV1| order.data.total += 1;
                table.modify(&key(), change).await.map(drop)
            }
            _ => table.update(&key(), Update::new().add("Data.total", 1)).await,
        };
        assert!(matches!(changed, Err(ItemError::OutcomeUnknown)), "{operation} {changed:?}");
    }
    assert_eq!(raw(&world).await.unwrap()["Data"], m([("total", n(3))]), "both had happened");
}

#[tokio::test(start_paused = true)]
async fn a_change_that_cannot_be_settled_within_the_budget_is_unknown_and_not_applied_twice() {
    let world = open().await;
    let table = blue(&world);
    table.create(key(), OrderV1::of(1)).await.unwrap();
    let lost = world.faults().inject(Rule::new(calls("UpdateItem"), Fault::LostReply));
    let error = table.modify(&key(), |order: &mut OrderV1| order.data.total += 1).await;
    assert!(matches!(error, Err(ItemError::OutcomeUnknown)), "{error:?}");
    drop(lost);
    assert_eq!(raw(&world).await.unwrap()["Version"], n(2));

    let _throttled = world.faults().inject(Rule::new(calls("GetItem"), Fault::Throttle));
    let error = table.modify(&key(), |order: &mut OrderV1| order.data.total += 1).await;
    assert!(matches!(error, Err(ItemError::Throttled { .. })), "{error:?}");
}

/// Lets a change be applied, loses its reply, and has another writer delete the item before the SDK
/// repeats the call.
async fn deleted_in_between<T>(world: &World, change: impl Future<Output = T>) -> T {
    let blues = calls("UpdateItem").access_key("blue");
    let _lost = world.faults().inject(Rule::new(blues.clone(), Fault::LostReply).first(1));
    let repetition = world.faults().hold(blues, 2);
    let (changed, ()) = tokio::join!(change, async {
        repetition.reached().await;
        let mut item = green(world).get::<OrderV1>(&key()).await.unwrap().unwrap();
        green(world).delete(&mut item).await.unwrap();
        repetition.release();
    });
    changed
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_applied_and_deleted_since_is_not_said_to_have_missed_its_item() {
    let world = open().await;
    let table = blue(&world);
    let mut item = table.create(key(), OrderV1::of(1)).await.unwrap();
    item.value_mut().data.total = 2;
    let saved = deleted_in_between(&world, table.save(&mut item)).await;
    assert!(matches!(saved, Err(ItemError::OutcomeUnknown)), "{saved:?}");
}

#[tokio::test(start_paused = true)]
async fn an_upsert_does_not_bring_back_what_was_deleted_after_it() {
    let world = open().await;
    let table = blue(&world);
    table.create(key(), OrderV1::of(1)).await.unwrap();
    let upserted = deleted_in_between(&world, table.upsert(key(), OrderV1::of(2))).await;
    assert!(matches!(upserted, Err(ItemError::OutcomeUnknown)), "{upserted:?}");
    assert_eq!(raw(&world).await, None);
}

#[tokio::test(start_paused = true)]
async fn an_upsert_is_recognized_with_k_foreign_writes_between_and_unknown_with_one_more() {
    for (foreign, is_known) in [(0, true), (8, true), (9, false)] {
        let world = open().await;
        let table = blue(&world);
        table.create(key(), OrderV1::of(1)).await.unwrap();
        let blues = calls("UpdateItem").access_key("blue");
        let _lost = world.faults().inject(Rule::new(blues.clone(), Fault::LostReply).first(1));
        let repetition = world.faults().hold(blues, 2);
        let mut order = OrderV1::of(100);
        order.data.note = Some("ours".to_owned());
        let (upserted, ()) = tokio::join!(table.upsert(key(), order), async {
            repetition.reached().await;
            foreign_writes(&world, foreign).await;
            repetition.release();
        });
        match upserted {
            Ok(upserted) => assert_eq!((upserted.item().version(), is_known), (Some(2), true)),
            Err(error) => {
                assert!(matches!(error, ItemError::OutcomeUnknown) && !is_known, "{error}");
            }
        }
        let item = raw(&world).await.unwrap();
        let data = m([("total", n(100 + foreign)), ("note", s("ours"))]);
        assert_eq!((&item["Data"], &item["Version"]), (&data, &n(2 + foreign)), "applied once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_write_that_was_applied_and_deleted_since_is_not_said_to_have_lost_to_the_next_item()
 {
    let world = open().await;
    put_raw(&world.dynamodb(), [("Data", m([("total", n(1))]))]).await;
    let table = blue(&world);
    let mut item = table.get::<OrderV1>(&key()).await.unwrap().unwrap();
    item.value_mut().data.total = 2;
    let blues = calls("UpdateItem").access_key("blue");
    let _lost = world.faults().inject(Rule::new(blues.clone(), Fault::LostReply).first(1));
    let repetition = world.faults().hold(blues, 2);
    let (saved, ()) = tokio::join!(table.save(&mut item), async {
        repetition.reached().await;
        foreign_deletion(&world).await;
        green(&world).create(key(), OrderV1::of(5)).await.unwrap();
        repetition.release();
    });
    assert!(matches!(saved, Err(ItemError::OutcomeUnknown)), "{saved:?}");
    assert_eq!(raw(&world).await.unwrap()["Data"], m([("total", n(5))]));
}
