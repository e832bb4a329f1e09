//! Many items at a time.

use bluegreen_core::Color;
use bluegreen_items::{ItemError, Key, Saved, Table, Versioned};
use bluegreen_local::{Fault, Rule};

use crate::canned::{client, error};
use crate::shop::{OrderV1, blue, calls, config, count, green, identity, open};

fn key(number: usize) -> Key {
    Key::new(format!("ORDER#{number}")).with_sk("META")
}

fn new(number: usize) -> Versioned<OrderV1> {
    Versioned::new(key(number), OrderV1::of(number as u64))
}

#[tokio::test(start_paused = true)]
async fn many_items_are_saved_each_under_its_lock_and_read_in_order() {
    let world = open().await;
    let table = blue(&world);
    let mut items: Vec<_> = (0..250).map(new).collect();
    let saved = table.save_many(&mut items).await;
    assert!(saved.iter().all(|saved| matches!(saved, Ok(Saved::Written))));

    green(&world).modify(&key(7), |order: &mut OrderV1| order.data.total = 1_000).await.unwrap();
    for item in &mut items {
        item.value_mut().data.total += 1;
    }
    let saved = table.save_many(&mut items).await;
    for (number, saved) in saved.iter().enumerate() {
        let is_conflict = matches!(saved, Err(ItemError::Conflict { .. }));
        assert_eq!(is_conflict, number == 7, "{number}: {saved:?}");
    }

    let mut keys: Vec<_> = (0..250).rev().map(key).collect();
    keys.insert(3, key(999));
    keys.push(key(0));
    let found = table.get_many::<OrderV1>(&keys).await.unwrap();
    assert_eq!(count(&world, &["BatchGetItem"]), [3]);
    assert_eq!(found.len(), 252);
    for (key, item) in keys.iter().zip(&found) {
        assert_eq!(item.as_ref().map(|item| item.key()), (*key != self::key(999)).then_some(key));
    }
    assert_eq!(found[251].as_ref().unwrap().value().data.total, 1, "one key twice");

    let mut found: Vec<_> = found.into_iter().flatten().take(250).collect();
    let deleted = table.delete_many(&mut found).await;
    assert!(deleted.iter().all(Result::is_ok));
    assert!(table.get_many::<OrderV1>(&keys).await.unwrap().iter().all(Option::is_none));
}

#[tokio::test(start_paused = true)]
async fn a_busy_table_is_waited_for_item_by_item() {
    let world = open().await;
    let table = blue(&world);
    // More often than the SDK repeats a call.
    let rule = Rule::new(calls("PutItem"), Fault::Throttle).first(100);
    let throttled = world.faults().inject(rule);
    let mut items: Vec<_> = (0..20).map(new).collect();
    let saved = table.save_many(&mut items).await;
    assert!(saved.iter().all(Result::is_ok), "{saved:?}");
    assert_eq!(throttled.count(), 100);
}

const ONE: &str = r#"{"PK":{"S":"ORDER#1"},"SK":{"S":"META"},"Data":{"M":{"total":{"N":"1"}}}}"#;
const TWO: &str = r#"{"PK":{"S":"ORDER#2"},"SK":{"S":"META"},"Data":{"M":{"total":{"N":"2"}}}}"#;
const KEY_ONE: &str = r#"{"PK":{"S":"ORDER#1"},"SK":{"S":"META"}}"#;
const KEY_TWO: &str = r#"{"PK":{"S":"ORDER#2"},"SK":{"S":"META"}}"#;

fn answer(items: &[&str], left: &[&str]) -> String {
    let (items, left) = (items.join(","), left.join(","));
    let left =
        if left.is_empty() { String::new() } else { format!(r#""orders":{{"Keys":[{left}]}}"#) };
    format!(r#"{{"Responses":{{"orders":[{items}]}},"UnprocessedKeys":{{{left}}}}}"#)
}

#[tokio::test(start_paused = true)]
async fn what_an_answer_leaves_out_is_asked_for_again_and_given_up_by_name() {
    let part = answer(&[TWO], &[KEY_ONE]);
    let none = answer(&[], &[KEY_ONE]);
    let rest = answer(&[ONE], &[]);
    let answers = [(200, &*part), (200, &*none), (200, &*none), (200, &*rest)];
    let table = Table::new(client(answers), "orders", &identity(Color::Blue), config()).unwrap();
    let found = table.get_many::<OrderV1>(&[key(1), key(2)]).await.unwrap();
    let totals: Vec<_> = found.iter().flatten().map(|item| item.value().data.total).collect();
    assert_eq!(totals, [1, 2]);

    let never = answer(&[], &[KEY_ONE, KEY_TWO]);
    let answers = [(200, &*never); 200];
    let table = Table::new(client(answers), "orders", &identity(Color::Blue), config()).unwrap();
    let error = table.get_many::<OrderV1>(&[key(1), key(2)]).await.unwrap_err();
    assert!(matches!(error, ItemError::Throttled { .. }), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "2 items were left out of the answer");
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_turned_away_as_a_whole_is_asked_for_again_after_a_pause() {
    let away = error("ProvisionedThroughputExceededException", "slow down");
    let part = answer(&[TWO], &[KEY_ONE]);
    let rest = answer(&[ONE], &[]);
    let answers = [(400, &*away), (500, "{}"), (200, &*part), (200, &*rest)];
    let table = Table::new(client(answers), "orders", &identity(Color::Blue), config()).unwrap();
    let start = tokio::time::Instant::now();
    let found = table.get_many::<OrderV1>(&[key(1), key(2)]).await.unwrap();
    assert_eq!(found.iter().flatten().count(), 2);
    assert!(!start.elapsed().is_zero());
    let retries = table.retries();
    assert_eq!((retries.throttling, retries.server_error), (2, 1), "one for what was left out");

    let answers = [(400, &*away); 200];
    let table = Table::new(client(answers), "orders", &identity(Color::Blue), config()).unwrap();
    let error = table.get_many::<OrderV1>(&[key(1)]).await.unwrap_err();
    assert!(matches!(error, ItemError::Throttled { .. }), "{error}");
    assert_eq!(table.retries().gave_up, 1);
}

#[tokio::test(start_paused = true)]
async fn batches_can_be_spawned() {
    let world = open().await;
    let table = blue(&world);
    let task = tokio::spawn(async move {
        let mut items: Vec<_> = (0..3).map(new).collect();
        drop(table.save_many(&mut items).await);
        drop(table.delete_many(&mut items).await);
        table.get_many::<OrderV1>(&[key(1)]).await.map(|found| found.len())
    });
    assert_eq!(task.await.unwrap().unwrap(), 1);
}
