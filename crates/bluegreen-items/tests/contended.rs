//! Many writers of both colors on one item, under faults: none lost, none applied twice.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use bluegreen_core::{Color, Share};
use bluegreen_items::Table;
use bluegreen_local::{Fault, Rule, World};

use crate::shop::{OrderV1, OrderV2, blue, calls, key, open, raw, s, schema, table};

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
            let change = |order: &mut OrderV2| {
                order.data.total += 1;
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
        let (color, minor) =
            if writer.is_multiple_of(2) { (Color::Blue, 0) } else { (Color::Green, 1) };
        // While one of them waits to repeat a write, the others may write often.
        let config = schema(1, minor).with_budget(Duration::from_secs(600));
        let config = config.with_remembered_writes(40);
        tokio::spawn(write(table(&world, color, config), writer))
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }

    let order = blue(&world).get::<OrderV2>(&key()).await.unwrap().unwrap();
    assert_eq!(order.value().data.log, [WRITES; WRITERS]);
    assert_eq!(order.value().data.total, ALL);
    assert_eq!(order.value().data.discounts["writes"], 2 * WRITES);
    assert_eq!(order.version(), Some(ALL + 1), "one write each");
    let item = raw(&world).await.unwrap();
    assert_eq!(item["foreign_tags"], foreign);
    assert_eq!(item["Data"].as_m().unwrap()["foreign_tags"], foreign);
    let conflicts = world.calls_in(&calls("UpdateItem")) - ALL;
    assert!(conflicts > 50, "the writers did meet: {conflicts}");
}
