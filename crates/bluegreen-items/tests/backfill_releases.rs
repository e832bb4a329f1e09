//! A backfill while releases come, are taken back and come again.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::BillingMode;
use bluegreen_core::{
    Clock, Color, ContractVersion, Deployment, FollowConfig, Following, Member, Members,
    MemoryStore, Release, Roster, RosterConfig, ServiceIdentity, ServiceKey, Share, Stop, Store,
    update,
};
use bluegreen_items::{
    Backfill, BackfillConfig, BackfillError, Ending, ItemError, Key, Schema, Step, Table,
    WriteGate, typed,
};
use bluegreen_local::World;

use crate::backfill::{
    Summed, SummedData, all, check_all_migrated_once, checkpoint, fill, green, key, run, small,
};
use crate::shop::{OrderV1, TABLE, blue, calls, config, count, identity, n, open, table};

fn service() -> ServiceKey {
    ServiceKey::new("orders").unwrap()
}

fn release(name: &str) -> Release {
    Release::new(name).unwrap()
}

/// The way to green alone.
fn history() -> [Deployment; 4] {
    let first = Deployment::first(service(), Color::Blue, release("1"));
    let begun = first.begin(Color::Green, release("2")).unwrap();
    let full = begun.shift(Share::FULL).unwrap();
    let committed = full.commit().unwrap();
    [first, begun, full, committed]
}

fn committed() -> Deployment {
    let [.., committed] = history();
    committed
}

/// Version 2, which may be taken back.
fn returnable() -> Schema {
    let up = |old: OrderV1| {
        let data = SummedData { sum: old.data.total };
        Summed { data, region: "eu".to_owned() }
    };
    let down = |new: Summed| OrderV1::of(new.data.sum);
    let step = Step::new(1, 2, typed(up)).lossy_down(typed(down));
    Schema::builder("Order", ContractVersion::new(2, 0)).step(step).build().unwrap()
}

fn gated(world: &World, gate: WriteGate) -> Table {
    table(world, Color::Green, config().with_schema(returnable()).with_gate(gate))
}

fn fixed(deployment: Deployment) -> WriteGate {
    let members = Members::living(vec![new_green()]);
    WriteGate::new(Following::fixed(deployment), Roster::fixed(members))
}

async fn old_items(world: &World) -> usize {
    let is_old = |item: &bluegreen_items::Attributes| {
        item["PK"].as_s().is_ok_and(|pk| pk.starts_with("ORDER#"))
            && item.get("SchemaVersion") != Some(&n(2))
    };
    all(world).await.iter().filter(|item| is_old(item)).count()
}

/// Runs a backfill until it has written so many items, and stops it.
async fn run_half(world: &World, table: &Table, config: BackfillConfig, writes: u64) {
    let (_handle, backfill) = Backfill::<Summed>::new(table, config).unwrap();
    let (stopper, stop) = Stop::new();
    let updates = calls("UpdateItem").access_key("green");
    let held = world.faults().hold(updates, writes);
    let (report, ()) = tokio::join!(backfill.run(stop), async {
        held.reached().await;
        stopper.stop(Duration::from_secs(60));
        held.release();
    });
    assert_eq!(report.unwrap().ending, Ending::Stopped);
}

/// A checkpoint whose calls are not counted among green's.
fn remembering(world: &World) -> BackfillConfig {
    let key = checkpoint(world).1;
    let config = small().with_segments(2).with_checkpoint(blue(world), key);
    config.with_checkpoint_interval(Duration::ZERO)
}

/// Green writes for a living blue again: each item of version 2 is taken down.
async fn taken_back(world: &World, gate: WriteGate) {
    let green = gated(world, gate);
    let is_new = |item: &bluegreen_items::Attributes| item.get("SchemaVersion") == Some(&n(2));
    for item in all(world).await.into_iter().filter(is_new) {
        let item: bluegreen_items::Versioned<Summed> = green.read(item).unwrap();
        green.modify(item.key(), |order: &mut Summed| order.data.sum += 1_000).await.unwrap();
    }
}

fn member(color: Color, of: &str, schema: &Schema) -> Member {
    let who = ServiceIdentity::new(service(), color, release(of), color.as_str());
    let member = Member::new(&who, schema.reads(), Duration::from_secs(15));
    member.announced(None, Clock::system().now())
}

fn old_blue() -> Member {
    member(Color::Blue, "1", &Schema::new("Order", ContractVersion::new(1, 0)))
}

fn new_green() -> Member {
    member(Color::Green, "2", &returnable())
}

/// Green while an old process of blue lives, under the same deployment.
fn held() -> WriteGate {
    let members = Members::living(vec![old_blue(), new_green()]);
    WriteGate::new(Following::fixed(committed()), Roster::fixed(members))
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_back_behind_the_cursor_is_migrated_by_the_run_after() {
    let world = open().await;
    fill(&world, 40).await;
    let first = fixed(committed());
    run_half(&world, &gated(&world, first), remembering(&world), 20).await;
    taken_back(&world, held()).await;
    assert_eq!(old_items(&world).await, 40);

    // Blue was the candidate again, and was given up: another revision.
    let again = committed().begin(Color::Blue, release("1")).unwrap().abandon().unwrap();
    let table = gated(&world, fixed(again));
    let report = run(&table, remembering(&world)).await.unwrap();
    assert_eq!((report.ending, report.progress.migrated), (Ending::Finished, 40));
    assert_eq!(old_items(&world).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_the_gate_does_not_let_begin_opens_what_was_done() {
    let world = open().await;
    fill(&world, 40).await;
    let open = || gated(&world, fixed(committed()));
    run_half(&world, &open(), remembering(&world), 20).await;
    let error = run(&gated(&world, held()), remembering(&world)).await.unwrap_err();
    assert!(matches!(error, BackfillError::Item(ItemError::Held { .. })), "{error:?}");
    taken_back(&world, held()).await;
    let report = run(&open(), remembering(&world)).await.unwrap();
    assert_eq!((report.ending, report.progress.migrated), (Ending::Finished, 40));
    assert_eq!(old_items(&world).await, 0);
}

/// Green with its drivers.
async fn driven(world: &World, store: &Arc<MemoryStore>) -> Table {
    for deployment in history() {
        update(&**store, &service(), |_| Ok(deployment.clone())).await.unwrap();
    }
    let who = ServiceIdentity::new(service(), Color::Green, release("2"), "green");
    let follow = FollowConfig::default().with_reads(returnable().reads());
    let (following, follower) = Following::new(Arc::clone(store), who, follow).unwrap();
    let (roster, lookout) =
        Roster::new(Arc::clone(store), service(), RosterConfig::default()).unwrap();
    tokio::spawn(follower.run(Stop::never()));
    tokio::spawn(lookout.run(Stop::never()));
    let gate = WriteGate::new(following, roster);
    gate.ready().await;
    gated(world, gate)
}

#[tokio::test(start_paused = true)]
async fn when_the_deployment_changes_on_the_way_all_is_gone_through_again() {
    let world = open().await;
    fill(&world, 40).await;
    let store = Arc::new(MemoryStore::new());
    let green = driven(&world, &store).await;
    let (_handle, backfill) = Backfill::<Summed>::new(&green, remembering(&world)).unwrap();
    let held_call = world.faults().hold(calls("UpdateItem").access_key("green"), 30);
    let (report, ()) = tokio::join!(backfill.run(Stop::never()), async {
        held_call.reached().await;
        let next = |known: Option<&Deployment>| known.unwrap().taken_over();
        update(&*store, &service(), |known| Ok(next(known))).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        taken_back(&world, held()).await;
        held_call.release();
    });
    let report = report.unwrap();
    assert_eq!((report.ending, report.progress.scanned), (Ending::Finished, 41));
    assert_eq!(old_items(&world).await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_old_process_that_appears_ends_the_run_at_once_and_the_next_begins_anew() {
    let world = open().await;
    fill(&world, 40).await;
    let store = Arc::new(MemoryStore::new());
    let green = driven(&world, &store).await;
    // A call that never returns: nothing of the run itself would notice.
    let hanging = world.faults().hold(calls("UpdateItem").access_key("green"), 20);
    let outcome = run(&green, remembering(&world));
    let (outcome, ()) = tokio::join!(outcome, async {
        hanging.reached().await;
        store.announce(&service(), &old_blue()).await.unwrap();
    });
    let error = outcome.unwrap_err();
    assert!(matches!(error, BackfillError::Item(ItemError::Held { .. })), "{error:?}");
    drop(hanging);
    taken_back(&world, held()).await;
    store.withdraw(&service(), "blue").await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let report = run(&green, remembering(&world)).await.unwrap();
    assert_eq!((report.ending, report.progress.migrated), (Ending::Finished, 40));
    assert_eq!(old_items(&world).await, 0);
}

#[tokio::test(start_paused = true)]
async fn readers_of_both_releases_in_the_middle_of_a_backfill_see_what_they_can_read() {
    let world = open().await;
    fill(&world, 30).await;
    let green = gated(&world, fixed(committed()));
    let held_call = world.faults().hold(calls("UpdateItem").access_key("green"), 15);
    let (report, ()) = tokio::join!(run(&green, small().with_segments(1)), async {
        held_call.reached().await;
        let (mut seen, mut refused) = (0, 0);
        for number in 0..30 {
            let order = green.get::<Summed>(&key(number)).await.unwrap().unwrap();
            assert_eq!(order.value().data.sum, number as u64);
            match blue(&world).get::<OrderV1>(&key(number)).await {
                Ok(order) => {
                    assert_eq!(order.unwrap().value().data.total, number as u64);
                    seen += 1;
                }
                Err(error) => {
                    assert!(matches!(error, ItemError::NewerSchema { .. }), "{error}");
                    refused += 1;
                }
            }
        }
        assert!(seen > 0 && refused > 0, "{seen} {refused}");
        held_call.release();
    });
    assert_eq!(report.unwrap().ending, Ending::Finished);
    assert_eq!(count(&world, &["DeleteItem"]), [0]);
    check_all_migrated_once(&world, 30).await;
}

/// Creates a table with the keys of the other one.
async fn create_as(world: &World, name: &str) {
    let client = world.dynamodb();
    let like = client.describe_table().table_name(TABLE).send().await.unwrap().table.unwrap();
    if name == TABLE {
        client.delete_table().table_name(TABLE).send().await.unwrap();
    }
    let create = client.create_table().table_name(name).set_key_schema(like.key_schema);
    let create = create.set_attribute_definitions(like.attribute_definitions);
    create.billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_table_deleted_and_created_anew_is_gone_through_from_its_beginning() {
    let world = open().await;
    create_as(&world, "progress").await;
    fill(&world, 40).await;
    let progress = world.dynamodb_as("progress");
    let progress = Table::new(progress, "progress", &identity(Color::Green), config()).unwrap();
    let resumable = || {
        let key = Key::new("BACKFILL").with_sk("Order 2");
        let config = small().with_checkpoint(progress.clone(), key);
        config.with_checkpoint_interval(Duration::ZERO)
    };
    run_half(&world, &green(&world), resumable(), 30).await;
    create_as(&world, TABLE).await;
    fill(&world, 40).await;
    let report = run(&green(&world), resumable()).await.unwrap();
    assert_eq!((report.progress.scanned, report.progress.migrated), (40, 40));
    check_all_migrated_once(&world, 40).await;
}
