//! An order service that is ready for blue/green deployment, to be copied.

mod api;
mod messages;
mod orders;
mod settings;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use aws_config::BehaviorVersion;
use bluegreen::health::{
    DynamoProbe, FollowingProbe, Health, PoolState, PostgresProbe, Probe, SqsProbe,
};
use bluegreen::items::{Table, TableConfig};
use bluegreen::metrics::Metrics;
use bluegreen::queue::{Consumer, ConsumerConfig, Producer, ProducerConfig, Subscription};
use bluegreen::shutdown::{Level, Lifecycle, LifecycleConfig, ShutdownReport};
use bluegreen::{FollowConfig, Following, Roster, RosterConfig, ServiceIdentity};
use tokio::net::TcpListener;
use tower_layer::Layer as _;
use tracing_subscriber::EnvFilter;

use crate::messages::Contracts;
use crate::orders::Orders;
use crate::settings::Settings;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).init();
    match serve().await {
        // Returning would wait for look-ups that block a thread.
        Ok(report) => report.exit(),
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<ShutdownReport> {
    // Who am I, and whom do I talk to?
    let settings = Settings::from_env()?;
    let me = ServiceIdentity::from_env()?;
    let contracts = Contracts::of(&me.release);
    let aws = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let (sqs, dynamodb) = (aws_sdk_sqs::Client::new(&aws), aws_sdk_dynamodb::Client::new(&aws));
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&aws);
    let database = settings.connect_database()?;
    let queues = settings.find_queues(&sqs, &me.key).await?;
    orders::prepare_schema(&database, contracts).await?;

    // The deployment, which all that follows obeys.
    let mut app = Lifecycle::new(LifecycleConfig::default())?;
    let store = settings.open_store(&dynamodb)?;
    let follow = FollowConfig::default().with_reads(contracts.reads());
    let (roster, lookout) = Roster::new(store.clone(), me.key.clone(), RosterConfig::default())?;
    let (following, follower) = Following::new(store, me.clone(), follow)?;
    app.spawn(Level::Support, "follower", |stop| follower.run(stop));
    app.spawn(Level::Support, "lookout", |stop| lookout.run(stop));

    // What this service does.
    let items = TableConfig::default().with_schema(contracts.schema());
    let orders = Orders {
        me: me.clone(),
        contracts,
        database: database.clone(),
        items: Table::new(dynamodb.clone(), &settings.table, &me, items)?,
        producer: Producer::new(
            sqs.clone(),
            queues.orders.clone(),
            following.clone(),
            me.color,
            ProducerConfig::default().with_write_gate(messages::write_gate(roster.clone())?),
        )?,
    };

    // Its own color's queue, and the other's once that color is gone for good.
    let own = Subscription::own(&queues.orders, me.color, &queues.dead_letters);
    let own_queue = SqsProbe::new(sqs.clone(), own.url());
    let dead_letters = &queues.dead_letters;
    let adopted = Subscription::adopted(&queues.orders, me.color, dead_letters, roster);
    for queue in [Some(own), adopted].into_iter().flatten() {
        let name = format!("consumer of {}", queue.url());
        let dispatch = orders.dispatch()?;
        // What a killed task had in hand comes back after this time; longer work extends it.
        let config = ConsumerConfig::default().with_visibility(Duration::from_secs(10));
        let (_, consumer) = Consumer::new(sqs.clone(), queue, following.clone(), dispatch, config)?;
        app.spawn(Level::Consumers, name, |stop| consumer.run(stop));
    }

    let (metrics, publisher) = Metrics::new(cloudwatch, "Orders", &me, settings.metrics())?;
    app.spawn(Level::Metrics, "metrics", |stop| publisher.run(stop));
    // What the parts report of themselves goes along.
    metrics.install()?;

    let table = DynamoProbe::new(dynamodb, &settings.table).key("PK", "health").key("SK", "health");
    let pool = database.clone();
    let connect = move || {
        let database = database.clone();
        async move { database.get().await }
    };
    let aurora = PostgresProbe::new(connect, |client| client).pool(move || {
        let status = pool.status();
        PoolState::new(status.max_size, status.size, status.available).waiting(status.waiting)
    });
    // All tasks share these: one that fails for everybody is no reason to take each of them out.
    let shared = |probe: Probe| probe.shared();
    let (health, refresher) = Health::builder(&me)
        .probe("aurora", shared(aurora.into()))
        .probe("dynamodb", shared(table.into()))
        .probe("sqs", shared(own_queue.into()))
        .probe("deployment", FollowingProbe::new(following))
        .draining_when(app.stop(Level::Readiness))
        .build()?;
    app.spawn(Level::Support, "health", |stop| refresher.run(stop));

    // Health answers outside of everything else, so that nothing can turn it off.
    let service = health.layer().layer(metrics.http_layer().layer(api::routes(orders)));
    app.serve("http", TcpListener::bind(&settings.listen).await?, service);
    Ok(app.run().await)
}
