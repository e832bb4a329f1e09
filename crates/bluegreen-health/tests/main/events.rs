use std::time::Duration;

use bluegreen_core::Stop;
use bluegreen_health::{Fault, FaultKind, Health, HealthEvent, Probe, Status};

use crate::scene::{identity, passing, run, secs, switched};

#[tokio::test(start_paused = true)]
async fn what_changes_is_told_once_and_in_order() {
    let (probe, good) = switched();
    let (stopper, stop) = Stop::new();
    let (health, task) = run(Health::builder(&identity()).probe("db", probe).draining_when(stop));
    let mut events = health.events();
    tokio::time::sleep(secs(20)).await;
    good.set(true);
    tokio::time::sleep(secs(20)).await;
    good.set(false);
    tokio::time::sleep(secs(20)).await;
    stopper.stop(Duration::ZERO);
    tokio::time::sleep(secs(20)).await;
    // Once it drains, how its probes are is its own affair.
    good.set(true);
    tokio::time::sleep(secs(20)).await;
    task.abort();
    drop(task.await);
    drop(health);
    let mut told = Vec::new();
    while let Some(event) = events.next().await {
        told.push(event);
    }
    let check = |from, to, kind| HealthEvent::Check { name: "db".to_owned(), from, to, kind };
    let status = |from, to| HealthEvent::Status { from, to };
    let failed = Some(FaultKind::Failed);
    use Status::{Degraded, Draining, Healthy, Unhealthy};
    assert_eq!(
        told,
        [
            check(Unhealthy, Unhealthy, failed),
            check(Unhealthy, Healthy, None),
            HealthEvent::Started,
            status(Unhealthy, Healthy),
            check(Healthy, Degraded, failed),
            status(Healthy, Degraded),
            check(Degraded, Unhealthy, failed),
            status(Degraded, Unhealthy),
            status(Unhealthy, Draining),
            check(Unhealthy, Healthy, None),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn one_who_takes_no_events_loses_the_oldest_and_holds_nobody_up() {
    let (probe, good) = switched();
    let (health, _task) = run(Health::builder(&identity()).probe("db", probe));
    let mut events = health.events();
    for round in 0..40 {
        good.set(round % 2 == 0);
        tokio::time::sleep(secs(20)).await;
    }
    let Some(HealthEvent::Missed(missed)) = events.next().await else { panic!("none was missed") };
    assert!(missed > 0);
    assert!(matches!(
        events.next().await,
        Some(HealthEvent::Status { .. } | HealthEvent::Check { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_told_though_the_refresher_stops_with_it() {
    let (stopper, stop) = Stop::new();
    let builder = Health::builder(&identity()).probe("db", passing());
    let (health, refresher) = builder.draining_when(stop.clone()).build().unwrap();
    let mut events = health.events();
    let task = tokio::spawn(refresher.run(stop));
    tokio::time::sleep(secs(1)).await;
    stopper.stop(secs(1));
    task.await.unwrap().unwrap();
    drop(health);
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event);
    }
    let to = Status::Draining;
    assert_eq!(last, Some(HealthEvent::Status { from: Status::Healthy, to }));
}

#[tokio::test(start_paused = true)]
async fn one_who_takes_events_at_once_misses_none_however_many_probes_change_together() {
    let mut builder = Health::builder(&identity());
    for number in 0..100 {
        let hung = Probe::new(std::future::pending::<Result<(), Fault>>);
        builder = builder.probe(format!("probe {number}"), hung);
    }
    let (health, task) = run(builder);
    let mut events = health.events();
    tokio::time::sleep(secs(4)).await;
    task.abort();
    drop(task.await);
    drop(health);
    let mut told = 0;
    while let Some(event) = events.next().await {
        assert!(matches!(event, HealthEvent::Check { .. }), "{event:?}");
        told += 1;
    }
    assert_eq!(told, 100);
}
