//! What is counted, through the `metrics` facade.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bluegreen_core::Color;
use bluegreen_items::{Table, Update};
use bluegreen_local::{Fault, Rule};
use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};

use crate::canned::{canceled, client};
use crate::releases::taken_down_with_a_loss;
use crate::shop::{OrderV1, TABLE, blue, calls, config, green, identity, key, open};

/// Keeps counters by name and labels.
#[derive(Clone, Debug, Default)]
struct Counts(Arc<Mutex<BTreeMap<String, u64>>>);

#[derive(Debug)]
struct Count(Counts, String);

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += value;
    }

    fn absolute(&self, _: u64) {}
}

impl metrics::Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
        let name = key.name().to_owned() + &labels.collect::<String>();
        Counter::from_arc(Arc::new(Count(self.clone(), name)))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test(start_paused = true)]
async fn conflicts_retries_and_writes_in_doubt_are_counted() {
    let counts = Counts::default();
    // The test runs on this thread alone.
    let _recorder = metrics::set_default_local_recorder(&counts);
    let world = open().await;
    let table = blue(&world);
    let mut stale = table.create(key(), OrderV1::of(1)).await.unwrap();
    green(&world).modify(&key(), |order: &mut OrderV1| order.data.total = 2).await.unwrap();
    stale.value_mut().data.total = 3;
    assert!(table.save(&mut stale).await.is_err());
    {
        let rule = Rule::new(calls("UpdateItem"), Fault::LostReply).first(1);
        let _lost = world.faults().inject(rule);
        table.modify(&key(), |order: &mut OrderV1| order.data.total = 4).await.unwrap();
    }
    let _lost = world.faults().inject(Rule::new(calls("UpdateItem"), Fault::LostReply));
    assert!(table.modify(&key(), |order: &mut OrderV1| order.data.total = 5).await.is_err());
    let mut found = counts.0.lock().unwrap().clone();
    let transient = found.remove("bluegreen_items_retries reason=transient");
    assert!(transient.is_some_and(|retries| retries > 1));
    let expected = [
        ("bluegreen_items_conflicts".to_owned(), 1),
        ("bluegreen_items_recognized_writes".to_owned(), 1),
        ("bluegreen_items_unknown_outcomes".to_owned(), 1),
    ];
    assert_eq!(found, BTreeMap::from(expected));
}

#[tokio::test(start_paused = true)]
async fn each_retry_is_counted_under_its_reason() {
    let counts = Counts::default();
    let _recorder = metrics::set_default_local_recorder(&counts);
    let world = open().await;
    let table = blue(&world);
    table.create(key(), OrderV1::of(1)).await.unwrap();
    let increment = |order: &mut OrderV1| order.data.total += 1;
    for fault in [Fault::Throttle, Fault::InternalError, Fault::Reset] {
        let _struck = world.faults().inject(Rule::new(calls("UpdateItem"), fault).first(2));
        table.modify(&key(), increment).await.unwrap();
    }
    let held = world.faults().hold(calls("UpdateItem").access_key("blue"), 1);
    let key = key();
    let (changed, ()) = tokio::join!(table.modify(&key, increment), async {
        held.reached().await;
        green(&world).modify(&key, increment).await.unwrap();
        held.release();
    });
    changed.unwrap();
    let busy = canceled(["TransactionConflict"]);
    let table =
        Table::new(client([(400, &*busy), (200, "{}")]), TABLE, &identity(Color::Blue), config());
    table.unwrap().update(&key, Update::new().set("a", &1)).await.unwrap();
    let found = counts.0.lock().unwrap().clone();
    let retries = found.into_iter().filter_map(|(name, count)| {
        Some((name.strip_prefix("bluegreen_items_retries reason=")?.to_owned(), count))
    });
    let expected = [
        ("conflict".to_owned(), 1),
        ("lost_race".to_owned(), 1),
        ("server_error".to_owned(), 2),
        ("throttling".to_owned(), 2),
        ("transient".to_owned(), 2),
    ];
    assert_eq!(retries.collect::<BTreeMap<_, _>>(), BTreeMap::from(expected));
}

#[tokio::test(start_paused = true)]
async fn what_an_item_loses_by_a_step_down_is_counted() {
    let counts = Counts::default();
    let _recorder = metrics::set_default_local_recorder(&counts);
    taken_down_with_a_loss().await;
    let found = counts.0.lock().unwrap().clone();
    assert_eq!(found, BTreeMap::from([("bluegreen_items_lossy_steps_down".to_owned(), 1)]));
}
