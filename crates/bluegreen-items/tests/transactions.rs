//! Several items as one, each under its lock.

use std::time::Duration;

use bluegreen_core::Color;
use bluegreen_items::{
    ItemError, Key, Saved, Table, Transaction, TransactionError, Update, Versioned,
};
use bluegreen_local::{Fault, Rule, World};

use crate::canned::{canceled, client};
use crate::shop::{OrderV1, TABLE, blue, calls, config, count, green, identity, open};

const TRANSACT: &str = "TransactWriteItems";

fn key(number: u32) -> Key {
    Key::new(format!("ORDER#{number}")).with_sk("META")
}

async fn total(world: &World, number: u32) -> Option<(u64, Option<u64>)> {
    let item = blue(world).get::<OrderV1>(&key(number)).await.unwrap()?;
    Some((item.value().data.total, item.version()))
}

async fn two(world: &World) -> [Versioned<OrderV1>; 2] {
    let table = blue(world);
    let one = table.create(key(1), OrderV1::of(1)).await.unwrap();
    let two = table.create(key(2), OrderV1::of(2)).await.unwrap();
    [one, two]
}

fn refusals(result: Result<(), TransactionError>) -> Vec<(String, &'static str)> {
    let TransactionError::Refused { refusals } = result.unwrap_err() else {
        panic!("it was to be refused")
    };
    let name = |error: &ItemError| match error {
        ItemError::Conflict { .. } => "conflict",
        ItemError::AlreadyExists { .. } => "exists",
        ItemError::ConditionFailed { .. } => "condition",
        ItemError::NotMigrated { .. } => "not migrated",
        ItemError::Gone => "gone",
        _ => "other",
    };
    refusals.iter().map(|refusal| (refusal.key.to_string(), name(&refusal.error))).collect()
}

#[tokio::test(start_paused = true)]
async fn all_parts_happen_in_one_call() {
    let world = open().await;
    let table = blue(&world);
    let [mut one, mut gone] = two(&world).await;
    let checked = table.create(key(3), OrderV1::of(3)).await.unwrap();
    table.create(key(4), OrderV1::of(4)).await.unwrap();
    let mut new = Versioned::new(key(5), OrderV1::of(5));
    let mut unchanged = table.get::<OrderV1>(&key(3)).await.unwrap().unwrap();
    let before = count(&world, &["PutItem", "UpdateItem", "DeleteItem", TRANSACT]);

    one.value_mut().data.total = 10;
    let mut transaction = Transaction::new();
    transaction.save(&table, &mut one).await.unwrap();
    transaction.save(&table, &mut new).await.unwrap();
    transaction.save(&table, &mut unchanged).await.unwrap();
    transaction.delete(&table, &mut gone).await.unwrap();
    transaction.check(&table, &checked).unwrap();
    transaction.update(&table, &key(4), &Update::new().add("Data.total", 36)).unwrap();
    transaction.commit().await.unwrap();

    let after = count(&world, &["PutItem", "UpdateItem", "DeleteItem", TRANSACT]);
    assert_eq!(after[..3], before[..3]);
    assert_eq!(after[3], 1);
    let mut found = Vec::new();
    for number in 1..=5 {
        found.push(total(&world, number).await);
    }
    let expected =
        [Some((10, Some(2))), None, Some((3, Some(1))), Some((40, Some(2))), Some((5, Some(1)))];
    assert_eq!(found, expected);
    assert_eq!((one.version(), new.version()), (Some(2), Some(1)));
    one.value_mut().data.total = 11;
    assert_eq!(table.save(&mut one).await.unwrap(), Saved::Written, "and each goes on alone");
    Transaction::new().commit().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_part_in_the_way_stops_all_and_every_such_part_is_named() {
    let world = open().await;
    let table = blue(&world);
    let [mut one, mut two] = two(&world).await;
    green(&world).modify(&key(2), |order: &mut OrderV1| order.data.total = 20).await.unwrap();
    let stale = table.create(key(3), OrderV1::of(3)).await.unwrap();
    green(&world).modify(&key(3), |order: &mut OrderV1| order.data.total = 30).await.unwrap();
    table.create(key(4), OrderV1::of(4)).await.unwrap();
    let mut new = Versioned::new(key(4), OrderV1::of(5));
    let many = Update::new().set("Data.total", &0).if_at_least("Data.total", 5);

    one.value_mut().data.total = 10;
    two.value_mut().data.total = 10;
    let mut transaction = Transaction::new();
    transaction.save(&table, &mut one).await.unwrap();
    transaction.save(&table, &mut two).await.unwrap();
    transaction.check(&table, &stale).unwrap();
    transaction.save(&table, &mut new).await.unwrap();
    transaction.update(&table, &key(5), &many).unwrap();
    let expected = [
        ("ORDER#2/META".to_owned(), "conflict"),
        ("ORDER#3/META".to_owned(), "conflict"),
        ("ORDER#4/META".to_owned(), "exists"),
        ("ORDER#5/META".to_owned(), "gone"),
    ];
    assert_eq!(refusals(transaction.commit().await), expected);
    assert_eq!(total(&world, 1).await, Some((1, Some(1))), "nothing was written");
    assert_eq!(one.version(), Some(1));
    assert_eq!(table.save(&mut one).await.unwrap(), Saved::Written, "the change is still there");

    let mut transaction = Transaction::new();
    transaction.update(&table, &key(4), &many).unwrap();
    assert_eq!(refusals(transaction.commit().await), [("ORDER#4/META".to_owned(), "condition")]);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_whose_reply_is_lost_is_applied_once() {
    let world = open().await;
    let table = blue(&world);
    let [mut one, mut two] = two(&world).await;
    let lost = world.faults().inject(Rule::new(calls(TRANSACT), Fault::LostReply).first(5));
    one.value_mut().data.total += 10;
    two.value_mut().data.total += 10;
    let mut transaction = Transaction::new();
    transaction.save(&table, &mut one).await.unwrap();
    transaction.save(&table, &mut two).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(lost.count(), 5);
    assert_eq!(total(&world, 1).await, Some((11, Some(2))));
    assert_eq!((one.version(), two.version()), (Some(2), Some(2)));
}

/// Commits a change of both items that gets no answer.
async fn commit_in_doubt(
    world: &World,
    table: &Table,
    [one, two]: [&mut Versioned<OrderV1>; 2],
    fault: Fault,
) {
    one.value_mut().data.total += 10;
    two.value_mut().data.total += 10;
    let mut transaction = Transaction::new();
    transaction.save(table, one).await.unwrap();
    transaction.save(table, two).await.unwrap();
    let first = match fault {
        Fault::AccessDenied => Fault::LostReply,
        fault => fault,
    };
    let _first = world.faults().inject(Rule::new(calls(TRANSACT), first).first(1));
    let _rest = world.faults().inject(Rule::new(calls(TRANSACT), fault));
    let error = transaction.commit().await.unwrap_err();
    assert_eq!(error.is_retryable(), fault != Fault::AccessDenied, "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_got_no_answer_is_settled_whole_by_the_next_save_of_any_of_its_items() {
    // The last is refused for lack of a permission after its first reply was lost.
    for fault in [Fault::LostReply, Fault::Reset, Fault::AccessDenied] {
        let world = open().await;
        let table = blue(&world);
        let [mut one, mut two] = two(&world).await;
        commit_in_doubt(&world, &table, [&mut one, &mut two], fault).await;
        assert_eq!(two.version(), Some(1), "nothing is known yet");
        assert_eq!(table.save(&mut two).await.unwrap(), Saved::Written);
        assert_eq!(total(&world, 1).await, Some((11, Some(2))), "both, though one was saved");
        assert_eq!(total(&world, 2).await, Some((12, Some(2))));
        assert_eq!(table.save(&mut one).await.unwrap(), Saved::Written);
        assert_eq!((one.version(), two.version()), (Some(2), Some(2)));
        assert_eq!(total(&world, 1).await, Some((11, Some(2))), "applied once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_was_not_applied_and_no_longer_can_be_writes_none_of_its_items_alone() {
    let world = open().await;
    let table = blue(&world);
    let [mut one, mut two] = two(&world).await;
    commit_in_doubt(&world, &table, [&mut one, &mut two], Fault::Reset).await;
    green(&world).modify(&key(2), |order: &mut OrderV1| order.data.total = 200).await.unwrap();
    let error = table.save(&mut two).await.unwrap_err();
    assert!(matches!(error, ItemError::Conflict { .. }), "{error}");
    let ItemError::NotCommitted { keys } = table.save(&mut one).await.unwrap_err() else {
        panic!("it was to be written with the other or not at all")
    };
    assert_eq!(keys, [key(2)]);
    assert_eq!(total(&world, 1).await, Some((1, Some(1))), "not alone");
    assert_eq!(table.save(&mut one).await.unwrap(), Saved::Written, "now it is asked for alone");
    assert_eq!(total(&world, 1).await, Some((11, Some(2))));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_one_item_was_told_is_refused_is_not_applied_for_another_later() {
    let world = open().await;
    let table = blue(&world);
    let [mut one, mut two] = two(&world).await;
    table.create(key(3), OrderV1::of(0)).await.unwrap();
    one.value_mut().data.total = 10;
    two.value_mut().data.total = 20;
    let mut transaction = Transaction::new();
    transaction.save(&table, &mut one).await.unwrap();
    transaction.save(&table, &mut two).await.unwrap();
    let needs = Update::new().add("Data.total", -1).if_at_least("Data.total", 1);
    transaction.update(&table, &key(3), &needs).unwrap();
    {
        let _lost = world.faults().inject(Rule::new(calls(TRANSACT), Fault::Reset));
        assert!(transaction.commit().await.unwrap_err().is_retryable());
    }
    let error = table.save(&mut one).await.unwrap_err();
    assert!(matches!(&error, ItemError::NotCommitted { keys } if keys == &[key(3)]), "{error:?}");
    // What stood in the way is gone, and the first item's owner may have given up.
    green(&world).modify(&key(3), |order: &mut OrderV1| order.data.total = 5).await.unwrap();
    let error = table.save(&mut two).await.unwrap_err();
    assert!(matches!(error, ItemError::NotCommitted { .. }), "{error}");
    assert_eq!(total(&world, 1).await, Some((1, Some(1))));
    assert_eq!(total(&world, 2).await, Some((2, Some(1))));
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_future_was_dropped_is_settled_too() {
    let world = open().await;
    let table = blue(&world);
    let [mut one, mut two] = two(&world).await;
    one.value_mut().data.total += 10;
    two.value_mut().data.total += 10;
    let mut transaction = Transaction::new();
    transaction.save(&table, &mut one).await.unwrap();
    transaction.save(&table, &mut two).await.unwrap();
    let held = world.faults().hold_reply(calls(TRANSACT), 1);
    tokio::select! {
        biased;
        done = transaction.commit() => panic!("the reply was held: {done:?}"),
        () = held.reached() => {}
    }
    drop(held);
    assert_eq!(table.save(&mut one).await.unwrap(), Saved::Written);
    assert_eq!(total(&world, 1).await, Some((11, Some(2))));
    assert_eq!(total(&world, 2).await, Some((12, Some(2))));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_meets_another_one_is_tried_again() {
    let conflict = canceled(["None", "TransactionConflict"]);
    let throttled = canceled(["ThrottlingError"]);
    let answers = [(400, &*conflict), (400, &*throttled), (200, "{}")];
    let table = Table::new(client(answers), "orders", &identity(Color::Blue), config()).unwrap();
    table.update(&key(1), Update::new().set("a", &1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_hundred_items_change_in_one_transaction() {
    let world = open().await;
    let table = blue(&world);
    let mut items: Vec<_> =
        (0..99).map(|number| Versioned::new(key(number), OrderV1::of(1))).collect();
    table.save_many(&mut items).await.iter().for_each(|saved| assert!(saved.is_ok(), "{saved:?}"));
    let mut transaction = Transaction::new();
    for item in &mut items {
        item.value_mut().data.total = 2;
        transaction.save(&table, item).await.unwrap();
    }
    transaction.update(&table, &key(0), &Update::new().set("a", &1)).unwrap_err();
    let mut last = Versioned::new(key(99), OrderV1::of(2));
    transaction.save(&table, &mut last).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(count(&world, &[TRANSACT]), [1]);
    let keys: Vec<_> = (0..100).map(key).collect();
    let found = table.get_many::<OrderV1>(&keys).await.unwrap();
    assert!(found.iter().all(|item| item.as_ref().is_some_and(|i| i.value().data.total == 2)));
}

#[tokio::test(start_paused = true)]
async fn limits_are_checked_before_anything_is_sent() {
    let world = open().await;
    let table = blue(&world);
    let [mut one, _] = two(&world).await;
    one.value_mut().data.total = 9;
    let update = Update::new().set("a", &1);
    let mut transaction = Transaction::new();
    transaction.save(&table, &mut one).await.unwrap();
    let error = transaction.update(&table, &key(1), &update).unwrap_err();
    assert_eq!(error.to_string(), "the transaction has two parts for the item ORDER#1/META");
    let arn = format!("arn:aws:dynamodb:us-east-1:000000000000:table/{TABLE}");
    let by_arn = Table::new(world.dynamodb(), arn, &identity(Color::Blue), config()).unwrap();
    let error = transaction.update(&by_arn, &key(1), &update).unwrap_err();
    assert!(matches!(error, TransactionError::Twice { .. }), "{error}");
    for number in 2..=100 {
        transaction.update(&table, &key(number), &update).unwrap();
    }
    let error = transaction.update(&table, &key(101), &update).unwrap_err();
    assert_eq!(error.to_string(), "a transaction has at most 100 items");

    let large = || {
        let mut order = OrderV1::of(1);
        order.data.note = Some("x".repeat(400_000));
        order
    };
    let mut items: Vec<_> = (0..11).map(|number| Versioned::new(key(number), large())).collect();
    let mut transaction = Transaction::new();
    let mut last = Ok(());
    for item in &mut items {
        last = transaction.save(&table, item).await;
    }
    let Err(TransactionError::Failed(ItemError::TooLarge { limit, .. })) = last else {
        panic!("{last:?}")
    };
    assert_eq!(limit, 4 * 1024 * 1024);
    assert!(!format!("{transaction:?}").contains("ORDER#10/"), "it goes without that part");
    let mut never = Versioned::new(key(1), OrderV1::of(1));
    let deleted = Transaction::new().delete(&table, &mut never).await;
    assert!(matches!(deleted, Err(TransactionError::Failed(ItemError::Gone))));
    assert_eq!(count(&world, &[TRANSACT]), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_only_the_service_finds_too_large_is_too_large_and_changes_nothing() {
    let world = open().await;
    let table = blue(&world);
    let mut order = OrderV1::of(1);
    order.data.note = Some("x".repeat(390_000));
    let mut items: Vec<_> =
        (0..11).map(|number| Versioned::new(key(number), order.clone())).collect();
    table.save_many(&mut items).await.iter().for_each(|saved| assert!(saved.is_ok(), "{saved:?}"));
    let mut all = Transaction::new();
    for item in &mut items {
        all.delete(&table, item).await.unwrap();
    }
    let error = all.commit().await.unwrap_err();
    let TransactionError::Failed(ItemError::TooLarge { limit, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(limit, 4 * 1024 * 1024);
    let mut some = Transaction::new();
    for item in &mut items[1..] {
        some.delete(&table, item).await.unwrap();
    }
    some.commit().await.unwrap();
    assert!(total(&world, 0).await.is_some() && total(&world, 1).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn after_the_token_is_forgotten_the_marks_of_the_items_tell() {
    for (foreign, is_known) in [(0, true), (8, true), (9, false)] {
        let world = open().await;
        let table = blue(&world);
        let [mut one, mut two] = two(&world).await;
        one.value_mut().data.total += 10;
        two.value_mut().data.total += 10;
        let mut transaction = Transaction::new();
        transaction.save(&table, &mut one).await.unwrap();
        transaction.save(&table, &mut two).await.unwrap();
        let held = world.faults().hold_reply(calls(TRANSACT), 1);
        tokio::select! {
            biased;
            done = transaction.commit() => panic!("the reply was held: {done:?}"),
            () = held.reached() => {}
        }
        drop(held);
        for number in [1, 2] {
            for _ in 0..foreign {
                let change = |order: &mut OrderV1| order.data.total += 1;
                green(&world).modify(&key(number), change).await.unwrap();
            }
        }
        tokio::time::advance(Duration::from_secs(11 * 60)).await;
        let saved = table.save(&mut one).await;
        if is_known {
            assert_eq!(saved.unwrap(), Saved::Written);
            assert_eq!(one.version(), Some(2));
        } else {
            assert!(matches!(saved, Err(ItemError::OutcomeUnknown)), "{saved:?}");
        }
        let expected = (11 + foreign, Some(2 + foreign));
        assert_eq!(total(&world, 1).await, Some(expected), "applied once");
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_token_is_remembered_it_does_not_matter_how_many_have_written_since() {
    for foreign in [8, 9] {
        let world = open().await;
        let table = blue(&world);
        let [mut one, mut two] = two(&world).await;
        one.value_mut().data.total += 10;
        two.value_mut().data.total += 10;
        let mut transaction = Transaction::new();
        transaction.save(&table, &mut one).await.unwrap();
        transaction.save(&table, &mut two).await.unwrap();
        let blues = calls(TRANSACT).access_key("blue");
        // More often than the SDK repeats a call.
        let _lost = world.faults().inject(Rule::new(blues.clone(), Fault::LostReply).first(5));
        let repetition = world.faults().hold(blues, 4);
        let (committed, ()) = tokio::join!(transaction.commit(), async {
            repetition.reached().await;
            for number in [1, 2].repeat(foreign) {
                let change = |order: &mut OrderV1| order.data.total += 1;
                green(&world).modify(&key(number), change).await.unwrap();
            }
            repetition.release();
        });
        committed.unwrap();
        assert_eq!((one.version(), two.version()), (Some(2), Some(2)));
        let expected = (11 + foreign as u64, Some(2 + foreign as u64));
        assert_eq!(total(&world, 1).await, Some(expected), "applied once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_built_again_after_an_error_is_not_applied_a_second_time() {
    for fault in [Fault::LostReply, Fault::Reset, Fault::Throttle] {
        let world = open().await;
        let table = blue(&world);
        let [mut order, _] = two(&world).await;
        let _struck = world.faults().inject(Rule::new(calls(TRANSACT), fault).first(100));
        order.value_mut().data.total = 10;
        let mut outcomes = Vec::new();
        let pay = Update::new().add("Data.total", -1);
        // As the documentation of `is_retryable` says.
        for _ in 0..100 {
            let mut payment = Transaction::new();
            let saved = payment.save(&table, &mut order).await;
            let committed = match saved {
                Ok(()) => match payment.update(&table, &key(2), &pay) {
                    Ok(()) => payment.commit().await,
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            let is_retryable = committed.as_ref().is_err_and(TransactionError::is_retryable);
            outcomes.push(committed);
            if !is_retryable {
                break;
            }
        }
        assert!(outcomes.len() > 1, "{fault:?}");
        match (fault, outcomes.pop().unwrap()) {
            (Fault::LostReply, Err(TransactionError::AppliedBefore { key: found })) => {
                assert_eq!(found, key(1));
            }
            (Fault::Reset, Err(TransactionError::AppliedBefore { .. }))
            | (Fault::Throttle, Ok(())) => {}
            (fault, outcome) => panic!("{fault:?} {outcome:?}"),
        }
        assert_eq!(order.version(), Some(2), "{fault:?}");
        assert_eq!(total(&world, 1).await, Some((10, Some(2))), "{fault:?}");
        assert_eq!(total(&world, 2).await, Some((1, Some(2))), "{fault:?}: paid once");

        order.value_mut().data.total = 11;
        let mut next = Transaction::new();
        next.save(&table, &mut order).await.unwrap();
        next.commit().await.unwrap();
    }
}
