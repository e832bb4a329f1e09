//! What versioned items cost beside the bare SDK, what they send, what contention loses, and how fast
//! a backfill is.

mod backfill;
mod calls;
mod contended;
mod put;

use anyhow::Result;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use bluegreen::items::TableConfig;
use bluegreen::{Color, Release, ServiceIdentity, ServiceKey};
use bluegreen_local::World;

use crate::figure::{Figure, Printer};

const TABLE: &str = "bench";

pub(crate) fn run(printer: &Printer, rounds: usize, quick: bool) -> Result<()> {
    put::run(printer, rounds)?;
    calls::run(printer)?;
    contended::run(printer, if quick { 1_000 } else { 10_000 })?;
    backfill::run(printer, if quick { 5_000 } else { 100_000 })
}

fn figure(case: &'static str, who: &'static str, metric: &'static str, value: f64) -> Figure {
    let unit = match metric {
        "cpu_us" | "added_cpu_us" => "us",
        "items_per_second" => "1/s",
        "ratio" | "cpu_ratio" | "allocations_ratio" => "x",
        _ => "count",
    };
    Figure { bench: "items", case, who, metric, value, unit }
}

fn identity(color: Color) -> Result<ServiceIdentity> {
    let key = ServiceKey::new("bench")?;
    Ok(ServiceIdentity::new(key, color, Release::new("1")?, color.as_str()))
}

fn config() -> TableConfig {
    TableConfig::default()
}

/// A world with the table in it.
async fn world() -> Result<World> {
    let world = World::new();
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
        .table_name(TABLE)
        .attribute_definitions(attribute("PK")?)
        .attribute_definitions(attribute("SK")?)
        .key_schema(part("PK", KeyType::Hash)?)
        .key_schema(part("SK", KeyType::Range)?)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await?;
    Ok(world)
}
