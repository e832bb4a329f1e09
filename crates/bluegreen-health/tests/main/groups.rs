use std::time::Duration;

use bluegreen_core::Stop;
use bluegreen_health::{Fault, Health, HealthError, Probe};

use crate::scene::{ask, identity, run, secs, switched};

#[tokio::test(start_paused = true)]
async fn a_group_answers_for_its_own_probes() {
    let (table, table_is_good) = switched();
    let (queue, queue_is_good) = switched();
    table_is_good.set(true);
    queue_is_good.set(true);
    let (stopper, stop) = Stop::new();
    let builder = Health::builder(&identity())
        .probe("table", table.tagged("storage").tagged("aws"))
        .probe("queue", queue.tagged("aws"))
        .group("storage", ["storage"])
        .group("all-of-aws", ["aws"])
        .draining_when(stop);
    let (health, task) = run(builder);
    // Not before its probes have passed.
    let (code, body) = ask(&health, "/health/storage").await;
    assert!(code == 503 && body.contains("not every critical check"), "{body}");
    tokio::time::sleep(secs(1)).await;
    queue_is_good.set(false);
    tokio::time::sleep(secs(30)).await;
    let (code, body) = ask(&health, "/health/storage").await;
    assert_eq!(code, 200);
    assert!(body.contains("\"table\"") && !body.contains("\"queue\""), "{body}");
    for path in ["/health/all-of-aws", "/health"] {
        let (code, body) = ask(&health, path).await;
        assert_eq!(code, 503);
        assert!(body.contains("\"table\"") && body.contains("\"queue\""), "{body}");
    }
    // A drain and a dead refresher count for it as for the whole.
    task.abort();
    tokio::time::sleep(secs(60)).await;
    assert!(ask(&health, "/health/storage").await.1.contains("the checks no longer run"));
    stopper.stop(Duration::ZERO);
    let (code, body) = ask(&health, "/health/storage").await;
    assert!(code == 503 && body.contains("draining"), "{body}");
}

#[test]
fn a_group_that_cannot_be_is_refused_by_name() {
    let probe = || Probe::new(|| async { Ok::<_, Fault>(()) }).tagged("storage");
    let builder = || Health::builder(&identity()).probe("db", probe());
    let error = builder().group("queues", ["storage", "queus"]).build().unwrap_err();
    assert_eq!(error.to_string(), "the group \"queues\" is of no probe by [\"queus\"]");
    let nothing = builder().group("nothing", Vec::<String>::new()).build().unwrap_err();
    assert!(matches!(nothing, HealthError::Group { .. }), "{nothing}");
    for (name, path) in [("ready", "/health/ready"), ("a b", "/health/a b"), ("", "/health/")] {
        let error = builder().group(name, ["storage"]).build().unwrap_err();
        assert_eq!(error, HealthError::Path { found: path.to_owned() });
    }
}
