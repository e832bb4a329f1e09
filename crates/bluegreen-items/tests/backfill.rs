//! All items of a table stored in the newer schema version: resumable, bounded, beside live writers.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use bluegreen_core::{
    Clock, Color, ContractVersion, Deployment, Following, Member, Members, MemoryStore, Release,
    Roster, RosterConfig, ServiceIdentity, ServiceKey, Stop, Store,
};
use bluegreen_items::{
    Attributes, Backfill, BackfillConfig, BackfillError, BackfillReport, Ending, ItemError, Key,
    Schema, Step, Table, WriteGate, typed,
};
use bluegreen_local::{Fault, Rule, World};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::shop::{OrderV1, TABLE, attributes, blue, calls, config, count, m, n, open, s, table};

/// The order as release 2 has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summed {
    #[serde(rename = "Data")]
    pub(crate) data: SummedData,
    #[serde(default)]
    pub(crate) region: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SummedData {
    pub(crate) sum: u64,
}

pub(crate) fn second() -> Schema {
    let up = |old: OrderV1| {
        let data = SummedData { sum: old.data.total };
        Summed { data, region: "eu".to_owned() }
    };
    let step = Step::new(1, 2, typed(up)).without_down();
    Schema::builder("Order", ContractVersion::new(2, 0)).step(step).build().unwrap()
}

pub(crate) fn green(world: &World) -> Table {
    table(world, Color::Green, config().with_schema(second()))
}

pub(crate) fn key(number: usize) -> Key {
    Key::new(format!("ORDER#{number}")).with_sk("META")
}

pub(crate) async fn put(world: &World, pk: &str, entries: Attributes) {
    let mut item = attributes([("PK", s(pk)), ("SK", s("META"))]);
    item.extend(entries);
    let put = world.dynamodb_as("legacy").put_item().table_name(TABLE);
    put.set_item(Some(item)).send().await.unwrap();
}

/// Old items, with and without a version and a label, each with something no release knows.
pub(crate) async fn fill(world: &World, items: usize) {
    for number in 0..items {
        let data = m([("total", n(number)), ("foreign", n(7))]);
        let mut item = attributes([("Data", data)]);
        if number % 3 > 0 {
            item.extend(attributes([("Version", n(1))]));
        }
        if number % 2 > 0 {
            item.extend(attributes([("SchemaVersion", n(1))]));
        }
        put(world, &format!("ORDER#{number}"), item).await;
    }
}

pub(crate) async fn all(world: &World) -> Vec<Attributes> {
    world.dynamodb().scan().table_name(TABLE).send().await.unwrap().items.unwrap_or_default()
}

/// Each item was migrated by exactly one write.
pub(crate) async fn check_all_migrated_once(world: &World, items: usize) {
    let found = all(world).await;
    assert_eq!(found.len(), items);
    for item in found {
        let number: usize = item["PK"].as_s().unwrap()["ORDER#".len()..].parse().unwrap();
        let data = m([("sum", n(number)), ("foreign", n(7))]);
        assert_eq!((&item["Data"], &item["SchemaVersion"]), (&data, &n(2)));
        assert_eq!(item["region"], s("eu"));
        let version = if number.is_multiple_of(3) { 1 } else { 2 };
        assert_eq!(item["Version"], n(version), "item {number} was written once");
    }
}

pub(crate) fn small() -> BackfillConfig {
    BackfillConfig::default().with_segments(3).with_parallel(2).with_page(5)
}

pub(crate) fn checkpoint(world: &World) -> (Table, Key) {
    (table(world, Color::Green, config()), Key::new("BACKFILL").with_sk("Order 2"))
}

pub(crate) fn resumable(world: &World) -> BackfillConfig {
    let (table, key) = checkpoint(world);
    small().with_checkpoint(table, key).with_checkpoint_interval(Duration::ZERO)
}

pub(crate) async fn run(
    table: &Table,
    config: BackfillConfig,
) -> Result<BackfillReport, BackfillError> {
    let (_handle, backfill) = Backfill::<Summed>::new(table, config).unwrap();
    backfill.run(Stop::never()).await
}

#[tokio::test(start_paused = true)]
async fn every_old_item_is_migrated_once_and_new_ones_are_left_alone() {
    let world = open().await;
    fill(&world, 40).await;
    let report = run(&green(&world), resumable(&world)).await.unwrap();
    assert_eq!(report.ending, Ending::Finished);
    let progress = report.progress;
    assert_eq!((progress.migrated, progress.failed, progress.conflicts), (40, 0, 0));
    assert!(progress.read_units > 0.0 && progress.write_units >= 40.0, "{progress:?}");
    check_all_migrated_once(&world, 40).await;

    let updates = count(&world, &["UpdateItem"]);
    let report = run(&green(&world), small()).await.unwrap();
    assert_eq!((report.progress.migrated, report.progress.unchanged), (0, 40));
    assert_eq!(count(&world, &["UpdateItem"]), updates);
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_call_it_goes_on_without_a_repetition() {
    for (operation, calls_before) in
        [("UpdateItem", &[1, 2, 5, 11][..]), ("Scan", &[1, 2, 5]), ("PutItem", &[1])]
    {
        for &n in calls_before {
            let world = open().await;
            fill(&world, 40).await;
            let greens = calls(operation).access_key("green");
            let mut killed = 0;
            loop {
                let (_handle, backfill) =
                    Backfill::<Summed>::new(&green(&world), resumable(&world)).unwrap();
                // The n-th call is executed and its answer never read, a few times.
                let at = if killed < 8 { n } else { u64::MAX };
                let held = world.faults().hold_reply(greens.clone(), at);
                tokio::select! {
                    biased;
                    report = backfill.run(Stop::never()) => {
                        assert_eq!(report.unwrap().ending, Ending::Finished);
                        break;
                    }
                    () = held.reached() => killed += 1,
                }
            }
            assert!(killed > 0, "{operation} {n}");
            check_all_migrated_once(&world, 40).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn asked_to_stop_it_remembers_and_the_next_run_goes_on_from_there() {
    let world = open().await;
    fill(&world, 40).await;
    let (table, key) = checkpoint(&world);
    let config = small().with_checkpoint(table, key);
    let (_handle, backfill) = Backfill::<Summed>::new(&green(&world), config.clone()).unwrap();
    let (stopper, stop) = Stop::new();
    let twentieth = world.faults().hold(calls("UpdateItem").access_key("green"), 20);
    let (report, ()) = tokio::join!(backfill.run(stop), async {
        twentieth.reached().await;
        stopper.stop(Duration::from_secs(5));
        twentieth.release();
    });
    let first = report.unwrap();
    assert_eq!(first.ending, Ending::Stopped);
    assert!((20..40).contains(&first.progress.migrated), "{first:?}");
    let (_handle, backfill) = Backfill::<Summed>::new(&green(&world), config).unwrap();
    let scans = count(&world, &["Scan"])[0];
    let second = backfill.run(Stop::never()).await.unwrap();
    assert_eq!(second.ending, Ending::Finished);
    assert!(second.progress.scanned >= 40);
    let resumed = count(&world, &["Scan"])[0] - scans;
    check_all_migrated_once(&world, 40).await;
    let scans = count(&world, &["Scan"])[0];
    run(&green(&world), small()).await.unwrap();
    let whole = count(&world, &["Scan"])[0] - scans;
    assert!(resumed + 3 <= whole, "not from the start: {resumed} of {whole} pages");
}

#[tokio::test(start_paused = true)]
async fn asked_to_stop_it_finishes_the_calls_that_are_under_way() {
    let world = open().await;
    fill(&world, 20).await;
    let config = small().with_segments(1).with_page(20);
    let (_handle, backfill) = Backfill::<Summed>::new(&green(&world), config).unwrap();
    let (stopper, stop) = Stop::new();
    let writes = calls("UpdateItem").access_key("green");
    let reply = world.faults().hold_reply(writes.clone(), 3);
    let other = world.faults().hold(writes, 5);
    let mut running = tokio::spawn(backfill.run(stop));
    reply.reached().await;
    other.reached().await;
    stopper.stop(Duration::from_secs(60));
    other.release();
    let early = tokio::time::timeout(Duration::from_secs(5), &mut running).await;
    assert!(early.is_err(), "an answer is still to come");
    reply.release();
    let report = running.await.unwrap().unwrap();
    assert_eq!((report.ending, report.progress.migrated), (Ending::Stopped, 5));
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_a_call_that_hangs_is_given_up() {
    let world = open().await;
    fill(&world, 4).await;
    let start = Instant::now();
    let (_handle, backfill) = Backfill::<Summed>::new(&green(&world), resumable(&world)).unwrap();
    let _hanging = world.faults().inject(Rule::new(calls("UpdateItem"), Fault::Hang));
    let (stopper, stop) = Stop::new();
    let ((report, ended), ()) =
        tokio::join!(async { (backfill.run(stop).await, Instant::now()) }, async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            stopper.stop(Duration::from_secs(3));
        });
    assert_eq!(report.unwrap().ending, Ending::Stopped);
    assert_eq!(ended - start, Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_says_what_would_be_done_and_writes_nothing() {
    let world = open().await;
    fill(&world, 20).await;
    put(&world, "ORDER#20", attributes([("Data", m([("total", s("many"))]))])).await;
    put(&world, "ORDER#21", attributes([("SchemaVersion", n(0))])).await;
    let before = all(&world).await.len();
    let report = run(&green(&world), resumable(&world).dry_run()).await.unwrap();
    assert_eq!(report.ending, Ending::Finished);
    assert_eq!((report.progress.migrated, report.progress.failed), (20, 2));
    assert_eq!(all(&world).await.len(), before);
    let greens = |operation| world.calls_in(&calls(operation).access_key("green"));
    assert_eq!(["UpdateItem", "PutItem", "DeleteItem"].map(greens), [0, 0, 0]);
    let mut failures: Vec<_> = report
        .failures
        .iter()
        .map(|failure| format!("{}: {}", failure.key.as_ref().unwrap(), failure.error))
        .collect();
    failures.sort();
    let expected = [
        "ORDER#20/META: the item cannot be taken from schema version 1 to 2",
        "ORDER#21/META: the item has schema version 0.0, this release reads from 1.0 on",
    ];
    assert_eq!(failures, expected);

    let report = run(&green(&world), resumable(&world)).await.unwrap();
    assert_eq!((report.progress.migrated, report.progress.failed), (20, 2), "they stop no other");
}

#[tokio::test(start_paused = true)]
async fn no_more_capacity_is_consumed_a_second_than_allowed() {
    let world = open().await;
    fill(&world, 60).await;
    let start = Instant::now();
    let report = run(&green(&world), small().with_write_capacity(10.0)).await.unwrap();
    let units = report.progress.write_units;
    let seconds = start.elapsed().as_secs_f64();
    assert!(units >= 60.0, "{units}");
    assert!(seconds >= (units - 10.0) / 10.0, "{units} units in {seconds} s");
    check_all_migrated_once(&world, 60).await;

    let start = Instant::now();
    let report = run(&green(&world), small().with_read_capacity(1.0)).await.unwrap();
    let units = report.progress.read_units;
    let seconds = start.elapsed().as_secs_f64();
    assert!(seconds >= units - 3.0 && seconds > 2.0, "{units} units in {seconds} s");
}

#[tokio::test(start_paused = true)]
async fn the_time_left_is_estimated_on_the_way() {
    let world = open().await;
    fill(&world, 60).await;
    let config = small().with_write_capacity(1.0);
    let (handle, backfill) = Backfill::<Summed>::new(&green(&world), config).unwrap();
    let (_report, ()) = tokio::join!(backfill.run(Stop::never()), async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        let progress = handle.progress();
        assert_eq!(progress.total, Some(60));
        assert!((25..=35).contains(&progress.migrated), "{progress:?}");
        let left = progress.remaining.unwrap().as_secs();
        assert!((20..=40).contains(&left), "{progress:?}");
    });
}

#[tokio::test(start_paused = true)]
async fn items_that_others_write_meanwhile_are_looked_at_again() {
    let world = open().await;
    fill(&world, 10).await;
    let write = world.faults().hold(calls("UpdateItem").access_key("green"), 1);
    let green = green(&world);
    let (report, ()) = tokio::join!(run(&green, small()), async {
        write.reached().await;
        for number in 0..10 {
            let key = key(number);
            let change = |order: &mut OrderV1| order.data.total += 100;
            if let Err(error) = blue(&world).modify(&key, change).await {
                assert!(matches!(error, ItemError::NewerSchema { .. }), "{error}");
            }
        }
        write.release();
    });
    let progress = report.unwrap().progress;
    assert!(progress.conflicts > 0 && progress.migrated == 10, "{progress:?}");
    let old = all(&world).await.iter().filter(|item| item["SchemaVersion"] != n(2)).count();
    assert_eq!(old, 0);
}

#[tokio::test(start_paused = true)]
async fn while_the_gate_holds_the_version_back_it_says_so_and_writes_nothing() {
    let world = open().await;
    fill(&world, 5).await;
    let service = ServiceKey::new("orders").unwrap();
    let release = Release::new("1").unwrap();
    let deployment = Deployment::first(service, Color::Blue, release);
    let gate = WriteGate::new(Following::fixed(deployment), Roster::fixed(Members::living(vec![])));
    let step = Step::new(1, 2, typed(|old: OrderV1| old)).lossy_down(|_| Ok(()));
    let schema = Schema::builder("Order", ContractVersion::new(2, 0)).step(step).build().unwrap();
    let table = table(&world, Color::Green, config().with_schema(schema).with_gate(gate));
    let (_handle, backfill) = Backfill::<OrderV1>::new(&table, small()).unwrap();
    let error = backfill.run(Stop::never()).await.unwrap_err();
    assert!(matches!(error, BackfillError::Item(ItemError::Held { .. })), "{error:?}");
    assert_eq!(count(&world, &["UpdateItem", "Scan"]), [0, 0]);
    let (_handle, backfill) = Backfill::<OrderV1>::new(&table, small().dry_run()).unwrap();
    let report = backfill.run(Stop::never()).await.unwrap();
    assert_eq!(report.progress.migrated, 5, "what it would do can be asked before");
    assert_eq!(count(&world, &["UpdateItem"]), [0]);
}

#[tokio::test(start_paused = true)]
async fn when_the_gate_closes_on_the_way_it_ends_and_says_why() {
    let world = open().await;
    fill(&world, 30).await;
    let service = ServiceKey::new("orders").unwrap();
    let release = Release::new("1").unwrap();
    let step = Step::new(1, 2, typed(|old: OrderV1| old)).lossy_down(|_| Ok(()));
    let schema = Schema::builder("Order", ContractVersion::new(2, 0)).step(step).build().unwrap();
    let member = |instance: &str, schema: &Schema| {
        let who = ServiceIdentity::new(service.clone(), Color::Blue, release.clone(), instance);
        let member = Member::new(&who, schema.reads(), Duration::from_secs(600));
        member.announced(None, Clock::system().now())
    };
    let store = Arc::new(MemoryStore::new());
    store.announce(&service, &member("new", &schema)).await.unwrap();
    let config_of_looks = RosterConfig::default();
    let (mut roster, lookout) =
        Roster::new(Arc::clone(&store), service.clone(), config_of_looks).unwrap();
    tokio::spawn(lookout.run(Stop::never()));
    roster.changed().await;
    let deployment = Deployment::first(service.clone(), Color::Blue, release.clone());
    let gate = WriteGate::new(Following::fixed(deployment), roster);
    let config = config().with_schema(schema).with_gate(gate);
    let table = table(&world, Color::Green, config);
    let (_handle, backfill) = Backfill::<OrderV1>::new(&table, small()).unwrap();
    let third = world.faults().hold(calls("UpdateItem").access_key("green"), 3);
    let (outcome, ()) = tokio::join!(backfill.run(Stop::never()), async {
        third.reached().await;
        let old = Schema::new("Order", ContractVersion::new(1, 0));
        store.announce(&service, &member("old", &old)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        third.release();
    });
    let error = outcome.unwrap_err();
    assert!(matches!(error, BackfillError::Item(ItemError::Held { .. })), "{error:?}");
    let left =
        all(&world).await.iter().filter(|item| item.get("SchemaVersion") != Some(&n(2))).count();
    assert!(left > 0, "what is left is left for the next run");
}

#[tokio::test(start_paused = true)]
async fn a_second_run_with_the_same_checkpoint_takes_over() {
    let world = open().await;
    fill(&world, 30).await;
    let held = world.faults().hold(calls("UpdateItem").access_key("green"), 3);
    let green = green(&world);
    let (first, ()) = tokio::join!(run(&green, resumable(&world)), async {
        held.reached().await;
        let second = run(&green, resumable(&world)).await.unwrap();
        assert_eq!(second.ending, Ending::Finished);
        held.release();
    });
    assert!(matches!(first, Err(BackfillError::AnotherRun)), "{first:?}");
    check_all_migrated_once(&world, 30).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_taken_over_notices_though_the_other_has_done_nothing_yet() {
    let world = open().await;
    fill(&world, 30).await;
    let table = green(&world);
    // A checkpoint is there that the second run does not change by its work.
    let (_handle, before) = Backfill::<Summed>::new(&table, resumable(&world)).unwrap();
    let early = world.faults().hold(calls("UpdateItem").access_key("green"), 1);
    tokio::select! {
        biased;
        report = before.run(Stop::never()) => panic!("it was held: {report:?}"),
        () = early.reached() => {}
    }
    drop(early);
    let held = world.faults().hold(calls("UpdateItem").access_key("green"), 3);
    let (first, second) = tokio::join!(run(&table, resumable(&world)), async {
        held.reached().await;
        let looks = world.faults().hold(calls("Scan").access_key("green"), 1);
        let (_handle, second) = Backfill::<Summed>::new(&table, resumable(&world)).unwrap();
        let second = tokio::spawn(second.run(Stop::never()));
        looks.reached().await;
        held.release();
        tokio::time::sleep(Duration::from_secs(60)).await;
        looks.release();
        second.await.unwrap()
    });
    assert!(matches!(first, Err(BackfillError::AnotherRun)), "{first:?}");
    assert_eq!(second.unwrap().ending, Ending::Finished);
    check_all_migrated_once(&world, 30).await;
}

#[tokio::test(start_paused = true)]
async fn only_the_items_selected_are_migrated() {
    let world = open().await;
    fill(&world, 10).await;
    put(&world, "CUSTOMER#1", attributes([("name", s("Ada"))])).await;
    let is_order = |item: &Attributes| {
        item.get("PK").is_some_and(|pk| pk.as_s().is_ok_and(|pk| pk.starts_with("ORDER#")))
    };
    let report = run(&green(&world), small().with_only(is_order)).await.unwrap();
    assert_eq!((report.progress.migrated, report.progress.unchanged), (10, 1));
    let customers = all(&world).await;
    let customer = customers.iter().find(|item| item["PK"] == s("CUSTOMER#1")).unwrap();
    assert_eq!(customer.get("SchemaVersion"), None::<&AttributeValue>);
}

#[tokio::test(start_paused = true)]
async fn trouble_of_the_table_is_waited_out_or_ends_the_run_without_losing_its_place() {
    let world = open().await;
    fill(&world, 30).await;
    for (seed, fault) in [Fault::Throttle, Fault::InternalError, Fault::LostReply, Fault::Reset]
        .into_iter()
        .enumerate()
    {
        let share = bluegreen_core::Share::percent(10).unwrap();
        let rule = |operation: &str| {
            let greens = calls(operation).access_key("green");
            Rule::new(greens, fault).some(share, seed as u64)
        };
        world.faults().inject(rule("UpdateItem")).keep();
        world.faults().inject(rule("Scan")).keep();
    }
    {
        let _down = world.faults().inject(Rule::new(calls("UpdateItem"), Fault::AccessDenied));
        let error = run(&green(&world), resumable(&world)).await.unwrap_err();
        let is_denied = matches!(error, BackfillError::Item(ItemError::Misconfigured { .. }));
        assert!(is_denied, "{error:?}");
    }
    let report = run(&green(&world), resumable(&world)).await.unwrap();
    assert_eq!((report.ending, report.progress.failed), (Ending::Finished, 0));
    check_all_migrated_once(&world, 30).await;
}
