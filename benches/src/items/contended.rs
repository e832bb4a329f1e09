//! Two colors at different major schema versions change one item, under faults: what is lost, what
//! is applied twice, and what becomes of attributes that neither knows. All of the configuration is
//! the default: 8 remembered writes, a budget of 5 seconds, its pauses.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_sdk_dynamodb::types::AttributeValue;
use bluegreen::items::{Attributes, ItemError, Key, Schema, Step, Table, WriteGate};
use bluegreen::{
    Color, ContractVersion, Deployment, Following, Member, Members, Release, Roster, ServiceKey,
    Share,
};
use bluegreen_local::{Calls, Fault, Rule, Service, World};
use serde::{Deserialize, Serialize};

use super::{TABLE, config, figure, identity, world};
use crate::figure::Printer;

const WRITERS: u32 = 4;

#[derive(Default, Serialize, Deserialize)]
struct OrderV1 {
    #[serde(rename = "Data")]
    data: DataV1,
}

#[derive(Default, Serialize, Deserialize)]
struct DataV1 {
    total: u32,
    /// How often each writer has written.
    log: BTreeMap<String, u32>,
}

#[derive(Default, Serialize, Deserialize)]
struct OrderV2 {
    #[serde(rename = "Data")]
    data: DataV2,
}

#[derive(Default, Serialize, Deserialize)]
struct DataV2 {
    sum: u32,
    log: BTreeMap<String, u32>,
}

fn key() -> Key {
    Key::new("ORDER#1").with_sk("META")
}

pub(super) fn run(printer: &Printer, writes: u32) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(contend(writes / WRITERS))?;
    let all = f64::from(writes / WRITERS * WRITERS);
    for (metric, value) in [
        ("updates", all),
        ("lost_updates", f64::from(found.lost)),
        ("applied_twice", f64::from(found.twice)),
        ("unknown_attributes_lost", f64::from(found.unknown_lost)),
        ("refused_and_repeated", f64::from(found.refused)),
        ("outcome_unknown", f64::from(found.unknown)),
        ("faults", found.faults),
        ("calls_per_update", found.calls / all),
    ] {
        printer.print(&figure("contended", "bluegreen", metric, value));
    }
    printer.gate("contended updates: none is lost", found.lost == 0);
    printer.gate("contended updates: none is applied twice", found.twice == 0);
    printer.gate("contended updates: no attribute is lost", found.unknown_lost == 0);
    Ok(())
}

struct Found {
    lost: u32,
    twice: u32,
    unknown_lost: u32,
    refused: u32,
    unknown: u32,
    faults: f64,
    calls: f64,
}

async fn contend(writes: u32) -> Result<Found> {
    let world = world().await?;
    let blue = table(&world, Color::Blue)?;
    blue.create(key(), OrderV1::default()).await?;
    let foreign = AttributeValue::Ss(vec!["kept".to_owned()]);
    let digits = AttributeValue::N("12345678901234567890123456789012345678".to_owned());
    let text = |text: &str| AttributeValue::S(text.to_owned());
    world
        .dynamodb()
        .update_item()
        .table_name(TABLE)
        .key("PK", text("ORDER#1"))
        .key("SK", text("META"))
        .update_expression("SET beside = :b, #d.below = :d")
        .expression_attribute_names("#d", "Data")
        .expression_attribute_values(":b", foreign.clone())
        .expression_attribute_values(":d", digits.clone())
        .send()
        .await?;
    let injected = inject(&world)?;
    let writers = (0..WRITERS).map(|writer| {
        let table =
            table(&world, if writer.is_multiple_of(2) { Color::Blue } else { Color::Green })?;
        Ok(tokio::spawn(write(table, writer, writes)))
    });
    let (mut refused, mut unknown) = (0, 0);
    for writer in writers.collect::<Result<Vec<_>>>()? {
        let errors = writer.await??;
        refused += errors.refused;
        unknown += errors.unknown;
    }
    let faults: u64 = injected.iter().map(bluegreen_local::Injected::count).sum();
    drop(injected);

    let order = blue.get::<OrderV1>(&key()).await?.context("the item is there")?;
    let (mut lost, mut twice) = (0, 0);
    for writer in 0..WRITERS {
        let found = order.value().data.log.get(&writer.to_string()).copied().unwrap_or_default();
        lost += writes.saturating_sub(found);
        twice += found.saturating_sub(writes);
    }
    let all = writes * WRITERS;
    lost = lost.max(all.saturating_sub(order.value().data.total));
    twice = twice.max(order.value().data.total.saturating_sub(all));
    let stored = order.stored().context("it is stored")?.attributes();
    let below = stored.get("Data").and_then(|data| data.as_m().ok()).and_then(|d| d.get("below"));
    let kept = [stored.get("beside") == Some(&foreign), below == Some(&digits)];
    let unknown_lost = kept.into_iter().map(|kept| u32::from(!kept)).sum();
    let calls = Calls::to(Service::DynamoDb);
    #[expect(clippy::cast_precision_loss, reason = "some hundred thousand at most")]
    let (faults, calls) = (faults as f64, world.calls_in(&calls) as f64);
    Ok(Found { lost, twice, unknown_lost, refused, unknown, faults, calls })
}

/// What was answered with an error, and repeated as a user would.
#[derive(Default)]
struct Errors {
    /// Nothing was written: others came first, or the table was away, until the budget was spent.
    refused: u32,
    /// Nobody could tell, so the table was asked.
    unknown: u32,
}

async fn write(table: Table, writer: u32, writes: u32) -> Result<Errors> {
    let name = writer.to_string();
    let mut errors = Errors::default();
    for done in 0..writes {
        loop {
            let written = if writer.is_multiple_of(2) {
                let change = |order: &mut OrderV1| {
                    order.data.total += 1;
                    *order.data.log.entry(name.clone()).or_default() += 1;
                };
                table.modify(&key(), change).await.map(drop)
            } else {
                let change = |order: &mut OrderV2| {
                    order.data.sum += 1;
                    *order.data.log.entry(name.clone()).or_default() += 1;
                };
                table.modify(&key(), change).await.map(drop)
            };
            match written {
                Ok(()) => break,
                Err(ItemError::OutcomeUnknown) => {
                    errors.unknown += 1;
                    // Only this writer writes its own count, so the table tells.
                    if logged(&table, writer).await? > done {
                        break;
                    }
                }
                Err(ItemError::Conflict { .. }) => errors.refused += 1,
                Err(error) if error.is_retryable() => errors.refused += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(errors)
}

/// How many writes of this writer are in the table.
async fn logged(table: &Table, writer: u32) -> Result<u32> {
    loop {
        let item = if writer.is_multiple_of(2) {
            let item = table.get::<OrderV1>(&key()).await;
            item.map(|item| item.map(|item| item.into_value().data.log))
        } else {
            let item = table.get::<OrderV2>(&key()).await;
            item.map(|item| item.map(|item| item.into_value().data.log))
        };
        match item {
            Ok(log) => {
                let log = log.context("the item is there")?;
                return Ok(log.get(&writer.to_string()).copied().unwrap_or_default());
            }
            Err(error) if error.is_retryable() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn inject(world: &World) -> Result<Vec<bluegreen_local::Injected>> {
    let calls = |operation: &str| Calls::to(Service::DynamoDb).operation(operation);
    // Time between arrival and answer, so that the writers meet.
    let delay = Fault::Delay(Duration::from_micros(10));
    world.faults().inject(Rule::new(Calls::any(), delay)).keep();
    let rules = [
        (calls("UpdateItem"), Fault::LostReply, 50),
        (calls("UpdateItem"), Fault::Throttle, 20),
        (calls("UpdateItem"), Fault::InternalError, 20),
        (calls("GetItem"), Fault::Reset, 20),
    ];
    let injected = (17..).zip(rules).map(|(seed, (calls, fault, per_mille))| {
        let rule = Rule::new(calls, fault).some(Share::per_mille(per_mille)?, seed);
        Ok(world.faults().inject(rule))
    });
    injected.collect()
}

/// The table as a color sees it: blue knows version 1, green version 2 and writes version 1 as long
/// as blue lives.
fn table(world: &World, color: Color) -> Result<Table> {
    let config = config();
    let version = ContractVersion::new(1, 0);
    let config = match color {
        Color::Blue => config.with_schema(Schema::new("Order", version)),
        Color::Green => config.with_schema(second()?).with_gate(held()?),
    };
    Ok(Table::new(world.dynamodb_as(color.as_str()), TABLE, &identity(color)?, config)?)
}

fn rename(item: &mut Attributes, from: &str, to: &str) {
    if let Some(AttributeValue::M(data)) = item.get_mut("Data")
        && let Some(value) = data.remove(from)
    {
        data.insert(to.to_owned(), value);
    }
}

fn second() -> Result<Schema> {
    let up = |item: &mut Attributes| {
        rename(item, "total", "sum");
        Ok(())
    };
    let down = |item: &mut Attributes| {
        rename(item, "sum", "total");
        Ok(())
    };
    let step = Step::new(1, 2, up).down(down).example(&OrderV2::default());
    Ok(Schema::builder("Order", ContractVersion::new(2, 0)).step(step).build()?)
}

/// A gate that is held by a living blue.
fn held() -> Result<WriteGate> {
    let (key, one) = (ServiceKey::new("bench")?, Release::new("1")?);
    let deployment = Deployment::first(key, Color::Blue, one.clone()).begin(Color::Green, one)?;
    let reads = Schema::new("Order", ContractVersion::new(1, 0)).reads();
    let member = |color, reads| -> Result<Member> {
        Ok(Member::new(&identity(color)?, reads, Duration::from_secs(15)))
    };
    let living = vec![member(Color::Blue, reads)?, member(Color::Green, second()?.reads())?];
    Ok(WriteGate::new(Following::fixed(deployment), Roster::fixed(Members::living(living))))
}
