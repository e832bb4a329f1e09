//! What is counted, through the `metrics` facade.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bluegreen_local::{Fault, Rule};
use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};

use crate::releases::taken_down_with_a_loss;
use crate::shop::{OrderV1, blue, calls, green, key, open};

/// Keeps counters by name.
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
        Counter::from_arc(Arc::new(Count(self.clone(), key.name().to_owned())))
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
    assert!(found.remove("bluegreen_items_retries").is_some_and(|retries| retries > 1));
    let expected = [
        ("bluegreen_items_conflicts".to_owned(), 1),
        ("bluegreen_items_recognized_writes".to_owned(), 1),
        ("bluegreen_items_unknown_outcomes".to_owned(), 1),
    ];
    assert_eq!(found, BTreeMap::from(expected));
}

#[tokio::test(start_paused = true)]
async fn what_an_item_loses_by_a_step_down_is_counted() {
    let counts = Counts::default();
    let _recorder = metrics::set_default_local_recorder(&counts);
    taken_down_with_a_loss().await;
    let found = counts.0.lock().unwrap().clone();
    assert_eq!(found, BTreeMap::from([("bluegreen_items_lossy_steps_down".to_owned(), 1)]));
}
