//! Many writers of both colors on one item, under faults: none lost, none applied twice.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use bluegreen_core::{Color, ContractVersion, Share};
use bluegreen_items::{Attributes, Schema, Step, Table};
use bluegreen_local::{Fault, Rule, World};
use serde::{Deserialize, Serialize};

use crate::releases::held;
use crate::shop::{OrderV1, blue, calls, config, key, open, raw, s, schema, table};

/// The order as release 2 has it: the total has become a sum, and discounts are counted.
#[derive(Serialize, Deserialize)]
struct Summed {
    #[serde(rename = "Data")]
    data: SummedData,
}

#[derive(Serialize, Deserialize)]
struct SummedData {
    sum: u64,
    log: Vec<u32>,
    #[serde(default)]
    discounts: BTreeMap<String, u32>,
}

fn rename(item: &mut Attributes, from: &str, to: &str) {
    if let Some(AttributeValue::M(data)) = item.get_mut("Data")
        && let Some(value) = data.remove(from)
    {
        data.insert(to.to_owned(), value);
    }
}

/// Version 2, which is written as version 1 as long as blue lives.
fn second() -> Schema {
    let up = |item: &mut Attributes| {
        rename(item, "total", "sum");
        Ok(())
    };
    let down = |item: &mut Attributes| {
        rename(item, "sum", "total");
        Ok(())
    };
    let data = SummedData { sum: 1, log: vec![1], discounts: [("writes".to_owned(), 1)].into() };
    let step = Step::new(1, 2, up).down(down).example(&Summed { data });
    Schema::builder("Order", ContractVersion::new(2, 0)).step(step).build().unwrap()
}

const WRITERS: usize = 4;
const WRITES: u32 = 100;
const ALL: u64 = 400;

/// Each writer counts its own writes, and finds at each one all of those before and no more.
async fn write(table: Table, writer: usize) {
    for done in 0..WRITES {
        let count = |log: &mut Vec<u32>| {
            assert_eq!(log[writer], done, "writer {writer}: lost, or applied twice");
            log[writer] += 1;
        };
        let written = if writer.is_multiple_of(2) {
            let change = |order: &mut OrderV1| {
                order.data.total += 1;
                count(&mut order.data.log);
            };
            table.modify(&key(), change).await.map(drop)
        } else {
            let change = |order: &mut Summed| {
                order.data.sum += 1;
                count(&mut order.data.log);
                *order.data.discounts.entry("writes".to_owned()).or_default() += 1;
            };
            table.modify(&key(), change).await.map(drop)
        };
        written.unwrap();
    }
}

fn inject_faults(world: &World) {
    let share = |per_mille| Share::per_mille(per_mille).unwrap();
    // Time between arrival and answer, so that the writers meet.
    let any = || bluegreen_local::Calls::any();
    world.faults().inject(Rule::new(any(), Fault::Delay(Duration::from_millis(1)))).keep();
    let rules = [
        (calls("UpdateItem"), Fault::LostReply, 50),
        (calls("UpdateItem"), Fault::Throttle, 20),
        (calls("UpdateItem"), Fault::InternalError, 20),
        (calls("GetItem"), Fault::Reset, 20),
    ];
    for (seed, (calls, fault, per_mille)) in (17..).zip(rules) {
        world.faults().inject(Rule::new(calls, fault).some(share(per_mille), seed)).keep();
    }
}

#[tokio::test(start_paused = true)]
async fn contended_changes_of_two_releases_are_each_applied_once() {
    let world = open().await;
    let mut order = OrderV1::of(0);
    order.data.log = vec![0; WRITERS];
    blue(&world).create(key(), order).await.unwrap();
    let foreign = AttributeValue::Ss(vec!["kept".to_owned()]);
    let update = world.dynamodb().update_item().table_name(crate::shop::TABLE);
    let update = update.key("PK", s("ORDER#17")).key("SK", s("META"));
    let update = update.expression_attribute_names("#d", "Data");
    update
        .update_expression("SET foreign_tags = :f, #d.foreign_tags = :f")
        .expression_attribute_values(":f", foreign.clone())
        .send()
        .await
        .unwrap();
    inject_faults(&world);

    let writers = (0..WRITERS).map(|writer| {
        let (color, config) = match writer % 2 {
            0 => (Color::Blue, schema(1, 0)),
            _ => (Color::Green, config().with_schema(second()).with_gate(held())),
        };
        // While one of them waits to repeat a write, the others may write often.
        let config = config.with_budget(Duration::from_secs(600)).with_remembered_writes(40);
        tokio::spawn(write(table(&world, color, config), writer))
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }

    let green = table(&world, Color::Green, config().with_schema(second()));
    let order = green.get::<Summed>(&key()).await.unwrap().unwrap();
    assert_eq!(order.value().data.log, [WRITES; WRITERS]);
    assert_eq!(order.value().data.sum, ALL);
    assert_eq!(order.schema_version(), Some(ContractVersion::new(1, 0)));
    assert_eq!(order.value().data.discounts["writes"], 2 * WRITES);
    assert_eq!(order.version(), Some(ALL + 1), "one write each");
    let item = raw(&world).await.unwrap();
    assert_eq!(item["foreign_tags"], foreign);
    assert_eq!(item["Data"].as_m().unwrap()["foreign_tags"], foreign);
    let conflicts = world.calls_in(&calls("UpdateItem")) - ALL;
    assert!(conflicts > 50, "the writers did meet: {conflicts}");
}
