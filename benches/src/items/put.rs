//! One write: creating an item beside a bare conditional `PutItem` of the very same attributes, and
//! saving a change beside a bare conditional `UpdateItem`.

use std::collections::HashMap;

use allocation_counter::measure;
use anyhow::{Context as _, Result};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use bluegreen::Color;
use bluegreen::items::{Key, Table, Versioned};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use super::{TABLE, canned, config, figure, identity};
use crate::cpu;
use crate::figure::Printer;

/// Writes of one round.
const WRITES: u32 = 1_000;

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    #[serde(rename = "Data")]
    data: Data,
}

#[derive(Clone, Serialize, Deserialize)]
struct Data {
    customer: String,
    total: u64,
    note: Option<String>,
    lines: Vec<Line>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Line {
    article: String,
    count: u32,
}

fn order() -> Order {
    let line = |article: &str, count| Line { article: article.to_owned(), count };
    Order {
        data: Data {
            customer: "CUSTOMER#3".to_owned(),
            total: 12_000,
            note: Some("leave at the door".to_owned()),
            lines: vec![line("A-1", 2), line("B-7", 1)],
        },
    }
}

fn key() -> Key {
    Key::new("ORDER#1").with_sk("META")
}

#[derive(Default)]
struct Cost {
    rounds: Vec<f64>,
    allocations: f64,
}

impl Cost {
    fn add<F: Future<Output = Result<()>>>(
        &mut self,
        runtime: &Runtime,
        call: impl Fn() -> F,
    ) -> Result<()> {
        let start = cpu::nanoseconds();
        for _ in 0..WRITES {
            runtime.block_on(call())?;
        }
        self.rounds.push((cpu::nanoseconds() - start) / 1e3 / f64::from(WRITES));
        let mut outcome = Ok(());
        let counted = measure(|| outcome = runtime.block_on(call()));
        outcome?;
        #[expect(clippy::cast_precision_loss, reason = "some thousands at most")]
        let allocations = counted.count_total as f64;
        self.allocations = allocations;
        Ok(())
    }
}

pub(super) fn run(printer: &Printer, rounds: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = canned::client();
    let table = Table::new(client.clone(), TABLE, &identity(Color::Blue)?, config())?;
    let created = runtime.block_on(table.create(key(), order()))?;
    let item = created.stored().context("it was stored")?.attributes().clone();
    let read = runtime.block_on(table.get::<Order>(&key()))?.context("it is there")?;
    let read = read.stored().context("it is stored")?.attributes().clone();

    let [mut bare_put, mut put, mut bare_update, mut update, mut bare_modify, mut modify] =
        [(); 6].map(|()| Cost::default());
    for _ in 0..rounds {
        // Side by side within a round, so that a drifting machine hits both.
        bare_put.add(&runtime, || bare_create(&client, &item))?;
        put.add(&runtime, async || create(&table).await)?;
        bare_update.add(&runtime, || bare_change(&client, &read))?;
        update.add(&runtime, async || change(&table, &read).await)?;
        bare_modify.add(&runtime, async || {
            client.get_item().table_name(TABLE).set_key(Some(attributes_of_key())).send().await?;
            bare_change(&client, &read).await
        })?;
        modify.add(&runtime, async || {
            table.modify(&key(), |order: &mut Order| order.data.total += 1).await?;
            Ok(())
        })?;
    }
    let pairs =
        [("put", bare_put, put), ("update", bare_update, update), ("modify", bare_modify, modify)];
    for (case, floor, ours) in pairs {
        let [floor_us, us] = [floor.rounds, ours.rounds].map(cpu::median);
        printer.print(&figure(case, "floor", "cpu_us", floor_us));
        printer.print(&figure(case, "bluegreen", "cpu_us", us));
        printer.print(&figure(case, "bluegreen", "ratio", us / floor_us));
        printer.print(&figure(case, "floor", "allocations", floor.allocations));
        printer.print(&figure(case, "bluegreen", "allocations", ours.allocations));
    }
    Ok(())
}

async fn create(table: &Table) -> Result<()> {
    table.create(key(), order()).await?;
    Ok(())
}

async fn bare_create(client: &Client, item: &HashMap<String, AttributeValue>) -> Result<()> {
    client
        .put_item()
        .table_name(TABLE)
        .set_item(Some(item.clone()))
        .condition_expression("attribute_not_exists(#pk)")
        .expression_attribute_names("#pk", "PK")
        .send()
        .await?;
    Ok(())
}

/// A read item that is changed and saved; the reading is not measured with it.
async fn change(table: &Table, read: &HashMap<String, AttributeValue>) -> Result<()> {
    let mut order: Versioned<Order> = table.read(read.clone())?;
    order.value_mut().data.total += 1;
    table.save(&mut order).await?;
    Ok(())
}

/// What a careful hand would write: the changed attribute, the version, and its condition.
async fn bare_change(client: &Client, read: &HashMap<String, AttributeValue>) -> Result<()> {
    let mut order: Order = serde_dynamo::from_item(read.clone())?;
    order.data.total += 1;
    let value = |text: &str| AttributeValue::N(text.to_owned());
    client
        .update_item()
        .table_name(TABLE)
        .set_key(Some(attributes_of_key()))
        .update_expression("SET #d = :d, #v = :next")
        .condition_expression("#v = :v")
        .expression_attribute_names("#d", "Data")
        .expression_attribute_names("#v", "Version")
        .expression_attribute_values(":d", serde_dynamo::to_attribute_value(&order.data)?)
        .expression_attribute_values(":v", value("17"))
        .expression_attribute_values(":next", value("18"))
        .send()
        .await?;
    Ok(())
}

fn attributes_of_key() -> HashMap<String, AttributeValue> {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    [("PK".to_owned(), text("ORDER#1")), ("SK".to_owned(), text("META"))].into()
}
