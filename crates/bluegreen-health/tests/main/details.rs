use bluegreen_health::{Fault, FaultKind, Health, Probe};
use http::Request;
use tower::ServiceExt;

use crate::scene::{ask, identity, read, run, secs};

const SECRET: &str = "password authentication failed for \"admin\" at 10.0.0.7";

fn denied() -> Probe {
    Probe::new(|| async { Err::<(), _>(Fault::new(FaultKind::Denied).caused_by(SECRET)) })
        .tagged("storage")
}

async fn ask_as(health: &Health, path: &str, token: &str, accept: &str) -> (u16, String) {
    let request = Request::get(path).header("x-token", token).header("accept", accept);
    let request = request.body(String::new()).unwrap();
    read(health.service().oneshot(request).await.unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn causes_are_shown_to_whom_the_closure_lets_and_to_nobody_else() {
    let builder = Health::builder(&identity())
        .probe("db", denied())
        .group("storage", ["storage"])
        .causes_for(|request| request.headers().get("x-token").is_some_and(|t| t == "right"));
    let (health, _task) = run(builder);
    tokio::time::sleep(secs(1)).await;
    for path in ["/health", "/health/storage"] {
        for accept in ["application/json", "application/health+json", "text/plain"] {
            let (code, body) = ask_as(&health, path, "right", accept).await;
            assert_eq!(code, 503);
            assert!(body.contains("10.0.0.7"), "{path} {accept}: {body}");
            let (code, body) = ask_as(&health, path, "wrong", accept).await;
            assert_eq!(code, 503);
            assert!(!body.contains("10.0.0.7") && body.contains("access denied"), "{body}");
        }
    }
    // The short answers have nothing to hide, so they need not ask.
    assert!(!ask_as(&health, "/health/ready", "right", "*/*").await.1.contains("10.0.0.7"));
}

#[tokio::test(start_paused = true)]
async fn without_a_closure_nobody_sees_a_cause() {
    let (health, _task) = run(Health::builder(&identity()).probe("db", denied()));
    tokio::time::sleep(secs(1)).await;
    let (_, body) = ask(&health, "/health").await;
    assert!(!body.contains("10.0.0.7"), "{body}");
    // Inside the process they are at hand.
    assert_eq!(health.snapshot().checks[0].cause.as_deref(), Some(SECRET));
}
