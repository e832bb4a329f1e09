//! Two releases with different major schema versions on one table, gated by the deployment and its
//! members.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use bluegreen_core::{
    Color, ContractVersion, Deployment, FollowConfig, Following, Member, Members, MemoryStore,
    Release, Roster, RosterConfig, ServiceIdentity, ServiceKey, Share, Stop, Stopper, Store,
    update,
};
use bluegreen_items::{
    HeldBy, ItemError, Migration, NewerSchema, Saved, Schema, Step, Table, TableConfig,
    Transaction, TransactionError, Update, WriteGate, typed,
};
use bluegreen_local::{Fault, Rule, World};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::shop::{
    OrderV1, TABLE, blue, calls, config, count, identity, key, m, n, open, put_raw, raw, s, table,
};

/// The order as release 2 has it: the note has become a list of remarks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Remarked {
    #[serde(rename = "Data")]
    pub(crate) data: RemarkedData,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RemarkedData {
    pub(crate) total: u64,
    #[serde(default)]
    pub(crate) remarks: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    log: Vec<u32>,
}

fn up(old: OrderV1) -> Remarked {
    let remarks = old.data.note.into_iter().collect();
    Remarked { data: RemarkedData { total: old.data.total, remarks, log: old.data.log } }
}

fn down(new: Remarked) -> OrderV1 {
    let mut order = OrderV1::of(new.data.total);
    order.data.note = new.data.remarks.into_iter().next();
    order.data.log = new.data.log;
    order
}

pub(crate) fn example() -> Remarked {
    let remarks = vec!["leave at the door".to_owned()];
    Remarked { data: RemarkedData { total: 7, remarks, log: vec![1] } }
}

pub(crate) fn v(major: u16) -> ContractVersion {
    ContractVersion::new(major, 0)
}

fn first() -> Schema {
    Schema::new("Order", v(1))
}

fn second() -> Schema {
    let step = Step::new(1, 2, typed(up)).down(typed(down)).example(&example());
    Schema::builder("Order", v(2)).step(step).build().unwrap()
}

pub(crate) fn key_of_service() -> ServiceKey {
    ServiceKey::new("orders").unwrap()
}

pub(crate) fn release(name: &str) -> Release {
    Release::new(name).unwrap()
}

fn member(color: Color, of: &str, schema: &Schema) -> Member {
    let who = ServiceIdentity::new(key_of_service(), color, release(of), color.as_str());
    Member::new(&who, schema.reads(), Duration::from_secs(15))
}

/// All of the work on green, and blue may be asked back.
pub(crate) fn shifted() -> Deployment {
    let first = Deployment::first(key_of_service(), Color::Blue, release("1"));
    first.begin(Color::Green, release("2")).unwrap().shift(Share::FULL).unwrap()
}

fn gate(deployment: Deployment, living: Vec<Member>) -> WriteGate {
    WriteGate::new(Following::fixed(deployment), Roster::fixed(Members::living(living)))
}

/// Release 2 while release 1 lives.
pub(crate) fn held() -> WriteGate {
    let living = vec![member(Color::Blue, "1", &first()), member(Color::Green, "2", &second())];
    gate(shifted(), living)
}

pub(crate) fn opened() -> WriteGate {
    gate(shifted().commit().unwrap(), vec![member(Color::Green, "2", &second())])
}

fn green(world: &World, config: TableConfig) -> Table {
    table(world, Color::Green, config.with_schema(second()))
}

pub(crate) fn remark(order: &mut Remarked) {
    order.data.total += 1;
    order.data.remarks = vec!["ring twice".to_owned()];
}

pub(crate) async fn put_old(world: &World) {
    let data = m([("total", n(1)), ("note", s("hello")), ("foreign", n(7))]);
    put_raw(&world.dynamodb(), [("Data", data), ("SchemaVersion", n(1)), ("Version", n(4))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_ahead_writes_the_version_that_the_other_still_reads() {
    let world = open().await;
    let green = green(&world, config().with_gate(held()));
    put_old(&world).await;
    let order = green.modify(&key(), remark).await.unwrap();
    assert_eq!(order.value().data.remarks, ["ring twice"]);
    let item = raw(&world).await.unwrap();
    let data = m([("total", n(2)), ("note", s("ring twice")), ("foreign", n(7))]);
    assert_eq!((&item["Data"], &item["SchemaVersion"]), (&data, &n(1)));
    let seen = blue(&world).get::<OrderV1>(&key()).await.unwrap().unwrap();
    assert_eq!(seen.value().data.note.as_deref(), Some("ring twice"));
    assert_eq!(seen.environment(), Some(Color::Green));

    let written = green.written_schema().unwrap();
    assert_eq!(written.version, v(1));
    let holder =
        HeldBy::Member { instance: "blue".to_owned(), color: Color::Blue, release: release("1") };
    assert_eq!(written.held_by, Some(holder));
}

#[tokio::test(start_paused = true)]
async fn an_item_created_while_held_is_of_the_old_version() {
    let world = open().await;
    let green = green(&world, config().with_gate(held()));
    green.create(key(), example()).await.unwrap();
    assert_eq!(raw(&world).await.unwrap()["SchemaVersion"], n(1));
    let seen = blue(&world).get::<OrderV1>(&key()).await.unwrap().unwrap();
    assert_eq!(seen.value().data.note.as_deref(), Some("leave at the door"));
    let own = green.get::<Remarked>(&key()).await.unwrap().unwrap();
    assert_eq!(*own.value(), example());
}

#[tokio::test(start_paused = true)]
async fn an_item_of_the_new_version_is_taken_down_when_the_old_release_is_back() {
    let world = open().await;
    let ahead = green(&world, config().with_gate(opened()));
    put_old(&world).await;
    ahead.modify(&key(), remark).await.unwrap();
    let item = raw(&world).await.unwrap();
    let remarks = AttributeValue::L(vec![s("ring twice")]);
    let data = m([("total", n(2)), ("remarks", remarks), ("foreign", n(7))]);
    assert_eq!((&item["Data"], &item["SchemaVersion"]), (&data, &n(2)));

    let error = blue(&world).get::<OrderV1>(&key()).await.unwrap_err();
    assert!(matches!(error, ItemError::NewerSchema { .. }), "it says so and does not misread");

    let held = green(&world, config().with_gate(held()));
    held.modify(&key(), |order: &mut Remarked| order.data.total += 1).await.unwrap();
    let item = raw(&world).await.unwrap();
    let data = m([("total", n(3)), ("note", s("ring twice")), ("foreign", n(7))]);
    assert_eq!((&item["Data"], &item["SchemaVersion"]), (&data, &n(1)));
}

/// Version 2, whose way down keeps the first remark only, and says so.
pub(crate) fn lossy() -> Schema {
    let step = Step::new(1, 2, typed(up)).lossy_down(typed(down));
    Schema::builder("Order", v(2)).step(step).build().unwrap()
}

/// The ways not to know who reads.
pub(crate) fn ignorant() -> [(&'static str, WriteGate); 2] {
    let store = MemoryStore::new();
    let (unseen, _lookout) = Roster::new(store, key_of_service(), RosterConfig::default()).unwrap();
    let living = vec![member(Color::Green, "2", &lossy())];
    [
        ("nobody was seen yet", WriteGate::new(Following::fixed(shifted()), unseen)),
        ("started anew, and blue may be asked back", gate(shifted(), living)),
    ]
}

#[tokio::test(start_paused = true)]
async fn an_item_of_the_new_version_is_never_taken_down_by_ignorance() {
    for (name, gate) in ignorant() {
        let world = open().await;
        let orders = |gate| {
            let config = config().with_schema(lossy()).with_gate(gate);
            table(&world, Color::Green, config)
        };
        let committed = orders(opened());
        let two = |order: &mut Remarked| order.data.remarks = vec!["a".to_owned(), "b".to_owned()];
        committed.create(key(), example()).await.unwrap();
        committed.modify(&key(), two).await.unwrap();

        let ignorant = orders(gate);
        let written = ignorant.written_schema().unwrap();
        assert!(written.version == v(1) && written.held_by.unwrap().is_ignorance(), "{name}");
        let add = |order: &mut Remarked| order.data.total += 1;
        let order = ignorant.modify(&key(), add).await.unwrap();
        assert_eq!((order.schema_version(), order.value().data.total), (Some(v(2)), 8), "{name}");
        ignorant.update(&key(), Update::new().add("Data.total", 1)).await.unwrap();
        ignorant.upsert(key(), order.into_value()).await.unwrap();
        let item = raw(&world).await.unwrap();
        let remarks = AttributeValue::L(vec![s("a"), s("b")]);
        assert_eq!(item["Data"].as_m().unwrap()["remarks"], remarks, "{name}");
        assert_eq!(item["SchemaVersion"], n(2), "{name}");

        let other = bluegreen_items::Key::new("ORDER#18").with_sk("META");
        let created = ignorant.create(other.clone(), example()).await.unwrap();
        assert_eq!(created.schema_version(), Some(v(1)), "{name}: everybody reads what is new");
        let error = ignorant.update(&other, Update::new().add("Data.total", 1)).await.unwrap_err();
        assert!(matches!(error, ItemError::Held { .. }), "{name}: {error}");
    }
}

/// Green's item of version 2 loses its second remark, because blue lives again; not twice.
pub(crate) async fn taken_down_with_a_loss() {
    let world = open().await;
    let orders = |gate| table(&world, Color::Green, config().with_schema(lossy()).with_gate(gate));
    let two = |order: &mut Remarked| order.data.remarks = vec!["a".to_owned(), "b".to_owned()];
    orders(opened()).create(key(), example()).await.unwrap();
    orders(opened()).modify(&key(), two).await.unwrap();
    for _ in 0..2 {
        orders(held()).modify(&key(), |order: &mut Remarked| order.data.total += 1).await.unwrap();
    }
    let seen = blue(&world).get::<OrderV1>(&key()).await.unwrap().unwrap();
    assert_eq!((seen.value().data.total, seen.value().data.note.as_deref()), (9, Some("a")));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_known_takes_an_item_down_though_something_is_lost() {
    taken_down_with_a_loss().await;
}

#[tokio::test(start_paused = true)]
async fn an_item_of_a_version_between_two_steps_is_an_error_and_never_misread() {
    let world = open().await;
    let step = Step::new(1, 3, typed(up)).without_down();
    let schema = Schema::builder("Order", v(3)).step(step).build().unwrap();
    let orders = table(&world, Color::Green, config().with_schema(schema));
    put_raw(&world.dynamodb(), [("Data", m([("total", n(1))])), ("SchemaVersion", n(2))]).await;
    let error = orders.get::<Remarked>(&key()).await.unwrap_err();
    assert_eq!(error.to_string(), "the item cannot be taken from schema version 2 to 3");
}

#[tokio::test(start_paused = true)]
async fn a_step_down_that_would_lose_something_is_refused_and_nothing_is_written() {
    let world = open().await;
    let green = green(&world, config().with_gate(held()));
    put_old(&world).await;
    let before = raw(&world).await;
    let two = |order: &mut Remarked| order.data.remarks = vec!["a".to_owned(), "b".to_owned()];
    let error = green.modify(&key(), two).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the step from schema version 2 down to 1 would lose \"Data.remarks\""
    );
    assert_eq!(raw(&world).await, before);
}

#[tokio::test(start_paused = true)]
async fn while_nothing_that_can_be_written_can_be_read_nothing_is_written() {
    let world = open().await;
    let ancient = member(Color::Blue, "1", &Schema::new("Order", v(0)));
    let config = config().with_gate(gate(shifted(), vec![ancient]));
    let error = green(&world, config).create(key(), example()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "schema version 1.0 may not be written yet, because of blue of blue, release 1"
    );
    assert_eq!(raw(&world).await, None);
}

#[tokio::test(start_paused = true)]
async fn an_update_in_the_words_of_a_version_held_back_is_refused() {
    let world = open().await;
    put_old(&world).await;
    let before = raw(&world).await;
    let update = Update::new().append("Data.remarks", &["ring twice"]);
    let held = green(&world, config().with_gate(held()));
    let error = held.update(&key(), update.clone()).await.unwrap_err();
    assert!(matches!(error, ItemError::Held { version, .. } if version == v(2)), "{error}");
    assert_eq!((raw(&world).await, count(&world, &["TransactWriteItems"])[0]), (before, 0));

    green(&world, config().with_gate(opened())).update(&key(), update).await.unwrap();
    let item = raw(&world).await.unwrap();
    let remarks = AttributeValue::L(vec![s("hello"), s("ring twice")]);
    assert_eq!(item["Data"].as_m().unwrap()["remarks"], remarks, "migrated first, then changed");
}

/// Saves a remark in version 2 and gets no answer, then again once only version 1 may be written.
async fn save_again_in_the_old_version(world: &World, fault: Fault) -> Result<Saved, ItemError> {
    let [opened, held] = [opened(), held()].map(|gate| green(world, config().with_gate(gate)));
    opened.create(key(), example()).await.unwrap();
    let mut item = opened.get::<Remarked>(&key()).await.unwrap().unwrap();
    remark(item.value_mut());
    {
        let _lost = world.faults().inject(Rule::new(calls("UpdateItem"), fault));
        assert!(opened.save(&mut item).await.unwrap_err().is_retryable());
    }
    let sent = count(world, &["UpdateItem"]);
    let saved = held.save(&mut item).await;
    assert_eq!(count(world, &["UpdateItem"]), sent, "it is not sent again as it was planned");
    saved
}

#[tokio::test(start_paused = true)]
async fn a_save_after_an_outage_does_not_send_a_version_that_may_no_longer_be_written() {
    let world = open().await;
    let saved = save_again_in_the_old_version(&world, Fault::LostReply).await;
    assert_eq!(saved.unwrap(), Saved::Written, "it had been applied");

    let world = open().await;
    let saved = save_again_in_the_old_version(&world, Fault::Reset).await;
    assert!(matches!(saved, Err(ItemError::OutcomeUnknown)), "{saved:?}");
    assert_eq!(raw(&world).await.unwrap()["Version"], n(1));
}

#[tokio::test(start_paused = true)]
async fn a_save_that_was_only_turned_away_is_planned_anew_in_the_version_that_may_be_written() {
    let world = open().await;
    let [opened, held] = [opened(), held()].map(|gate| green(&world, config().with_gate(gate)));
    let mut item = opened.create(key(), example()).await.unwrap();
    remark(item.value_mut());
    {
        let _throttled = world.faults().inject(Rule::new(calls("UpdateItem"), Fault::Throttle));
        assert!(opened.save(&mut item).await.unwrap_err().is_retryable());
    }
    assert_eq!(held.save(&mut item).await.unwrap(), Saved::Written);
    assert_eq!(raw(&world).await.unwrap()["SchemaVersion"], n(1));
}

/// A table whose gate lets version 2 through until the returned process of release 1 is started.
async fn closing() -> (Table, impl AsyncFnOnce(), World) {
    let world = open().await;
    let (table, close) = closing_by(world.dynamodb_as("green")).await;
    (table, close, world)
}

/// The same of a client of the caller's.
pub(crate) async fn closing_by(client: Client) -> (Table, impl AsyncFnOnce()) {
    let store = Arc::new(MemoryStore::new());
    let only =
        |_: Option<&Deployment>| Deployment::first(key_of_service(), Color::Green, release("2"));
    update(&*store, &key_of_service(), |known| Ok(only(known))).await.unwrap();
    let process = Process::start(&store, Color::Green, "2", &second());
    let (roster, lookout) =
        Roster::new(Arc::clone(&store), key_of_service(), RosterConfig::default()).unwrap();
    tokio::spawn(lookout.run(Stop::never()));
    let gate = WriteGate::new(process.following.clone(), roster);
    let config = config().with_gate(gate).with_budget(Duration::from_secs(60));
    let config = config.with_schema(second());
    let table = Table::new(client, TABLE, &identity(Color::Green), config).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(table.written_schema().unwrap().version, v(2));
    let held = table.clone();
    let close = async move || {
        let back = Process::start(&store, Color::Blue, "1", &first());
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(held.written_schema().unwrap().version, v(1));
        // It lives on.
        std::mem::forget((process, back));
    };
    (table, close)
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_was_held_asks_the_gate_again_when_it_is_committed() {
    let (table, close, world) = closing().await;
    let mut item = table.create(key(), example()).await.unwrap();
    remark(item.value_mut());
    let mut transaction = Transaction::new();
    transaction.save(&table, &mut item).await.unwrap();
    close().await;
    let error = transaction.commit().await.unwrap_err();
    let is_held = matches!(&error, TransactionError::Failed(ItemError::Held { version, .. }) if *version == v(2));
    assert!(is_held, "{error:?}");
    assert_eq!(count(&world, &["TransactWriteItems"]), [0]);

    let mut again = Transaction::new();
    again.save(&table, &mut item).await.unwrap();
    again.commit().await.unwrap();
    assert_eq!(raw(&world).await.unwrap()["SchemaVersion"], n(1), "planned anew");
}

#[tokio::test(start_paused = true)]
async fn a_transaction_asks_the_gate_again_after_each_pause() {
    for fault in [Fault::Throttle, Fault::Reset, Fault::LostReply] {
        let (table, close, world) = closing().await;
        let mut item = table.create(key(), example()).await.unwrap();
        remark(item.value_mut());
        let mut transaction = Transaction::new();
        transaction.save(&table, &mut item).await.unwrap();
        let failing = world.faults().inject(Rule::new(calls("TransactWriteItems"), fault));
        let (committed, sent) = tokio::join!(transaction.commit(), async {
            close().await;
            drop(failing);
            count(&world, &["TransactWriteItems"])
        });
        assert_eq!(count(&world, &["TransactWriteItems"]), sent, "{fault:?}");
        match (fault, committed) {
            (Fault::Throttle, Err(TransactionError::Failed(ItemError::Held { .. })))
            | (Fault::Reset, Err(TransactionError::Failed(ItemError::OutcomeUnknown)))
            | (Fault::LostReply, Ok(())) => {}
            (fault, committed) => panic!("{fault:?} {committed:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_asks_the_gate_again_after_each_pause() {
    let (table, close, world) = closing().await;
    table.create(key(), example()).await.unwrap();
    let failing = world.faults().inject(Rule::new(calls("TransactWriteItems"), Fault::Throttle));
    let (key, update) = (key(), Update::new().add("Data.total", 1));
    let (updated, ()) = tokio::join!(table.update(&key, update), async {
        close().await;
        drop(failing);
    });
    assert!(matches!(updated, Err(ItemError::Held { .. })), "{updated:?}");
}

#[tokio::test(start_paused = true)]
async fn what_only_the_old_release_knows_survives_a_write_of_the_new_one_in_the_old_version() {
    let world = open().await;
    // The step up has no place for the flag, so the step down cannot bring it back.
    let up = |item: &mut bluegreen_items::Attributes| {
        item.remove("flag");
        Ok(())
    };
    let step = Step::new(1, 2, up).down(|_| Ok(())).example(&OrderV1::of(1));
    let schema = Schema::builder("Order", v(2)).step(step).build().unwrap();
    let green = table(&world, Color::Green, config().with_gate(held()).with_schema(schema));
    let data = m([("total", n(1))]);
    put_raw(&world.dynamodb(), [("Data", data), ("flag", n(9)), ("SchemaVersion", n(1))]).await;
    green.modify(&key(), |order: &mut OrderV1| order.data.total = 2).await.unwrap();
    assert_eq!(raw(&world).await.unwrap()["flag"], n(9));
}

#[tokio::test(start_paused = true)]
async fn an_item_of_a_version_that_no_step_begins_at_is_an_error() {
    let world = open().await;
    put_raw(&world.dynamodb(), [("Data", m([("total", n(1))])), ("SchemaVersion", n(0))]).await;
    let error = green(&world, config()).get::<Remarked>(&key()).await.unwrap_err();
    assert!(matches!(error, ItemError::OlderSchema { .. }), "{error}");
    let error = blue(&world).get::<OrderV1>(&key()).await.unwrap_err();
    assert!(matches!(error, ItemError::OlderSchema { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_blue_that_may_read_on_leaves_greens_label_and_attributes_alone() {
    let world = open().await;
    green(&world, config()).create(key(), example()).await.unwrap();
    let config = config().with_schema(first()).with_newer_schema(NewerSchema::Read);
    let blue = table(&world, Color::Blue, config);
    blue.modify(&key(), |order: &mut OrderV1| order.data.total = 8).await.unwrap();
    let item = raw(&world).await.unwrap();
    assert_eq!(item["SchemaVersion"], n(2));
    let remarks = AttributeValue::L(vec![s("leave at the door")]);
    assert_eq!(item["Data"].as_m().unwrap()["remarks"], remarks);
}

#[tokio::test(start_paused = true)]
async fn reading_migrates_once_and_only_what_may_be_written() {
    let world = open().await;
    put_old(&world).await;
    let on_read = || config().with_migration(Migration::OnRead);
    let held = green(&world, on_read().with_gate(held()));
    assert_eq!(held.get::<Remarked>(&key()).await.unwrap().unwrap().value().data.total, 1);
    assert_eq!(count(&world, &["GetItem", "UpdateItem"]), [1, 0]);

    let open = green(&world, on_read().with_gate(opened()));
    for _ in 0..2 {
        let order = open.get::<Remarked>(&key()).await.unwrap().unwrap();
        assert_eq!((order.version(), &*order.value().data.remarks[0]), (Some(5), "hello"));
    }
    assert_eq!(count(&world, &["GetItem", "UpdateItem"]), [3, 1]);
    let item = raw(&world).await.unwrap();
    let data =
        m([("total", n(1)), ("remarks", AttributeValue::L(vec![s("hello")])), ("foreign", n(7))]);
    assert_eq!((&item["Data"], &item["SchemaVersion"]), (&data, &n(2)));
}

#[tokio::test(start_paused = true)]
async fn a_migration_on_read_claims_no_minor_version_whose_fields_it_cannot_know() {
    let world = open().await;
    put_old(&world).await;
    // A step that works on attributes: it knows nothing of what version 2.3 has added.
    let up = |item: &mut bluegreen_items::Attributes| {
        let data = item.get_mut("Data").and_then(|data| data.as_m().ok().cloned());
        let mut data = data.ok_or("there is no Data")?;
        if let Some(note) = data.remove("note") {
            data.insert("remarks".to_owned(), AttributeValue::L(vec![note]));
        }
        item.insert("Data".to_owned(), AttributeValue::M(data));
        Ok(())
    };
    let step = Step::new(1, 2, up).without_down();
    let schema = Schema::builder("Order", ContractVersion::new(2, 3)).step(step).build().unwrap();
    let on_read = config().with_migration(Migration::OnRead).with_schema(schema);
    let green = table(&world, Color::Green, on_read);
    #[derive(Debug, Serialize, Deserialize)]
    struct Added {
        #[serde(rename = "Data")]
        data: RemarkedData,
        #[serde(default)]
        since: u32,
    }
    let order = green.get::<Added>(&key()).await.unwrap().unwrap();
    assert_eq!(order.schema_version(), Some(v(2)));
    let item = raw(&world).await.unwrap();
    assert_eq!((&item["SchemaVersion"], item.contains_key("since")), (&n(2), false));
    green.modify(&key(), |order: &mut Added| order.data.total += 1).await.unwrap();
    let item = raw(&world).await.unwrap();
    assert_eq!((&item["SchemaVersion"], &item["since"]), (&s("2.3"), &n(0)));
}

#[tokio::test(start_paused = true)]
async fn a_migration_on_read_that_fails_or_comes_second_is_no_reason_not_to_read() {
    let world = open().await;
    put_old(&world).await;
    let green = green(&world, config().with_migration(Migration::OnRead));
    {
        let rule = Rule::new(calls("UpdateItem"), Fault::AccessDenied);
        let _denied = world.faults().inject(rule);
        let order = green.get::<Remarked>(&key()).await.unwrap().unwrap();
        assert_eq!(order.version(), Some(4));
    }
    let migration = world.faults().hold(calls("UpdateItem").access_key("green"), 1);
    let key = key();
    let (read, ()) = tokio::join!(green.get::<Remarked>(&key), async {
        migration.reached().await;
        blue(&world).modify(&key, |order: &mut OrderV1| order.data.total = 50).await.unwrap();
        migration.release();
    });
    let order = read.unwrap().unwrap();
    assert_eq!((order.version(), order.value().data.total), (Some(5), 50));
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_item_can_be_migrated_and_is_once() {
    let world = open().await;
    put_old(&world).await;
    let green = green(&world, config());
    let mut order = green.get::<Remarked>(&key()).await.unwrap().unwrap();
    assert_eq!(green.migrate(&mut order).await.unwrap(), Saved::Written);
    assert_eq!(order.schema_version(), Some(v(2)));
    assert_eq!(green.migrate(&mut order).await.unwrap(), Saved::Unchanged);
    assert_eq!(raw(&world).await.unwrap()["SchemaVersion"], n(2));
}

#[tokio::test(start_paused = true)]
async fn a_migration_whose_reply_was_lost_is_not_made_again() {
    let world = open().await;
    put_old(&world).await;
    let green = green(&world, config());
    let mut order = green.get::<Remarked>(&key()).await.unwrap().unwrap();
    {
        let rule = Rule::new(calls("UpdateItem"), Fault::LostReply);
        let _lost = world.faults().inject(rule);
        assert!(green.migrate(&mut order).await.unwrap_err().is_retryable());
    }
    assert_eq!(green.migrate(&mut order).await.unwrap(), Saved::Written);
    assert_eq!(order.version(), Some(5));
    assert_eq!(raw(&world).await.unwrap()["Version"], n(5));
}

#[tokio::test(start_paused = true)]
async fn one_table_holds_kinds_of_items_with_schemas_of_their_own() {
    let world = open().await;
    let orders = green(&world, config());
    let customers = orders.with_schema(Schema::new("Customer", v(7))).unwrap();
    put_old(&world).await;
    let other = bluegreen_items::Key::new("CUSTOMER#1").with_sk("META");
    customers.create(other.clone(), OrderV1::of(3)).await.unwrap();
    assert_eq!(orders.get::<Remarked>(&key()).await.unwrap().unwrap().value().data.total, 1);
    let customer = customers.get::<OrderV1>(&other).await.unwrap().unwrap();
    assert_eq!(customer.schema_version(), Some(v(7)));
    assert!(orders.with_schema(Schema::new("", v(1))).is_err());
}

/// What happens to an item during a release and after it.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// Blue changes it, if it runs.
    Blue,
    Green,
    GreenReads,
    /// Blue ends for good, or is back.
    Turn,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        3 => Just(Happens::Blue),
        4 => Just(Happens::Green),
        1 => Just(Happens::GreenReads),
        1 => Just(Happens::Turn),
    ]
}

async fn play(all: Vec<Happens>) {
    let world = open().await;
    put_old(&world).await;
    let blue = blue(&world);
    let greens = || config().with_migration(Migration::OnRead);
    let (held, opened) =
        (green(&world, greens().with_gate(held())), green(&world, greens().with_gate(opened())));
    let (mut blue_runs, mut total, mut label) = (true, 1, 1);
    for happens in all {
        let green = if blue_runs { &held } else { &opened };
        match happens {
            Happens::Blue if !blue_runs => continue,
            Happens::Blue => {
                let changed =
                    blue.modify(&key(), |order: &mut OrderV1| order.data.total += 1).await;
                match changed {
                    Ok(_) => total += 1,
                    // What was written while it was gone; it says so.
                    Err(ItemError::NewerSchema { .. }) => assert_eq!(label, 2),
                    Err(error) => panic!("{error}"),
                }
            }
            Happens::Green => {
                green.modify(&key(), remark).await.unwrap();
                total += 1;
                label = if blue_runs { 1 } else { 2 };
            }
            Happens::GreenReads => {
                let order = green.get::<Remarked>(&key()).await.unwrap().unwrap();
                assert_eq!(order.value().data.total, total);
                // Reading takes an item up where that may be, and never down.
                label = if blue_runs { label } else { 2 };
            }
            Happens::Turn => blue_runs = !blue_runs,
        }
        let item = raw(&world).await.unwrap();
        let data = item["Data"].as_m().unwrap();
        assert_eq!((&data["total"], &data["foreign"]), (&n(total), &n(7)), "{happens:?}");
        assert_eq!(item["SchemaVersion"], n(label), "{happens:?}");
        assert_eq!(data.contains_key("note"), label == 1, "one shape or the other, whole");
        assert_eq!(data.contains_key("remarks"), label == 2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happens_in_a_release_an_item_is_whole_and_nothing_is_lost(
        all in proptest::collection::vec(happens(), 1..25),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().start_paused(true).build().unwrap().block_on(play(all));
    }
}

/// A process that follows the store and announces what it reads.
struct Process {
    following: Following,
    stopper: Stopper,
    running: tokio::task::JoinHandle<()>,
}

impl Process {
    fn start(store: &Arc<MemoryStore>, color: Color, of: &str, schema: &Schema) -> Self {
        let who = ServiceIdentity::new(key_of_service(), color, release(of), color.as_str());
        let config = FollowConfig::default().with_reads(schema.reads());
        let (following, follower) = Following::new(Arc::clone(store), who, config).unwrap();
        let (stopper, stop) = Stop::new();
        let running = tokio::spawn(async move {
            follower.run(stop).await.unwrap();
        });
        Self { following, stopper, running }
    }

    async fn stop(self) {
        self.stopper.stop(Duration::from_secs(5));
        self.running.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_gate_follows_a_whole_release_with_its_drivers() {
    let world = open().await;
    let store = Arc::new(MemoryStore::new());
    let set = async |next: fn(&Deployment) -> Deployment| {
        update(&*store, &key_of_service(), |known| {
            Ok(match known {
                Some(known) => next(known),
                None => Deployment::first(key_of_service(), Color::Blue, release("1")),
            })
        })
        .await
        .unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    };
    set(|known| known.clone()).await;
    let blue = Process::start(&store, Color::Blue, "1", &first());
    let green = Process::start(&store, Color::Green, "2", &second());
    let (roster, lookout) =
        Roster::new(Arc::clone(&store), key_of_service(), RosterConfig::default()).unwrap();
    tokio::spawn(lookout.run(Stop::never()));
    let gate = WriteGate::new(green.following.clone(), roster);
    let orders = self::green(&world, config().with_gate(gate));
    let written = || orders.written_schema().unwrap().version;
    assert_eq!(written(), v(1), "nothing is known yet");

    set(|known| known.begin(Color::Green, release("2")).unwrap()).await;
    assert_eq!(written(), v(1), "blue serves");
    set(|known| known.shift(Share::FULL).unwrap()).await;
    blue.stop().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(written(), v(1), "blue lives no more and may be asked back");
    set(|known| known.commit().unwrap()).await;
    assert_eq!(written(), v(2), "blue is history");

    let back = Process::start(&store, Color::Blue, "1", &first());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(written(), v(1), "and back by somebody's mistake");
    // Killed: its record has to expire.
    back.running.abort();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(written(), v(1));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(written(), v(2));
    assert_eq!(identity(Color::Green).color, Color::Green);
    assert_eq!(store.members(&key_of_service()).await.unwrap().len(), 2);
}
