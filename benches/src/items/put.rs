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

use super::{TABLE, config, figure, identity};
use crate::canned;
use crate::cpu;
use crate::figure::Printer;

/// Writes of one round.
const WRITES: u32 = 1_000;

/// What a case may cost, as multiples of the bare calls. Canned replies make this a harsh measure:
/// what the way through a socket costs would be added to both sides. An update carries up to nine
/// marks besides what changed.
struct Most {
    cpu: f64,
    allocations: f64,
}

const MOST_PUT: Most = Most { cpu: 1.35, allocations: 1.18 };
const MOST_UPDATE: Most = Most { cpu: 1.5, allocations: 1.29 };
const MOST_MODIFY: Most = Most { cpu: 1.3, allocations: 1.12 };

/// The item that every read finds: as this library stores it, with full marks.
const ITEM: &str = r#"{"Item":{"PK":{"S":"ORDER#1"},"SK":{"S":"META"},"Version":{"N":"17"},
"SchemaVersion":{"N":"1"},"CreatedAt":{"S":"2026-11-22T10:00:00Z"},
"ModifiedAt":{"S":"2026-11-22T10:00:00Z"},"EnvironmentID":{"S":"blue"},
"IncarnationID":{"B":"AAAAAAAAAAAAAAAA"},
"WriteIDs":{"B":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
"Data":{"M":{"customer":{"S":"CUSTOMER#3"},"total":{"N":"12000"},"note":{"S":"leave at the door"},
"lines":{"L":[{"M":{"article":{"S":"A-1"},"count":{"N":"2"}}},
{"M":{"article":{"S":"B-7"},"count":{"N":"1"}}}]}}}}}"#;

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
    /// The fewest of any round: a table that grew once is not the call's.
    allocations: Option<f64>,
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
        self.allocations =
            Some(self.allocations.map_or(allocations, |least| least.min(allocations)));
        Ok(())
    }

    fn allocations(&self) -> f64 {
        self.allocations.unwrap_or(f64::NAN)
    }

    /// How this compares with another, round by round.
    fn ratio_to(&self, other: &Self) -> f64 {
        cpu::median(self.rounds.iter().zip(&other.rounds).map(|(own, other)| own / other).collect())
    }
}

pub(super) fn run(printer: &Printer, rounds: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Every call is done, and every read finds one item.
    let client = canned::dynamodb(|target, _| {
        Some(if target.ends_with("GetItem") { ITEM } else { "{}" }.into())
    });
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
    let gates = [
        ("put: CPU at most 1.35 times the bare call", "put: allocations at most 1.18 times"),
        ("update: CPU at most 1.5 times the bare call", "update: allocations at most 1.29 times"),
        ("modify: CPU at most 1.3 times the bare calls", "modify: allocations at most 1.12 times"),
    ];
    let cases = [
        ("put", bare_put, put, MOST_PUT),
        ("update", bare_update, update, MOST_UPDATE),
        ("modify", bare_modify, modify, MOST_MODIFY),
    ];
    for ((case, floor, ours, most), (cpu_gate, allocations_gate)) in cases.into_iter().zip(gates) {
        let ratio = ours.ratio_to(&floor);
        let allocations = ours.allocations() / floor.allocations();
        for (who, cost) in [("floor", &floor), ("bluegreen", &ours)] {
            printer.print(&figure(case, who, "cpu_us", cpu::median(cost.rounds.clone())));
            printer.print(&figure(case, who, "allocations", cost.allocations()));
        }
        printer.print(&figure(case, "bluegreen", "ratio", ratio));
        printer.print(&figure(case, "bluegreen", "allocations_ratio", allocations));
        printer.gate(cpu_gate, ratio <= most.cpu);
        printer.gate(allocations_gate, allocations <= most.allocations);
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
