//! The SDK repeats a call at its own pace, and what was planned may not be right any more by then.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{AsyncSleep, Sleep, StalledStreamProtectionConfig};
use bluegreen_core::{Clock, Color};
use bluegreen_items::{ItemError, Saved, Table, Transaction, TransactionError, Update};
use bluegreen_local::{Fault, Rule, World};
use tokio::sync::Notify;

use crate::releases::{Remarked, closing_by, example, put_old, remark};
use crate::shop::{
    OrderV1, TABLE, blue, calls, config, count, identity, key, m, n, open, open_by, raw, s,
};

/// Pauses of the SDK that last until they are ended.
#[derive(Clone, Debug, Default)]
struct Pauses {
    begun: Arc<Notify>,
    ended: Arc<Notify>,
}

impl AsyncSleep for Pauses {
    fn sleep(&self, _duration: Duration) -> Sleep {
        let pauses = self.clone();
        Sleep::new(async move {
            pauses.begun.notify_one();
            pauses.ended.notified().await;
        })
    }
}

/// Pauses of the SDK that outlast the memory of the service for tokens.
#[derive(Clone, Debug)]
struct Ages;

impl AsyncSleep for Ages {
    fn sleep(&self, _duration: Duration) -> Sleep {
        Sleep::new(tokio::time::sleep(Duration::from_secs(11 * 60)))
    }
}

fn client(world: &World, sleep: impl AsyncSleep + 'static) -> Client {
    let conf = world.dynamodb_as("green").config().to_builder().sleep_impl(sleep);
    let stalled = StalledStreamProtectionConfig::disabled();
    Client::from_conf(conf.stalled_stream_protection(stalled).build())
}

/// Makes a write of version 2 whose first attempt fails, and closes the gate before the SDK
/// repeats it. How it ended, and how many calls of this operation were made.
async fn overtaken<T>(
    operation: &str,
    fault: Fault,
    write: impl AsyncFnOnce(&World, &Table) -> T,
) -> (World, T, u64) {
    let world = open().await;
    let pauses = Pauses::default();
    let (table, close) = closing_by(client(&world, pauses.clone())).await;
    if operation != "PutItem" {
        table.create(key(), example()).await.unwrap();
    }
    let _failed = world.faults().inject(Rule::new(calls(operation), fault).first(1));
    let (written, ()) = tokio::join!(write(&world, &table), async {
        pauses.begun.notified().await;
        close().await;
        pauses.ended.notify_one();
    });
    let calls = count(&world, &[operation])[0];
    (world, written, calls)
}

async fn save(_world: &World, table: &Table) -> Result<Saved, ItemError> {
    let mut item = table.get::<Remarked>(&key()).await.unwrap().unwrap();
    remark(item.value_mut());
    let saved = table.save(&mut item).await;
    if saved.is_ok() {
        assert_eq!((item.version(), item.value().data.total), (Some(2), 8));
    }
    saved
}

#[tokio::test(start_paused = true)]
async fn a_save_that_was_turned_away_is_planned_anew_where_the_sdk_would_have_repeated_it() {
    let (world, saved, calls) = overtaken("UpdateItem", Fault::Throttle, save).await;
    assert_eq!((saved.unwrap(), calls), (Saved::Written, 2));
    let item = raw(&world).await.unwrap();
    assert_eq!((&item["SchemaVersion"], &item["Version"]), (&n(1), &n(2)));
}

/// What is done next with an item whose save was dropped at a pause, turned away.
#[derive(Clone, Copy, Debug)]
enum Next {
    Save,
    Migrate,
    Commit,
    Delete,
}

#[tokio::test(start_paused = true)]
async fn a_save_that_was_turned_away_and_dropped_is_planned_anew_by_whatever_comes_next() {
    for next in [Next::Save, Next::Migrate, Next::Commit, Next::Delete] {
        let world = open().await;
        let pauses = Pauses::default();
        let (table, close) = closing_by(client(&world, pauses.clone())).await;
        let mut item = table.create(key(), example()).await.unwrap();
        remark(item.value_mut());
        let rule = Rule::new(calls("UpdateItem"), Fault::Throttle).first(1);
        let _throttled = world.faults().inject(rule);
        tokio::select! {
            saved = table.save(&mut item) => panic!("{saved:?}"),
            () = pauses.begun.notified() => {}
        }
        close().await;
        match next {
            Next::Save => assert_eq!(table.save(&mut item).await.unwrap(), Saved::Written),
            Next::Migrate => assert_eq!(table.migrate(&mut item).await.unwrap(), Saved::Written),
            Next::Commit => {
                let mut transaction = Transaction::new();
                transaction.save(&table, &mut item).await.unwrap();
                transaction.commit().await.unwrap();
            }
            Next::Delete => table.delete(&mut item).await.unwrap(),
        }
        match (next, raw(&world).await) {
            (Next::Delete, None) => {}
            (_, Some(item)) => {
                assert_eq!((&item["SchemaVersion"], &item["Version"]), (&n(1), &n(2)), "{next:?}");
            }
            (next, None) => panic!("{next:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_save_in_doubt_is_looked_for_where_the_sdk_would_have_repeated_it() {
    let (world, saved, calls) = overtaken("UpdateItem", Fault::Reset, save).await;
    assert!(matches!(saved, Err(ItemError::OutcomeUnknown)), "{saved:?}");
    assert_eq!((calls, &raw(&world).await.unwrap()["Version"]), (1, &n(1)));

    let (world, saved, calls) = overtaken("UpdateItem", Fault::LostReply, save).await;
    assert_eq!((saved.unwrap(), calls), (Saved::Written, 1), "it had been applied");
    assert_eq!(raw(&world).await.unwrap()["Version"], n(2));
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_was_turned_away_is_planned_anew_where_the_sdk_would_have_repeated_it() {
    let create = async |_world: &World, table: &Table| table.create(key(), example()).await;
    let (world, created, calls) = overtaken("PutItem", Fault::Throttle, create).await;
    assert_eq!((created.unwrap().version(), calls), (Some(1), 2));
    assert_eq!(raw(&world).await.unwrap()["SchemaVersion"], n(1));
}

#[tokio::test(start_paused = true)]
async fn a_migration_is_not_made_in_a_version_that_may_not_be_written_any_more() {
    let migrate = async |world: &World, table: &Table| {
        put_old(world).await;
        let mut item = table.get::<Remarked>(&key()).await.unwrap().unwrap();
        table.migrate(&mut item).await
    };
    let (world, migrated, calls) = overtaken("UpdateItem", Fault::Throttle, migrate).await;
    assert!(matches!(migrated, Err(ItemError::Held { .. })), "{migrated:?}");
    assert_eq!((calls, &raw(&world).await.unwrap()["Version"]), (1, &n(4)));
}

#[tokio::test(start_paused = true)]
async fn an_update_ends_where_the_sdk_would_have_repeated_it() {
    let update = async |_world: &World, table: &Table| {
        table.update(&key(), Update::new().add("Data.total", 1)).await
    };
    let (world, updated, calls) = overtaken("TransactWriteItems", Fault::Throttle, update).await;
    assert!(matches!(updated, Err(ItemError::Held { .. })), "{updated:?}");
    assert_eq!((calls, &raw(&world).await.unwrap()["Version"]), (1, &n(1)));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_ends_where_the_sdk_would_have_repeated_it() {
    let commit = async |_world: &World, table: &Table| {
        let mut item = table.get::<Remarked>(&key()).await.unwrap().unwrap();
        remark(item.value_mut());
        let mut transaction = Transaction::new();
        transaction.save(table, &mut item).await.unwrap();
        transaction.commit().await
    };
    for fault in [Fault::Throttle, Fault::Reset, Fault::LostReply] {
        let (_, committed, calls) = overtaken("TransactWriteItems", fault, commit).await;
        assert_eq!(calls, 1, "{fault:?}");
        match (fault, committed) {
            (Fault::Throttle, Err(TransactionError::Failed(ItemError::Held { .. })))
            | (Fault::Reset, Err(TransactionError::Failed(ItemError::OutcomeUnknown)))
            | (Fault::LostReply, Ok(())) => {}
            (fault, committed) => panic!("{fault:?} {committed:?}"),
        }
    }
}

/// A table whose calls may take an hour, with pauses of eleven minutes between attempts.
fn slow(world: &World) -> Table {
    let config = config().with_call_timeout(Duration::from_secs(3_600));
    Table::new(client(world, Ages), TABLE, &identity(Color::Green), config).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_update_is_not_repeated_by_the_sdk_once_its_token_is_forgotten() {
    for (fault, total) in [(Fault::LostReply, 2), (Fault::Reset, 1)] {
        let world = open().await;
        blue(&world).create(key(), OrderV1::of(1)).await.unwrap();
        let _failed = world.faults().inject(Rule::new(calls("TransactWriteItems"), fault).first(1));
        let updated = slow(&world).update(&key(), Update::new().add("Data.total", 1)).await;
        assert!(matches!(updated, Err(ItemError::OutcomeUnknown)), "{fault:?} {updated:?}");
        assert_eq!(count(&world, &["TransactWriteItems"]), [1]);
        assert_eq!(raw(&world).await.unwrap()["Data"], m([("total", n(total))]), "{fault:?}");
    }
}

/// While a machine is suspended its monotonic clock may stand: only the wall clock goes on.
#[tokio::test(start_paused = true)]
async fn an_update_is_not_repeated_after_a_suspension_in_which_its_token_was_forgotten() {
    let (clock, hand) = Clock::settable(config().clock.now());
    let world = open_by(clock).await;
    blue(&world).create(key(), OrderV1::of(1)).await.unwrap();
    let pauses = Pauses::default();
    let sending = client(&world, pauses.clone());
    let config = config().with_clock(clock);
    let table = Table::new(sending, TABLE, &identity(Color::Green), config).unwrap();
    let lost = Rule::new(calls("TransactWriteItems"), Fault::LostReply).first(1);
    let _lost = world.faults().inject(lost);
    let (order, add) = (key(), Update::new().add("Data.total", 1));
    let (updated, ()) = tokio::join!(table.update(&order, add), async {
        pauses.begun.notified().await;
        hand.ahead(Duration::from_secs(11 * 60));
        pauses.ended.notify_one();
    });
    assert!(matches!(updated, Err(ItemError::OutcomeUnknown)), "{updated:?}");
    assert_eq!(raw(&world).await.unwrap()["Data"], m([("total", n(2))]), "applied once");
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_back_makes_no_token_younger() {
    let world = open().await;
    blue(&world).create(key(), OrderV1::of(1)).await.unwrap();
    let (clock, hand) = Clock::settable(config().clock.now());
    let config = config().with_clock(clock).with_call_timeout(Duration::from_secs(3_600));
    let table = Table::new(client(&world, Ages), TABLE, &identity(Color::Green), config).unwrap();
    let lost = Rule::new(calls("TransactWriteItems"), Fault::LostReply).first(1);
    let _lost = world.faults().inject(lost);
    let (order, add) = (key(), Update::new().add("Data.total", 1));
    let (updated, ()) = tokio::join!(table.update(&order, add), async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        hand.back(Duration::from_secs(3_600));
    });
    assert!(matches!(updated, Err(ItemError::OutcomeUnknown)), "{updated:?}");
    assert_eq!(raw(&world).await.unwrap()["Data"], m([("total", n(2))]), "applied once");
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_the_sdk_repeats_after_its_token_is_forgotten_is_told_by_its_marks() {
    for (foreign, is_known) in [(8, true), (9, false)] {
        let world = open().await;
        let table = slow(&world);
        let mut item = table.create(key(), OrderV1::of(1)).await.unwrap();
        let lost = Rule::new(calls("TransactWriteItems"), Fault::LostReply).first(1);
        let _lost = world.faults().inject(lost);
        item.value_mut().data.note = Some("ours".to_owned());
        let mut transaction = Transaction::new();
        transaction.save(&table, &mut item).await.unwrap();
        let (committed, ()) = tokio::join!(transaction.commit(), async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            for _ in 0..foreign {
                let change = |order: &mut OrderV1| order.data.total += 1;
                blue(&world).modify(&key(), change).await.unwrap();
            }
        });
        assert_eq!(count(&world, &["TransactWriteItems"]), [2]);
        match committed {
            Ok(()) => assert_eq!((item.version(), is_known), (Some(2), true)),
            Err(TransactionError::Failed(ItemError::OutcomeUnknown)) => assert!(!is_known),
            refused => panic!("it was applied: {refused:?}"),
        }
        let data = m([("total", n(1 + foreign)), ("note", s("ours"))]);
        assert_eq!(raw(&world).await.unwrap()["Data"], data, "applied once");
    }
}
