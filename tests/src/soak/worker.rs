//! One consumer as a process: it handles what it gets until it is told to stop, or killed.

use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};
use bluegreen::queue::{
    Consumer, ConsumerConfig, Context, Dispatch, HandlerError, Message, Outcome, Queues,
    Subscription, UnknownPolicy,
};
use bluegreen::{Color, ContractVersion, Deployment, Following, Release, ServiceKey, Stop};
use bluegreen_local::World;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use super::word::{Report, Word};

/// From the request to stop to the end at the latest.
const STOP: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// How long it takes to handle.
    pub(super) millis: u64,
}

impl Message for Order {
    const TYPE: &str = "OrderPlaced";
    const VERSION: ContractVersion = ContractVersion::new(1, 0);
}

/// Works as the consumer `name` of the queue at `url`, which lies at `endpoint`.
///
/// # Errors
/// When the consumer cannot run, or nobody listens to what it says.
pub async fn work(name: &str, endpoint: &str, url: &str, dead_letters: &str) -> Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(World::REGION))
        .credentials_provider(Credentials::new(name, "local", None, None, "soak"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let key = ServiceKey::new("soak")?;
    let following = Following::fixed(Deployment::first(key, Color::Blue, Release::new("1")?));
    let own = Subscription::own(&Queues::Shared(url.to_owned()), Color::Blue, dead_letters);
    let dispatch = Dispatch::builder().on(handle).unknown(UnknownPolicy::Park).build()?;
    let config_of_ours = ConsumerConfig::default()
        .with_concurrency(30)
        .with_visibility(Duration::from_secs(2))
        .with_call_timeout(Duration::from_secs(1))
        .with_poll_grace(Duration::from_millis(200));
    let client = aws_sdk_sqs::Client::from_conf(config);
    let (_, consumer) = Consumer::new(client, own, following, dispatch, config_of_ours)?;
    let (stopper, stop) = Stop::new();
    Word::Begun.say()?;
    let driver = tokio::spawn(consumer.run(stop));
    term.recv().await.context("no signals can be had")?;
    stopper.stop(STOP);
    let done = driver.await??;
    let (released, undeleted, lost_leases) = (done.released, done.undeleted, done.lost_leases);
    Word::Stopped(Report { released, undeleted, lost_leases }).say()?;
    Ok(())
}

async fn handle(order: Order, context: Context) -> Result<Outcome, HandlerError> {
    tokio::time::sleep(Duration::from_millis(order.millis)).await;
    let message_id = context.message_id().to_owned();
    // Nothing is awaited from here on: who has said so has handled it.
    Word::Handled { message_id, receive: context.receive_count() }.say()?;
    Ok(Outcome::Done)
}
