//! What was planned while it was known who reads, and is sent when it is not: an item that has the
//! newer version keeps it, and none is raised to it.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use bluegreen_core::{
    Color, Deployment, FollowConfig, Following, MemoryStore, Roster, RosterConfig, ServiceIdentity,
    Stop, update,
};
use bluegreen_items::{
    Backfill, BackfillConfig, BackfillError, HeldBy, ItemError, Key, Saved, Table, Transaction,
    TransactionError, Update, Versioned, WriteGate,
};
use bluegreen_local::{Fault, Rule, World};

use crate::releases::{
    Remarked, example, ignorant, key_of_service, lossy, opened, put_old, release, v,
};
use crate::shop::{OrderV1, blue, calls, config, count, key, m, n, open, raw, s, table};

fn green(world: &World, gate: WriteGate) -> Table {
    table(world, Color::Green, config().with_schema(lossy()).with_gate(gate))
}

fn newer_key() -> Key {
    Key::new("ORDER#2").with_sk("META")
}

/// The way down would lose the second.
fn two_remarks(order: &mut Remarked) {
    order.data.remarks = vec!["a".to_owned(), "b".to_owned()];
}

async fn check_both_remarks_are_kept(table: &Table, key: &Key, version: u64) {
    let order = table.get::<Remarked>(key).await.unwrap().unwrap();
    assert_eq!((order.schema_version(), order.version()), (Some(v(2)), Some(version)));
    assert_eq!(order.value().data.remarks, ["a", "b"]);
}

/// Green alone, committed, with a gate whose store goes away when it is told to: from then on nobody
/// knows who lives.
async fn forsaken(world: &World) -> (Table, impl AsyncFnOnce()) {
    let store = Arc::new(MemoryStore::new());
    let only =
        |_: Option<&Deployment>| Deployment::first(key_of_service(), Color::Green, release("2"));
    update(&*store, &key_of_service(), |known| Ok(only(known))).await.unwrap();
    let who = ServiceIdentity::new(key_of_service(), Color::Green, release("2"), "green");
    let follow = FollowConfig::default().with_reads(lossy().reads());
    let (following, follower) = Following::new(Arc::clone(&store), who, follow).unwrap();
    let (roster, lookout) = Roster::new(store, key_of_service(), RosterConfig::default()).unwrap();
    let drivers = [
        tokio::spawn(async move { drop(follower.run(Stop::never()).await) }),
        tokio::spawn(async move { drop(lookout.run(Stop::never()).await) }),
    ];
    let gate = WriteGate::new(following, roster);
    gate.ready().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let config = config().with_schema(lossy()).with_gate(gate);
    let table = table(world, Color::Green, config.with_budget(Duration::from_secs(60)));
    assert_eq!(table.written_schema().unwrap().version, v(2));
    let asked = table.clone();
    let forsake = async move || {
        drivers.iter().for_each(tokio::task::JoinHandle::abort);
        tokio::time::sleep(Duration::from_secs(20)).await;
        let held_by = asked.written_schema().unwrap().held_by;
        assert!(matches!(held_by, Some(HeldBy::Stale { .. })), "{held_by:?}");
    };
    (table, forsake)
}

#[tokio::test(start_paused = true)]
async fn a_transaction_and_a_save_in_doubt_of_a_newer_item_go_through_in_its_version() {
    for (name, gate) in ignorant() {
        let world = open().await;
        green(&world, opened()).create(key(), example()).await.unwrap();
        let table = green(&world, gate);
        let mut item = table.get::<Remarked>(&key()).await.unwrap().unwrap();
        two_remarks(item.value_mut());
        {
            let _reset = world.faults().inject(Rule::new(calls("UpdateItem"), Fault::Reset));
            assert!(table.save(&mut item).await.unwrap_err().is_retryable(), "{name}");
        }
        assert_eq!(table.save(&mut item).await.unwrap(), Saved::Written, "{name}");
        check_both_remarks_are_kept(&table, &key(), 2).await;

        item.value_mut().data.total += 1;
        let mut transaction = Transaction::new();
        transaction.save(&table, &mut item).await.unwrap();
        transaction.commit().await.unwrap();
        check_both_remarks_are_kept(&table, &key(), 3).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_item_keeps_its_version_when_what_was_known_has_grown_stale_before_the_resend() {
    for fault in [Fault::Reset, Fault::LostReply, Fault::Throttle] {
        let world = open().await;
        let (table, forsake) = forsaken(&world).await;
        let mut item = table.create(key(), example()).await.unwrap();
        two_remarks(item.value_mut());
        {
            let _failing = world.faults().inject(Rule::new(calls("UpdateItem"), fault));
            assert!(table.save(&mut item).await.unwrap_err().is_retryable(), "{fault:?}");
        }
        let mut other = table.create(newer_key(), example()).await.unwrap();
        two_remarks(other.value_mut());
        let mut transaction = Transaction::new();
        transaction.save(&table, &mut other).await.unwrap();
        let failing = world.faults().inject(Rule::new(calls("TransactWriteItems"), fault));
        let (committed, ()) = tokio::join!(transaction.commit(), async {
            forsake().await;
            drop(failing);
        });
        committed.unwrap();
        check_both_remarks_are_kept(&table, &newer_key(), 2).await;
        assert_eq!(table.save(&mut item).await.unwrap(), Saved::Written, "{fault:?}");
        check_both_remarks_are_kept(&table, &key(), 2).await;
    }
}

/// An old item is changed in version 2 and the call fails; it is saved again when nobody knows any
/// more who reads.
async fn saved_again(world: &World, fault: Fault) -> Result<Saved, ItemError> {
    let (table, forsake) = forsaken(world).await;
    put_old(world).await;
    let mut item = table.get::<Remarked>(&key()).await.unwrap().unwrap();
    item.value_mut().data.total = 9;
    {
        let _failing = world.faults().inject(Rule::new(calls("UpdateItem"), fault));
        assert!(table.save(&mut item).await.unwrap_err().is_retryable());
    }
    forsake().await;
    table.save(&mut item).await
}

#[tokio::test(start_paused = true)]
async fn an_old_item_is_not_raised_by_what_was_planned_before_it_was_unknown_who_reads() {
    let world = open().await;
    let saved = saved_again(&world, Fault::Reset).await;
    assert!(matches!(saved, Err(ItemError::OutcomeUnknown)), "{saved:?}");
    let item = raw(&world).await.unwrap();
    assert_eq!((&item["SchemaVersion"], &item["Version"]), (&n(1), &n(4)));

    let world = open().await;
    assert_eq!(saved_again(&world, Fault::Throttle).await.unwrap(), Saved::Written);
    let item = raw(&world).await.unwrap();
    let data = m([("total", n(9)), ("note", s("hello")), ("foreign", n(7))]);
    assert_eq!((&item["SchemaVersion"], &item["Data"]), (&n(1), &data), "planned anew");

    let world = open().await;
    let saved = saved_again(&world, Fault::LostReply).await;
    assert_eq!(saved.unwrap(), Saved::Written, "it had been applied");
    let item = raw(&world).await.unwrap();
    assert_eq!((&item["SchemaVersion"], &item["Version"]), (&n(2), &n(5)));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_would_raise_one_item_waits_whole_and_is_planned_anew() {
    let world = open().await;
    let (table, forsake) = forsaken(&world).await;
    let mut newer = table.create(newer_key(), example()).await.unwrap();
    put_old(&world).await;
    let mut old = table.get::<Remarked>(&key()).await.unwrap().unwrap();
    let mut new = Versioned::new(Key::new("ORDER#3").with_sk("META"), example());
    two_remarks(newer.value_mut());
    old.value_mut().data.total = 9;
    let mut transaction = Transaction::new();
    transaction.save(&table, &mut newer).await.unwrap();
    transaction.save(&table, &mut old).await.unwrap();
    transaction.save(&table, &mut new).await.unwrap();
    forsake().await;
    let error = transaction.commit().await.unwrap_err();
    let is_held =
        matches!(&error, TransactionError::Failed(ItemError::Held { by, .. }) if by.is_ignorance());
    assert!(is_held, "{error:?}");
    assert_eq!(count(&world, &["TransactWriteItems"]), [0]);

    let mut again = Transaction::new();
    again.save(&table, &mut newer).await.unwrap();
    again.save(&table, &mut old).await.unwrap();
    again.save(&table, &mut new).await.unwrap();
    again.commit().await.unwrap();
    check_both_remarks_are_kept(&table, &newer_key(), 2).await;
    let versions = [&newer, &old, &new].map(|item| item.schema_version());
    assert_eq!(versions, [Some(v(2)), Some(v(1)), Some(v(1))], "each as everybody reads it");
    let seen = blue(&world).get::<OrderV1>(&key()).await.unwrap().unwrap();
    assert_eq!((seen.value().data.total, seen.value().data.note.as_deref()), (9, Some("hello")));
}

#[tokio::test(start_paused = true)]
async fn an_update_under_way_goes_on_for_a_newer_item_and_raises_no_old_one() {
    let world = open().await;
    let (table, forsake) = forsaken(&world).await;
    table.create(key(), example()).await.unwrap();
    let failing = world.faults().inject(Rule::new(calls("TransactWriteItems"), Fault::Reset));
    let (key, update) = (key(), Update::new().append("Data.remarks", &["b"]));
    let (updated, ()) = tokio::join!(table.update(&key, update.clone()), async {
        forsake().await;
        drop(failing);
    });
    updated.unwrap();
    let item = raw(&world).await.unwrap();
    let remarks = AttributeValue::L(vec![s("leave at the door"), s("b")]);
    assert_eq!(
        (&item["SchemaVersion"], &item["Data"].as_m().unwrap()["remarks"]),
        (&n(2), &remarks)
    );

    put_old(&world).await;
    let error = table.update(&key, update).await.unwrap_err();
    assert!(matches!(error, ItemError::Held { .. }), "{error}");
    assert_eq!(raw(&world).await.unwrap()["SchemaVersion"], n(1));
}

#[tokio::test(start_paused = true)]
async fn a_backfill_ends_when_it_is_unknown_who_reads_and_the_save_beside_it_does_not() {
    let world = open().await;
    let (table, forsake) = forsaken(&world).await;
    let mut newer = table.create(newer_key(), example()).await.unwrap();
    two_remarks(newer.value_mut());
    put_old(&world).await;
    let migration = Rule::new(calls("UpdateItem"), Fault::Reset);
    let failing = world.faults().inject(migration);
    let (_handle, backfill) = Backfill::<Remarked>::new(&table, BackfillConfig::default()).unwrap();
    let (report, saved) = tokio::join!(backfill.run(Stop::never()), async {
        assert!(table.save(&mut newer).await.unwrap_err().is_retryable());
        forsake().await;
        drop(failing);
        table.save(&mut newer).await
    });
    let error = report.unwrap_err();
    let is_held =
        matches!(&error, BackfillError::Item(ItemError::Held { by, .. }) if by.is_ignorance());
    assert!(is_held, "{error:?}");
    assert_eq!(saved.unwrap(), Saved::Written);
    check_both_remarks_are_kept(&table, &newer_key(), 2).await;
    let item = raw(&world).await.unwrap();
    assert_eq!((&item["SchemaVersion"], &item["Version"]), (&n(1), &n(4)), "not raised");

    let (_handle, backfill) = Backfill::<Remarked>::new(&table, BackfillConfig::default()).unwrap();
    assert!(backfill.run(Stop::never()).await.is_err(), "nor begun");
    assert_eq!(raw(&world).await.unwrap()["Version"], n(4));
}
