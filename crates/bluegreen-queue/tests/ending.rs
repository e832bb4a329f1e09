//! Consumers that end in every way while calls fail: nothing is lost, and what is handled twice is
//! explained.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bluegreen_core::Share;
use bluegreen_local::{Calls, Fault, Rule, Service};
use bluegreen_queue::{ConsumerConfig, Outcome, UnknownPolicy};

use crate::shop::{Shop, on, order, seconds};

/// Which consumers, by number, have handled which order.
type Handled = Arc<Mutex<BTreeMap<String, Vec<usize>>>>;

#[tokio::test(start_paused = true)]
async fn a_hundred_consumers_that_are_killed_or_stopped_amid_faults_lose_nothing() {
    let shop = Shop::open().await;
    let handled = Handled::default();
    let mut random = fastrand::Rng::with_seed(11);
    let some = |fault, operation, per_mille, seed| {
        let calls = Calls::to(Service::Sqs).operation(operation).access_key("blue");
        Rule::new(calls, fault).some(Share::per_mille(per_mille).unwrap(), seed)
    };
    let _faults = [
        shop.world.faults().inject(some(Fault::Throttle, "ReceiveMessage", 100, 1)),
        shop.world.faults().inject(some(Fault::LostReply, "ReceiveMessage", 50, 2)),
        shop.world.faults().inject(some(Fault::LostReply, "DeleteMessageBatch", 100, 3)),
        shop.world.faults().inject(some(Fault::Hang, "DeleteMessageBatch", 50, 4)),
        shop.world.faults().inject(some(Fault::Reset, "ChangeMessageVisibilityBatch", 200, 5)),
    ];
    // Consumers after whom a message may come again although it was handled.
    let mut excused = BTreeSet::new();
    let mut sent = 0;
    for number in 0..100 {
        for _ in 0..20 {
            shop.put(&shop.urls.blue, &order(&format!("{sent}"))).await;
            sent += 1;
        }
        let seen = Arc::clone(&handled);
        let takes = Duration::from_millis(random.u64(1..3_000));
        let dispatch = on(UnknownPolicy::Park, move |order, _| {
            let seen = Arc::clone(&seen);
            async move {
                tokio::time::sleep(takes).await;
                seen.lock().unwrap().entry(order.order).or_default().push(number);
                Ok(Outcome::Done)
            }
        });
        let running = shop.blue(dispatch, ConsumerConfig::default().with_concurrency(15));
        tokio::time::sleep(Duration::from_millis(random.u64(1..8_000))).await;
        if random.bool() {
            running.driver.abort();
            excused.insert(number);
        } else {
            let within = Duration::from_millis(random.u64(1..10_000));
            let report = running.stop(within).await;
            if report.undeleted + report.lost_leases > 0 {
                excused.insert(number);
            }
        }
    }
    drop(_faults);
    let seen = Arc::clone(&handled);
    let dispatch = on(UnknownPolicy::Park, move |order, _| {
        seen.lock().unwrap().entry(order.order).or_default().push(usize::MAX);
        std::future::ready(Ok(Outcome::Done))
    });
    let running = shop.blue(dispatch, ConsumerConfig::default());
    seconds(3_600).await;
    running.stop(Duration::from_secs(5)).await;

    assert_eq!(shop.counts(&shop.urls.blue).await, (0, 0));
    let handled = handled.lock().unwrap();
    let lost: Vec<_> = (0..sent).filter(|n| !handled.contains_key(&n.to_string())).collect();
    assert_eq!(lost, Vec::<u32>::new(), "of {sent}");
    let twice = handled.iter().filter(|(_, by)| by.len() > 1);
    let unexplained: Vec<_> = twice
        .filter(|(_, by)| by.iter().rev().skip(1).any(|number| !excused.contains(number)))
        .collect();
    assert!(unexplained.is_empty(), "{unexplained:?}");
    assert!(excused.len() > 20 && excused.len() < 100, "{} of both kinds", excused.len());
}
