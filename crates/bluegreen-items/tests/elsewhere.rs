//! The same behavior on emulators by others.
//!
//! Set `CONFORMANCE_ITEMS_ENDPOINT` to run these against what listens there; otherwise they run on
//! the stand-in, as every test does. `items_alone_…` has a single writer, which is all that moto can
//! be asked for; `items_together_…` has several.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement};
use aws_sdk_dynamodb::types::{KeyType, ScalarAttributeType};
use bluegreen_core::{
    Color, ContractVersion, FollowConfig, Following, MemoryStore, Roster, RosterConfig, Stop,
};
use bluegreen_items::{
    AttributeNames, Attributes, Backfill, BackfillConfig, Ending, ItemError, Key, Saved, Schema,
    Step, Table, TableConfig, Transaction, TransactionError, Ttl, Update, Upserted, Versioned,
    WriteGate,
};
use bluegreen_local::World;

use crate::shop::{OrderV1, attributes, config, identity, m, n, s};

/// A table of its own, with a partition key alone, and everything called otherwise.
struct Place {
    client: Client,
    name: String,
}

impl Place {
    async fn new() -> Self {
        let client = client();
        let name = format!("items-{:012x}", fastrand::u64(..) >> 16);
        let attribute = AttributeDefinition::builder().attribute_name("order_id");
        let key = KeySchemaElement::builder().attribute_name("order_id").key_type(KeyType::Hash);
        client
            .create_table()
            .table_name(&name)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(
                attribute.attribute_type(ScalarAttributeType::S).build().unwrap(),
            )
            .key_schema(key.build().unwrap())
            .send()
            .await
            .unwrap();
        Self { client, name }
    }

    fn config() -> TableConfig {
        let names = AttributeNames::default()
            .with_partition_key("order_id")
            .without_sort_key()
            .with_version("rev")
            .with_schema_version("schema");
        config().with_names(names)
    }

    fn table(&self, color: Color, config: TableConfig) -> Table {
        Table::new(self.client.clone(), &self.name, &identity(color), config).unwrap()
    }

    fn blue(&self) -> Table {
        self.table(Color::Blue, Self::config())
    }

    async fn put(&self, id: &str, item: Attributes) {
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        put.item("order_id", s(id)).send().await.unwrap();
    }

    async fn raw(&self, id: &str) -> Attributes {
        let get = self.client.get_item().table_name(&self.name).consistent_read(true);
        get.key("order_id", s(id)).send().await.unwrap().item.unwrap()
    }
}

fn client() -> Client {
    let endpoint = std::env::var("CONFORMANCE_ITEMS_ENDPOINT").unwrap_or_default();
    if endpoint.is_empty() {
        return World::new().dynamodb();
    }
    // An emulator has a clock of its own.
    tokio::time::resume();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(World::REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

#[tokio::test(start_paused = true)]
async fn items_alone_an_item_lives_and_dies_under_its_lock() {
    let place = Place::new().await;
    let table = place.blue();
    let mut item = table.create(Key::new("1"), OrderV1::of(1)).await.unwrap();
    let error = table.create(Key::new("1"), OrderV1::of(1)).await.unwrap_err();
    assert!(matches!(error, ItemError::AlreadyExists { .. }), "{error}");
    item.value_mut().data.total = 2;
    assert_eq!(table.save(&mut item).await.unwrap(), Saved::Written);
    let mut stale = table.get::<OrderV1>(&Key::new("1")).await.unwrap().unwrap();
    table.modify(&Key::new("1"), |order: &mut OrderV1| order.data.total += 1).await.unwrap();
    stale.value_mut().data.total = 100;
    let ItemError::Conflict { current } = table.save(&mut stale).await.unwrap_err() else {
        panic!("another write came first")
    };
    assert_eq!(current.version(), Some(3));
    assert!(matches!(table.delete(&mut stale).await, Err(ItemError::Conflict { .. })));
    let upserted = table.upsert(Key::new("1"), OrderV1::of(9)).await.unwrap();
    assert!(matches!(upserted, Upserted::Updated(_)));
    let mut item = upserted.into_item();
    table.delete(&mut item).await.unwrap();
    assert!(table.get::<OrderV1>(&Key::new("1")).await.unwrap().is_none());
    item.value_mut().data.total = 1;
    assert!(matches!(table.save(&mut item).await, Err(ItemError::Gone)));

    let mut stale = table.create(Key::new("1"), OrderV1::of(1)).await.unwrap();
    let mut other = table.get::<OrderV1>(&Key::new("1")).await.unwrap().unwrap();
    table.delete(&mut other).await.unwrap();
    table.create(Key::new("1"), OrderV1::of(7)).await.unwrap();
    stale.value_mut().data.total = 2;
    let error = table.save(&mut stale).await.unwrap_err();
    assert!(matches!(error, ItemError::Conflict { .. }), "it is another life: {error}");
}

#[tokio::test(start_paused = true)]
async fn items_alone_what_nobody_knows_survives_with_its_type() {
    let place = Place::new().await;
    let delicate = || {
        m([
            ("digits", n("12345678901234567890123456789012345678")),
            ("names", AttributeValue::Ss(vec!["a".into(), "b".into()])),
            ("blobs", AttributeValue::Bs(vec![Blob::new([0, 255])])),
            ("bytes", AttributeValue::B(Blob::new([1, 2, 3]))),
            ("nothing", AttributeValue::Null(true)),
        ])
    };
    let data = m([("total", n(1)), ("note", s("x")), ("below", delicate())]);
    place.put("1", attributes([("Data", data), ("beside", delicate())])).await;
    let change = |order: &mut OrderV1| {
        order.data.total = 2;
        order.data.note = None;
    };
    place.blue().modify(&Key::new("1"), change).await.unwrap();
    let item = place.raw("1").await;
    // A set has no order.
    let names = |value: &AttributeValue| -> BTreeSet<String> {
        value.as_m().unwrap()["names"].as_ss().unwrap().iter().cloned().collect()
    };
    let data = item["Data"].as_m().unwrap();
    assert_eq!((&data["total"], data.get("note"), &item["rev"]), (&n(2), None, &n(1)));
    for value in [&item["beside"], &data["below"]] {
        assert_eq!(names(value), names(&delicate()));
        for name in ["digits", "blobs", "bytes", "nothing"] {
            assert_eq!(value.as_m().unwrap()[name], delicate().as_m().unwrap()[name], "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn items_alone_an_update_by_expression_is_applied_under_its_conditions() {
    let place = Place::new().await;
    let table = place.blue();
    for label in [None, Some(n(1)), Some(s("1")), Some(s("1.4"))] {
        let data = m([("total", n(1))]);
        let mut item = attributes([("Data", data)]);
        item.extend(label.map(|label| ("schema".to_owned(), label)));
        place.put("1", item).await;
        let update = Update::new().add("Data.total", 4).append("Data.log", &[7]).set("n", &"x");
        table.update(&Key::new("1"), update.if_below("Data.total", 5)).await.unwrap();
        let item = place.raw("1").await;
        let data = m([("total", n(5)), ("log", AttributeValue::L(vec![n(7)]))]);
        assert_eq!((&item["Data"], &item["rev"]), (&data, &n(1)));
        let update = Update::new().add("Data.total", 4).if_below("Data.total", 5);
        let error = table.update(&Key::new("1"), update).await.unwrap_err();
        assert!(matches!(error, ItemError::ConditionFailed { .. }), "{error}");
    }
    place.put("1", attributes([("schema", n(2))])).await;
    let error = table.update(&Key::new("1"), Update::new().set("n", &1)).await.unwrap_err();
    assert!(matches!(error, ItemError::NewerSchema { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn items_alone_a_transaction_is_all_or_nothing_and_names_who_is_in_the_way() {
    let place = Place::new().await;
    let table = place.blue();
    let mut one = table.create(Key::new("1"), OrderV1::of(1)).await.unwrap();
    let mut two = table.create(Key::new("2"), OrderV1::of(2)).await.unwrap();
    table.modify(&Key::new("2"), |order: &mut OrderV1| order.data.total = 20).await.unwrap();
    one.value_mut().data.total = 10;
    two.value_mut().data.total = 10;
    let mut transaction = Transaction::new();
    transaction.save(&table, &mut one).await.unwrap();
    transaction.save(&table, &mut two).await.unwrap();
    let TransactionError::Refused { refusals } = transaction.commit().await.unwrap_err() else {
        panic!("the second is stale")
    };
    let [refusal] = &refusals[..] else { panic!("{refusals:?}") };
    assert_eq!(refusal.key, Key::new("2"));
    assert_eq!(refusal.error.current().unwrap().version(), Some(2));
    assert_eq!(place.raw("1").await["rev"], n(1));

    let mut two = table.get::<OrderV1>(&Key::new("2")).await.unwrap().unwrap();
    let mut transaction = Transaction::new();
    transaction.save(&table, &mut one).await.unwrap();
    transaction.delete(&table, &mut two).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(place.raw("1").await["rev"], n(2));
    assert!(table.get::<OrderV1>(&Key::new("2")).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn items_alone_an_upsert_creates_replaces_declines_and_leaves_alone() {
    let place = Place::new().await;
    let table = place.blue();
    let created = table.upsert(Key::new("1"), OrderV1::of(1)).await.unwrap();
    assert!(matches!(created, Upserted::Created(_)));
    let unchanged = table.upsert(Key::new("1"), OrderV1::of(1)).await.unwrap();
    assert!(matches!(unchanged, Upserted::Unchanged(_)));
    let is_higher = |stored: &OrderV1| stored.data.total < 1;
    let declined = table.upsert_if(Key::new("1"), OrderV1::of(9), is_higher).await.unwrap();
    assert!(matches!(declined, Upserted::Declined(_)));
    let updated = table.upsert(Key::new("1"), OrderV1::of(9)).await.unwrap();
    assert!(matches!(updated, Upserted::Updated(_)));
    assert_eq!(place.raw("1").await["rev"], n(2));
}

#[tokio::test(start_paused = true)]
async fn items_alone_many_items_are_saved_and_deleted_each_under_its_lock() {
    let place = Place::new().await;
    let table = place.blue();
    let key = |number: u64| Key::new(number.to_string());
    let mut items: Vec<_> =
        (0..12).map(|number| Versioned::new(key(number), OrderV1::of(number))).collect();
    let saved = table.save_many(&mut items).await;
    assert!(saved.iter().all(|saved| matches!(saved, Ok(Saved::Written))), "{saved:?}");
    table.modify(&key(7), |order: &mut OrderV1| order.data.total = 70).await.unwrap();
    for item in &mut items {
        item.value_mut().data.total += 1;
    }
    for (number, saved) in table.save_many(&mut items).await.iter().enumerate() {
        let is_conflict = matches!(saved, Err(ItemError::Conflict { .. }));
        assert_eq!(is_conflict, number == 7, "{number} {saved:?}");
    }
    let deleted = table.delete_many(&mut items).await;
    assert_eq!(deleted.iter().filter(|deleted| deleted.is_ok()).count(), 11);
    let keys: Vec<_> = (0..12).map(key).collect();
    let left = table.get_many::<OrderV1>(&keys).await.unwrap();
    assert_eq!(left.iter().flatten().count(), 1, "the one that another had written");
}

#[tokio::test(start_paused = true)]
async fn items_alone_a_time_to_live_is_kept_as_a_number() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Session {
        user: String,
        expires: Ttl,
    }
    let place = Place::new().await;
    let table = place.blue();
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let session = Session { user: "ada".to_owned(), expires: Ttl::at(at(1_900_000_000)) };
    let mut item = table.create(Key::new("1"), session).await.unwrap();
    assert_eq!(place.raw("1").await["expires"], n(1_900_000_000));
    item.value_mut().expires = Ttl::at(at(1_900_000_060));
    table.save(&mut item).await.unwrap();
    let item = table.get::<Session>(&Key::new("1")).await.unwrap().unwrap();
    assert_eq!(item.value().expires, Ttl::at(at(1_900_000_060)));
    assert_eq!(item.value().user, "ada");
}

/// The order of version 2: the total is a sum.
#[derive(serde::Serialize, serde::Deserialize)]
struct Summed {
    sum: u64,
}

#[tokio::test(start_paused = true)]
async fn items_alone_an_item_goes_up_and_down_the_steps_of_its_schema() {
    fn renamed(item: &mut Attributes, from: &str, to: &str) {
        if let Some(value) = item.remove(from) {
            item.insert(to.to_owned(), value);
        }
    }
    let up = |item: &mut Attributes| {
        renamed(item, "total", "sum");
        Ok(())
    };
    let down = |item: &mut Attributes| {
        renamed(item, "sum", "total");
        Ok(())
    };
    let step = Step::new(1, 2, up).down(down).example(&Summed { sum: 1 });
    let schema = Schema::builder("Order", ContractVersion::new(2, 0)).step(step).build().unwrap();
    let place = Place::new().await;
    place.put("1", attributes([("total", n(4)), ("foreign", n(7)), ("schema", n(1))])).await;
    let config = || Place::config().with_schema(schema.clone());
    let add = |order: &mut Summed| order.sum += 1;

    // Nobody knows yet who there is, so that the old version is written.
    let (store, key) = (Arc::new(MemoryStore::new()), identity(Color::Green).key);
    let follow = FollowConfig::default().with_reads(schema.reads());
    let (following, follower) =
        Following::new(Arc::clone(&store), identity(Color::Green), follow).unwrap();
    let (roster, lookout) = Roster::new(store, key, RosterConfig::default()).unwrap();
    drop((follower, lookout));
    let held = config().with_gate(WriteGate::new(following, roster));
    place.table(Color::Green, held).modify(&Key::new("1"), add).await.unwrap();
    let item = place.raw("1").await;
    assert_eq!((&item["total"], item.get("sum"), &item["schema"]), (&n(5), None, &n(1)));

    place.table(Color::Green, config()).modify(&Key::new("1"), add).await.unwrap();
    let item = place.raw("1").await;
    assert_eq!((&item["sum"], item.get("total"), &item["schema"]), (&n(6), None, &n(2)));
    assert_eq!(item["foreign"], n(7));
    let error = place.blue().get::<OrderV1>(&Key::new("1")).await.unwrap_err();
    assert!(matches!(error, ItemError::NewerSchema { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn items_alone_many_items_are_read_and_backfilled() {
    let place = Place::new().await;
    for number in 0..30 {
        let item = attributes([("total", n(number)), ("foreign", n(7)), ("schema", n(1))]);
        place.put(&number.to_string(), item).await;
    }
    let step = Step::new(1, 2, |item| {
        let total = item.remove("total").unwrap_or(n(0));
        item.insert("sum".to_owned(), total);
        Ok(())
    });
    let schema = Schema::builder("Order", ContractVersion::new(2, 0)).step(step.without_down());
    let table = place.table(Color::Green, Place::config().with_schema(schema.build().unwrap()));
    let config =
        BackfillConfig::default().with_page(4).with_checkpoint(table.clone(), Key::new("c"));
    let (_handle, backfill) = Backfill::<Summed>::new(&table, config).unwrap();
    let report = backfill.run(Stop::never()).await.unwrap();
    assert_eq!((report.ending, report.progress.migrated), (Ending::Finished, 30));
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    let keys: Vec<_> = (0..31).map(|number: u64| Key::new(number.to_string())).collect();
    let found = table.get_many::<Summed>(&keys).await.unwrap();
    for (number, item) in (0..).zip(&found) {
        let sum = item.as_ref().map(|item| item.value().sum);
        assert_eq!(sum, (number < 30).then_some(number));
    }
    assert_eq!(found[7].as_ref().unwrap().stored().unwrap().attributes()["foreign"], n(7));
}

#[tokio::test(start_paused = true)]
async fn items_together_no_change_of_many_writers_is_lost_or_doubled() {
    let place = Place::new().await;
    let config = || Place::config().with_budget(Duration::from_secs(120));
    place.blue().create(Key::new("1"), OrderV1::of(0)).await.unwrap();
    let writers = (0..4).map(|writer| {
        let color = if writer % 2 == 0 { Color::Blue } else { Color::Green };
        let table = place.table(color, config());
        tokio::spawn(async move {
            for _ in 0..20 {
                let change = |order: &mut OrderV1| {
                    order.data.total += 1;
                    order.data.log.push(writer);
                };
                table.modify(&Key::new("1"), change).await.unwrap();
                let update = Update::new().add("Data.total", 1);
                table.update(&Key::new("1"), update).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let order = place.blue().get::<OrderV1>(&Key::new("1")).await.unwrap().unwrap();
    assert_eq!((order.value().data.total, order.version()), (160, Some(161)));
    assert_eq!(order.value().data.log.len(), 80);
}

#[tokio::test(start_paused = true)]
async fn items_together_transactions_over_the_same_items_keep_their_sum() {
    let place = Place::new().await;
    for id in ["1", "2"] {
        place.blue().create(Key::new(id), OrderV1::of(1_000)).await.unwrap();
    }
    let movers = (0..3u64).map(|mover| {
        let table = place.blue();
        tokio::spawn(async move {
            let mut moved = 0;
            while moved < 5 {
                let keys = [Key::new("1"), Key::new("2")];
                let [mut from, mut to] = [
                    table.get::<OrderV1>(&keys[0]).await.unwrap().unwrap(),
                    table.get::<OrderV1>(&keys[1]).await.unwrap().unwrap(),
                ];
                from.value_mut().data.total -= mover + 1;
                to.value_mut().data.total += mover + 1;
                let mut transaction = Transaction::new();
                transaction.save(&table, &mut from).await.unwrap();
                transaction.save(&table, &mut to).await.unwrap();
                match transaction.commit().await {
                    Ok(()) => moved += 1,
                    Err(TransactionError::Refused { .. }) => {}
                    Err(error) if error.is_retryable() => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        })
    });
    for mover in movers.collect::<Vec<_>>() {
        mover.await.unwrap();
    }
    let total = async |id: &str| {
        place.blue().get::<OrderV1>(&Key::new(id)).await.unwrap().unwrap().value().data.total
    };
    assert_eq!((total("1").await, total("2").await), (970, 1_030));
}
