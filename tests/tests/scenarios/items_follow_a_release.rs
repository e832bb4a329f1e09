//! State and items together: a release that changes the shape of items, under the load of both
//! colors, and a backfill at its end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use bluegreen::items::{
    Attributes, Backfill, BackfillConfig, Ending, Key, Schema, Step, Table, TableConfig, WriteGate,
};
use bluegreen::state::DynamoStore;
use bluegreen::{
    Clock, Color, ContractVersion, Deployment, FollowConfig, Following, Release, Roster,
    RosterConfig, ServiceIdentity, ServiceKey, Share, Stop, Stopper, UpdateError, update,
};
use bluegreen_local::World;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

const ORDERS: u32 = 12;

#[derive(Serialize, Deserialize)]
struct OrderV1 {
    total: u32,
}

#[derive(Serialize, Deserialize)]
struct OrderV2 {
    sum: u32,
}

fn renamed(item: &mut Attributes, from: &str, to: &str) {
    if let Some(value) = item.remove(from) {
        item.insert(to.to_owned(), value);
    }
}

fn schema(color: Color) -> Result<Schema> {
    if color == Color::Blue {
        return Ok(Schema::new("Order", ContractVersion::new(1, 0)));
    }
    let up = |item: &mut Attributes| {
        renamed(item, "total", "sum");
        Ok(())
    };
    let down = |item: &mut Attributes| {
        renamed(item, "sum", "total");
        Ok(())
    };
    let step = Step::new(1, 2, up).down(down).example(&OrderV2 { sum: 1 });
    Ok(Schema::builder("Order", ContractVersion::new(2, 0)).step(step).build()?)
}

fn key(order: u32) -> Key {
    Key::new(format!("ORDER#{order}")).with_sk("META")
}

/// A task of one color: it follows, announces, and adds 1 to each order in turn.
struct Task {
    table: Table,
    stopper: Stopper,
    running: JoinHandle<Result<u32>>,
}

impl Task {
    fn start(world: &World, store: &Arc<DynamoStore>, color: Color, clock: Clock) -> Result<Self> {
        let service = ServiceKey::new("shop")?;
        let release = Release::new(if color == Color::Blue { "1" } else { "2" })?;
        let me = ServiceIdentity::new(service.clone(), color, release, color.as_str());
        let schema = schema(color)?;
        let follow = FollowConfig::default().with_reads(schema.reads()).with_clock(clock);
        let (following, follower) = Following::new(Arc::clone(store), me.clone(), follow)?;
        let config = RosterConfig::default().with_clock(clock);
        let (roster, lookout) = Roster::new(Arc::clone(store), service, config)?;
        let gate = WriteGate::new(following, roster);
        let config = TableConfig::default().with_schema(schema).with_gate(gate).with_clock(clock);
        let table = Table::new(world.dynamodb(), "orders", &me, config)?;
        let (stopper, stop) = Stop::new();
        tokio::spawn(follower.run(stop.clone()));
        tokio::spawn(lookout.run(stop.clone()));
        let running = tokio::spawn(work(table.clone(), color, stop));
        Ok(Self { table, stopper, running })
    }

    async fn stop(self) -> Result<u32> {
        self.stopper.stop(Duration::from_secs(5));
        self.running.await?
    }
}

/// How often it added; a release that meets an item it cannot read fails.
async fn work(table: Table, color: Color, stop: Stop) -> Result<u32> {
    let mut added = 0;
    while !stop.is_requested() {
        let key = key(added % ORDERS);
        if color == Color::Blue {
            table.modify(&key, |order: &mut OrderV1| order.total += 1).await?;
        } else {
            table.modify(&key, |order: &mut OrderV2| order.sum += 1).await?;
        }
        added += 1;
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    Ok(added)
}

#[tokio::test(start_paused = true)]
async fn a_release_changes_the_shape_of_items_and_no_color_meets_one_it_cannot_read() -> Result<()>
{
    let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000));
    let world = World::builder().clock(clock).build();
    create_orders(&world).await?;
    let store = Arc::new(DynamoStore::new(world.dynamodb(), "bluegreen"));
    store.create_table().await?;
    let service = ServiceKey::new("shop")?;
    let first = Deployment::first(service.clone(), Color::Blue, Release::new("1")?);
    update(&store, &service, |_| Ok(first.clone())).await?;

    let blue = Task::start(&world, &store, Color::Blue, clock)?;
    for order in 0..ORDERS {
        blue.table.upsert(key(order), OrderV1 { total: 0 }).await?;
    }
    let change = async |next: fn(&Deployment) -> Result<Deployment, UpdateError>| -> Result<()> {
        update(&store, &service, |now| next(now.ok_or(UpdateError::NoRecord)?)).await?;
        tokio::time::sleep(Duration::from_secs(20)).await;
        Ok(())
    };
    let green = Task::start(&world, &store, Color::Green, clock)?;
    let written = || green.table.written_schema().map(|written| written.version.major());
    change(|now| Ok(now.begin(Color::Green, Release::new("2").map_err(refused)?)?)).await?;
    change(|now| Ok(now.shift(Share::percent(50).map_err(refused)?)?)).await?;
    change(|now| Ok(now.shift(Share::FULL)?)).await?;
    ensure!(written()? == 1, "blue may be asked back");
    let added_by_blue = blue.stop().await?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    ensure!(written()? == 1, "also when it has no process");
    change(|now| Ok(now.commit()?)).await?;
    ensure!(written()? == 2, "blue is history");

    let config =
        BackfillConfig::default().with_checkpoint(green.table.clone(), Key::new("c").with_sk("c"));
    let (_handle, backfill) = Backfill::<OrderV2>::new(&green.table, config)?;
    let report = backfill.run(Stop::never()).await?;
    ensure!(report.ending == Ending::Finished && report.progress.failed == 0, "{report:?}");
    let table = green.table.clone();
    let added_by_green = green.stop().await?;

    let keys: Vec<_> = (0..ORDERS).map(key).collect();
    let orders = table.get_many::<OrderV2>(&keys).await?;
    let sum: u32 = orders.iter().flatten().map(|order| order.value().sum).sum();
    ensure!(added_by_blue > 100 && added_by_green > 100, "{added_by_blue} {added_by_green}");
    ensure!(sum == added_by_blue + added_by_green, "{sum}: each change once");
    let v2 = Some(ContractVersion::new(2, 0));
    ensure!(orders.iter().flatten().all(|order| order.schema_version() == v2));
    Ok(())
}

async fn create_orders(world: &World) -> Result<()> {
    let attribute = |name: &str| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
    };
    let part =
        |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    world
        .dynamodb()
        .create_table()
        .table_name("orders")
        .attribute_definitions(attribute("PK")?)
        .attribute_definitions(attribute("SK")?)
        .key_schema(part("PK", KeyType::Hash)?)
        .key_schema(part("SK", KeyType::Range)?)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await?;
    Ok(())
}

fn refused(error: impl std::fmt::Display) -> UpdateError {
    UpdateError::Refused(error.to_string())
}
