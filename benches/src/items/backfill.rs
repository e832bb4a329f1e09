//! All items of a table taken to the next schema version, beside a plain parallel scan that writes
//! the same change without lock, stamps or checkpoint.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use bluegreen::items::{Backfill, BackfillConfig, Key, Schema, Step, Table};
use bluegreen::{Color, ContractVersion, Stop};
use bluegreen_local::World;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::{TABLE, config, figure, identity, world};
use crate::cpu;
use crate::figure::Printer;

const SEGMENTS: i32 = 4;
const PARALLEL: usize = 8;
const PAGE: i32 = 200;

#[derive(Serialize, Deserialize)]
struct Order {
    sum: u64,
    note: String,
}

/// The most CPU that an item may take, as a multiple of the plain scan with updates. The stand-in
/// takes most of both; a busy machine disturbs the pace more than this.
const MOST_CPU: f64 = 1.75;

pub(super) fn run(printer: &Printer, items: u32) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let floor = |write| {
        runtime.block_on(measured(items, move |world| async move { plain(&world, write).await }))
    };
    let (put, floor) = (floor(Write::Put)?, floor(Write::Update)?);
    let ours = runtime.block_on(measured(items, |world| async move { versioned(&world).await }))?;
    for (who, pace) in [("floor-put", &put), ("floor", &floor), ("bluegreen", &ours)] {
        printer.print(&figure("backfill", who, "items_per_second", pace.items_per_second));
        printer.print(&figure("backfill", who, "cpu_us", pace.cpu_us));
    }
    let ratio = ours.items_per_second / floor.items_per_second;
    printer.print(&figure("backfill", "bluegreen", "ratio", ratio));
    printer.print(&figure("backfill", "bluegreen", "items", f64::from(items)));
    let cpu = ours.cpu_us / floor.cpu_us;
    printer.print(&figure("backfill", "bluegreen", "cpu_ratio", cpu));
    printer.gate("backfill: CPU at most 1.75 times a plain scan with updates", cpu <= MOST_CPU);
    Ok(())
}

struct Pace {
    items_per_second: f64,
    /// Of one item, all that the stand-in does for it included.
    cpu_us: f64,
}

async fn measured<F>(items: u32, work: impl FnOnce(Arc<World>) -> F) -> Result<Pace>
where
    F: Future<Output = Result<()>>,
{
    let world = Arc::new(world().await?);
    fill(&world.dynamodb(), items).await?;
    #[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
    let (start, cpu) = (Instant::now(), cpu::nanoseconds());
    work(Arc::clone(&world)).await?;
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu::nanoseconds() - cpu);
    let done = migrated(&world.dynamodb()).await?;
    ensure!(done == items, "{done} of {items} items were migrated");
    let items = f64::from(items);
    Ok(Pace { items_per_second: items / seconds, cpu_us: cpu / 1e3 / items })
}

async fn fill(client: &Client, items: u32) -> Result<()> {
    let numbers: Vec<u32> = (0..items).collect();
    for chunk in numbers.chunks(25) {
        let requests = chunk.iter().map(|number| {
            let text = |text: String| AttributeValue::S(text);
            let item = HashMap::from([
                ("PK".to_owned(), text(format!("ORDER#{number}"))),
                ("SK".to_owned(), text("META".to_owned())),
                ("total".to_owned(), AttributeValue::N(number.to_string())),
                ("note".to_owned(), text("leave at the door ".repeat(10))),
                ("SchemaVersion".to_owned(), AttributeValue::N("1".to_owned())),
            ]);
            let put = PutRequest::builder().set_item(Some(item)).build()?;
            Ok(WriteRequest::builder().put_request(put).build())
        });
        let requests = requests.collect::<Result<Vec<_>>>()?;
        client.batch_write_item().request_items(TABLE, requests).send().await?;
    }
    Ok(())
}

async fn migrated(client: &Client) -> Result<u32> {
    let scan = client
        .scan()
        .table_name(TABLE)
        .filter_expression("SchemaVersion = :two AND attribute_exists(#s)")
        .expression_attribute_names("#s", "sum")
        .expression_attribute_values(":two", AttributeValue::N("2".to_owned()));
    let mut pages = scan.into_paginator().send();
    let mut found = 0;
    while let Some(page) = pages.next().await {
        found += u32::try_from(page?.count())?;
    }
    Ok(found)
}

/// How a script writes a changed item: what has changed in it, as the backfill does, or all of it.
#[derive(Clone, Copy)]
enum Write {
    Update,
    Put,
}

/// What a script would do: scan in parallel, write each item back changed.
async fn plain(world: &World, write: Write) -> Result<()> {
    let mut tasks = JoinSet::new();
    for segment in 0..SEGMENTS {
        tasks.spawn(plain_segment(world.dynamodb(), segment, write));
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

async fn plain_segment(client: Client, segment: i32, write: Write) -> Result<()> {
    let mut start = None;
    loop {
        let scan = client.scan().table_name(TABLE).set_exclusive_start_key(start);
        let scan = scan.segment(segment).total_segments(SEGMENTS).limit(PAGE);
        let page = scan.send().await?;
        let writes = page.items.unwrap_or_default().into_iter().map(|item| {
            let client = client.clone();
            async move {
                match write {
                    Write::Update => plain_update(&client, item).await,
                    Write::Put => plain_put(&client, item).await,
                }
            }
        });
        stream::iter(writes).buffer_unordered(PARALLEL).try_collect::<()>().await?;
        start = page.last_evaluated_key;
        if start.is_none() {
            return Ok(());
        }
    }
}

async fn plain_update(client: &Client, item: HashMap<String, AttributeValue>) -> Result<()> {
    let attribute = |name: &str| item.get(name).cloned().context("every item has it");
    client
        .update_item()
        .table_name(TABLE)
        .key("PK", attribute("PK")?)
        .key("SK", attribute("SK")?)
        .update_expression("SET #s = :s, SchemaVersion = :two REMOVE #t")
        .expression_attribute_names("#s", "sum")
        .expression_attribute_names("#t", "total")
        .expression_attribute_values(":s", attribute("total")?)
        .expression_attribute_values(":two", AttributeValue::N("2".to_owned()))
        .send()
        .await?;
    Ok(())
}

async fn plain_put(client: &Client, mut item: HashMap<String, AttributeValue>) -> Result<()> {
    let total = item.remove("total").context("every item has a total")?;
    item.insert("sum".to_owned(), total);
    item.insert("SchemaVersion".to_owned(), AttributeValue::N("2".to_owned()));
    client.put_item().table_name(TABLE).set_item(Some(item)).send().await?;
    Ok(())
}

async fn versioned(world: &World) -> Result<()> {
    let step = Step::new(1, 2, |item| {
        if let Some(total) = item.remove("total") {
            item.insert("sum".to_owned(), total);
        }
        Ok(())
    });
    let schema = Schema::builder("Order", ContractVersion::new(2, 0));
    let config = config().with_schema(schema.step(step.without_down()).build()?);
    let table = Table::new(world.dynamodb(), TABLE, &identity(Color::Green)?, config.clone())?;
    let backfill = BackfillConfig::default()
        .with_segments(u32::try_from(SEGMENTS)?)
        .with_parallel(PARALLEL)
        .with_page(u32::try_from(PAGE)?)
        .with_checkpoint(table.clone(), Key::new("BACKFILL").with_sk("Order 2"));
    let (_handle, driver) = Backfill::<Order>::new(&table, backfill)?;
    let report = driver.run(Stop::never()).await?;
    ensure!(report.progress.failed == 0, "{report:?}");
    Ok(())
}
