//! How long a change waits, for what, and what ends it.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use bluegreen_core::{Color, Stop};
use bluegreen_items::{
    ItemError, RetryCounts, Table, Transaction, TransactionError, Update, Versioned,
};
use bluegreen_local::{Fault, Rule, World};
use tokio::time::Instant;

use crate::canned::{client_asking_to_wait, error};
use crate::shop::{OrderV1, blue, calls, config, count, green, identity, key, n, open, raw, table};

const STORED: &str = r#"{"Item":{"PK":{"S":"ORDER#17"},"SK":{"S":"META"},"Version":{"N":"3"},
    "Data":{"M":{"total":{"N":"7"}}}}}"#;

fn increment(order: &mut OrderV1) {
    order.data.total += 1;
}

#[tokio::test(start_paused = true)]
async fn a_change_waits_as_long_as_the_service_asks() {
    let throttled = error("ThrottlingException", "slow down");
    let answers = [(200, STORED), (400, &*throttled), (503, "{}"), (200, "{}")];
    let client = client_asking_to_wait(answers, 1_500);
    let table = Table::new(client, "orders", &identity(Color::Blue), config()).unwrap();
    let start = Instant::now();
    table.modify(&key(), increment).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(3), "more than any pause of its own");

    let client = client_asking_to_wait([(200, STORED), (400, &*throttled)], 6_000);
    let table = Table::new(client, "orders", &identity(Color::Blue), config()).unwrap();
    let error = table.modify(&key(), increment).await.unwrap_err();
    assert!(matches!(error, ItemError::Throttled { .. }), "beyond the budget: {error}");
    assert_eq!(start.elapsed(), Duration::from_secs(3), "and that is not waited for");
}

#[tokio::test(start_paused = true)]
async fn only_after_a_write_of_another_the_first_try_again_is_at_once() {
    let throttled = error("ThrottlingException", "slow down");
    let mut waited = Duration::ZERO;
    for _ in 0..20 {
        let answers = [(200, STORED), (400, &*throttled), (200, "{}")];
        let client = crate::canned::client(answers);
        let table = Table::new(client, "orders", &identity(Color::Blue), config()).unwrap();
        let start = Instant::now();
        table.modify(&key(), increment).await.unwrap();
        waited += start.elapsed();
    }
    assert!(!waited.is_zero(), "20 pauses under full jitter are not all nothing");

    let world = open().await;
    blue(&world).create(key(), OrderV1::of(1)).await.unwrap();
    let held = world.faults().hold(calls("UpdateItem").access_key("blue"), 1);
    let (start, table, key) = (Instant::now(), blue(&world), key());
    let (changed, ()) = tokio::join!(table.modify(&key, increment), async {
        held.reached().await;
        green(&world).modify(&key, increment).await.unwrap();
        held.release();
    });
    changed.unwrap();
    assert!(start.elapsed().is_zero());
    assert_eq!(table.retries().lost_race, 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_cut_off_and_a_write_settled() {
    let world = open().await;
    let table = table(&world, Color::Blue, config().with_call_timeout(Duration::from_secs(1)));
    table.create(key(), OrderV1::of(1)).await.unwrap();
    let hanging = |operation| Rule::new(calls(operation), Fault::Hang).first(1);
    let _read = world.faults().inject(hanging("GetItem"));
    let _write = world.faults().inject(hanging("UpdateItem"));
    let item = table.modify(&key(), increment).await.unwrap();
    assert_eq!((item.value().data.total, table.retries().transient), (2, 2));

    let reply = world.faults().hold_reply(calls("UpdateItem"), 1);
    let item = table.modify(&key(), increment).await.unwrap();
    assert!(reply.is_reached());
    assert_eq!((item.value().data.total, item.version()), (3, Some(3)), "recognized");

    let _silence = world.faults().inject(Rule::new(calls("GetItem"), Fault::Hang));
    let start = Instant::now();
    let error = table.get::<OrderV1>(&key()).await.unwrap_err();
    assert!(matches!(error, ItemError::Unavailable { .. }) && error.is_retryable(), "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

/// A table whose stop was requested, with two seconds left.
fn stopping(world: &World) -> Table {
    let (stopper, stop) = Stop::new();
    stopper.stop(Duration::from_secs(2));
    table(world, Color::Blue, config().with_stop(stop))
}

#[tokio::test(start_paused = true)]
async fn nothing_is_tried_again_once_the_process_stops() {
    let world = open().await;
    let table = stopping(&world);
    let mut item = table.create(key(), OrderV1::of(1)).await.unwrap();
    let _throttled = world.faults().inject(Rule::new(calls("UpdateItem"), Fault::Throttle));
    let error = table.modify(&key(), increment).await.unwrap_err();
    assert!(matches!(error, ItemError::Stopped) && !error.is_retryable(), "{error}");
    assert_eq!(count(&world, &["UpdateItem"]), [3], "the tries of the SDK");

    green(&world).update(&key(), Update::new().add("Data.total", 1)).await.unwrap();
    let _throttled = world.faults().inject(Rule::new(calls("TransactWriteItems"), Fault::Throttle));
    let updated = table.update(&key(), Update::new().add("Data.total", 1)).await;
    assert!(matches!(updated, Err(ItemError::Stopped)), "{updated:?}");
    increment(item.value_mut());
    let mut transaction = Transaction::new();
    transaction.save(&table, &mut item).await.unwrap();
    let committed = transaction.commit().await;
    let is_stopped = matches!(committed, Err(TransactionError::Failed(ItemError::Stopped)));
    assert!(is_stopped, "{committed:?}");
    assert_eq!(raw(&world).await.unwrap()["Version"], n(2));
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_when_the_process_stops() {
    let throttled = error("ThrottlingException", "slow down");
    let client = client_asking_to_wait([(200, STORED), (400, &*throttled)], 4_000);
    let (stopper, stop) = Stop::new();
    let config = config().with_stop(stop);
    let table = Table::new(client, "orders", &identity(Color::Blue), config).unwrap();
    let (start, key) = (Instant::now(), key());
    let (changed, ()) = tokio::join!(table.modify(&key, increment), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stopper.stop(Duration::from_secs(60));
    });
    assert!(matches!(changed, Err(ItemError::Stopped)), "{changed:?}");
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_write_under_way_at_the_end_of_the_stop_is_unknown_and_no_call_follows() {
    for operation in ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"] {
        let world = open().await;
        let table = stopping(&world);
        if operation != "PutItem" {
            green(&world).create(key(), OrderV1::of(1)).await.unwrap();
        }
        let start = Instant::now();
        let _reply = world.faults().hold_reply(calls(operation), 1);
        let outcome = match operation {
            "PutItem" => table.create(key(), OrderV1::of(1)).await.map(drop),
            "UpdateItem" => table.modify(&key(), increment).await.map(drop),
            "DeleteItem" => {
                let mut item = table.get::<OrderV1>(&key()).await.unwrap().unwrap();
                table.delete(&mut item).await
            }
            _ => table.update(&key(), Update::new().add("Data.total", 1)).await,
        };
        assert!(matches!(outcome, Err(ItemError::OutcomeUnknown)), "{operation} {outcome:?}");
        assert_eq!(start.elapsed(), Duration::from_secs(2));

        let calls = world.calls_in(&bluegreen_local::Calls::any());
        let mut item = Versioned::new(key(), OrderV1::of(1));
        for outcome in [
            table.get::<OrderV1>(&key()).await.map(drop),
            table.save(&mut item).await.map(drop),
            table.update(&key(), Update::new().add("Data.total", 1)).await,
        ] {
            assert!(matches!(outcome, Err(ItemError::Stopped)), "{operation} {outcome:?}");
        }
        assert_eq!(world.calls_in(&bluegreen_local::Calls::any()), calls, "none was made");
    }
}

#[tokio::test(start_paused = true)]
async fn repetitions_are_counted_by_class_those_of_the_sdk_included() {
    type Counted = fn(&RetryCounts) -> u64;
    let cases: [(Fault, Counted); 5] = [
        (Fault::Throttle, |counts| counts.throttling),
        (Fault::InternalError, |counts| counts.server_error),
        (Fault::Unavailable, |counts| counts.server_error),
        (Fault::Reset, |counts| counts.transient),
        (Fault::LostReply, |counts| counts.transient),
    ];
    for operation in ["GetItem", "UpdateItem", "TransactWriteItems", "BatchGetItem"] {
        for (fault, counted) in cases {
            let world = open().await;
            let table = blue(&world);
            table.create(key(), OrderV1::of(1)).await.unwrap();
            // More often than the SDK repeats a call: 4 of its own and one of ours.
            let struck = world.faults().inject(Rule::new(calls(operation), fault).first(5));
            match operation {
                "TransactWriteItems" => {
                    table.update(&key(), Update::new().add("Data.total", 1)).await.unwrap();
                }
                "BatchGetItem" => drop(table.get_many::<OrderV1>(&[key()]).await.unwrap()),
                _ => drop(table.modify(&key(), increment).await.unwrap()),
            }
            let retries = table.retries();
            let expected = RetryCounts::default();
            assert_ne!(retries, expected);
            assert_eq!(
                (struck.count(), counted(&retries)),
                (5, 5),
                "{operation} {fault:?} {retries:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_turns_calls_away_gets_longer_pauses_than_one_that_failed() {
    let base = Duration::from_millis(10);
    let mut longest = Vec::new();
    for (status, body) in [(500, "{}".to_owned()), (400, error("ThrottlingException", "no"))] {
        let mut pauses = Vec::new();
        for _ in 0..60 {
            let client = crate::canned::client([(200, STORED), (status, &*body), (200, "{}")]);
            let table = Table::new(client, "orders", &identity(Color::Blue), config()).unwrap();
            let start = Instant::now();
            table.modify(&key(), increment).await.unwrap();
            pauses.push(start.elapsed());
        }
        longest.extend(pauses.into_iter().max());
    }
    // Full jitter; that none of 60 up to four times as long is longer has a chance of 4⁻⁶⁰. The timer
    // counts whole milliseconds.
    let millisecond = Duration::from_millis(1);
    assert!(longest[0] <= base + millisecond, "{longest:?}");
    assert!(longest[1] > base + millisecond && longest[1] <= 4 * base + millisecond, "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_repetition_by_the_sdk_while_a_transaction_has_the_item_is_counted_as_a_conflict() {
    let busy = error("TransactionInProgressException", "the same token is in use");
    let client = crate::canned::client([(400, &*busy), (200, "{}")]);
    let retry = RetryConfig::standard();
    let client = Client::from_conf(client.config().to_builder().retry_config(retry).build());
    let table = Table::new(client, "orders", &identity(Color::Blue), config()).unwrap();
    table.update(&key(), Update::new().add("n", 1)).await.unwrap();
    let retries = table.retries();
    assert_eq!((retries.conflict, retries.throttling), (1, 0), "{retries:?}");
}
