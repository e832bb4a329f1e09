//! One world over HTTP, for several clients.

use std::time::Duration;

use bluegreen_core::Stop;
use bluegreen_local::{Calls, Fault, Rule, ServeError, Service, World};

use crate::sqs::{Queue, bodies};
use crate::target::{dynamodb_at, sqs_at};

#[tokio::test]
async fn two_clients_share_one_world_over_http() {
    let world = World::new();
    let served = world.serve("127.0.0.1:0").await.unwrap();
    let endpoint = served.endpoint_url();
    let (stopper, stop) = Stop::new();
    let running = tokio::spawn(served.run(stop));
    let sender = Queue::standard(&sqs_at(&endpoint)).await;
    assert!(sender.url.starts_with(&endpoint), "{}: queue URLs lead back here", sender.url);
    let receiver = Queue { client: sqs_at(&endpoint), url: sender.url.clone() };
    let (received, _) = tokio::join!(receiver.receive_for(20, None), sender.send("a"));
    assert_eq!(bodies(&received), ["a"]);
    assert!(dynamodb_at(&endpoint).list_tables().send().await.unwrap().table_names().is_empty());
    let in_process = Queue { client: world.sqs(), url: sender.url.clone() };
    assert_eq!(in_process.counts().await, [0, 1, 0]);
    drop((sender, receiver));
    stopper.stop(Duration::from_secs(5));
    let report = running.await.unwrap();
    assert!(report.connections >= 2 && !report.cut, "{report:?}");
}

#[tokio::test]
async fn faults_strike_over_http_as_in_process() {
    let world = World::new();
    let served = world.serve("127.0.0.1:0").await.unwrap();
    let client = sqs_at(&served.endpoint_url());
    let running = tokio::spawn(served.run(Stop::never()));
    let queue = Queue::standard(&client).await;
    let sends = Calls::to(Service::Sqs).operation("SendMessage").access_key("test");
    let faults = [Fault::Reset, Fault::LostReply, Fault::Throttle]
        .map(|fault| world.faults().inject(Rule::new(sends.clone(), fault).first(1)));
    // Reset, then executed but lost, both retried by the SDK; a third attempt is throttled.
    let send = client.send_message().queue_url(&queue.url).message_body("a").send().await;
    assert!(send.is_err());
    assert_eq!(faults.map(|fault| fault.count()), [1, 1, 1]);
    assert_eq!(queue.counts().await, [1, 0, 0]);
    running.abort();
}

#[tokio::test]
async fn a_long_poll_beyond_the_deadline_is_cut() {
    let world = World::new();
    let served = world.serve("127.0.0.1:0").await.unwrap();
    let client = sqs_at(&served.endpoint_url());
    let (stopper, stop) = Stop::new();
    let running = tokio::spawn(served.run(stop));
    let queue = Queue::standard(&client).await;
    let polling = tokio::spawn({
        let client = client.clone();
        async move { client.receive_message().queue_url(queue.url).wait_time_seconds(20).send().await }
    });
    let mut arrived = 0;
    while arrived == 0 {
        tokio::task::yield_now().await;
        arrived = world.calls(Service::Sqs, "ReceiveMessage");
    }
    stopper.stop(Duration::from_millis(10));
    assert!(running.await.unwrap().cut);
    assert!(polling.await.unwrap().is_err());
}

#[tokio::test]
async fn only_loopback_is_served() {
    let world = World::new();
    for address in ["0.0.0.0:0", "192.0.2.1:8000", "[::]:0"] {
        let error = world.serve(address).await.unwrap_err();
        assert!(matches!(error, ServeError::NotLoopback { .. }), "{address}: {error}");
    }
    let error = world.serve("localhost").await.unwrap_err();
    assert!(matches!(error, ServeError::NotAnAddress { .. }), "{error}");
}
