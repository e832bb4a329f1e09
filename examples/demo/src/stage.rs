//! Everything that stands before the play begins: pretend AWS, a real PostgreSQL, the load
//! balancer's listener, the proxy, the deployment's first record.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ForwardActionConfig, TargetDescription, TargetGroupTuple,
};
use aws_sdk_sqs::types::QueueAttributeName;
use bluegreen::proxy::{Proxy, ProxyConfig};
use bluegreen::state::FileStore;
use bluegreen::{
    ByColor, Color, Deployment, FollowConfig, Following, Reads, Release, ServiceIdentity,
    ServiceKey, Stop, Stopper, update,
};
use bluegreen_local::World;
use bluegreen_local::postgres::Postgres;
use bluegreen_local::tcp_fault::TcpFault;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::tasks::Surroundings;

/// How often the demo's own follower looks, so that traffic moves soon after the record.
const FOLLOW: Duration = Duration::from_millis(200);

/// The set-up of a play.
#[derive(Debug)]
pub struct Stage {
    /// The pretend AWS account.
    pub world: World,
    /// The service that is deployed.
    pub service: ServiceKey,
    /// Where its deployment is kept.
    pub store: FileStore,
    /// The proxy in front of both colors.
    pub proxy: Proxy,
    /// Where clients find it.
    pub proxy_address: SocketAddr,
    /// The ARN of the load balancer's listener.
    pub listener: String,
    /// The ARNs of the colors' target groups.
    pub target_groups: ByColor<String>,
    /// Each color's way to PostgreSQL.
    pub database_faults: ByColor<TcpFault>,
    /// A connection for counting.
    pub database: tokio_postgres::Client,
    /// What every task shares.
    pub surroundings: Surroundings,
    postgres: Postgres,
    stopper: Stopper,
    drivers: JoinSet<()>,
}

impl Stage {
    /// Sets everything up; blue runs release 1 on record, and no task runs yet.
    ///
    /// # Errors
    /// When a part cannot be started.
    pub async fn set(logs: PathBuf) -> Result<Self> {
        let (stopper, stop) = Stop::new();
        let mut drivers = JoinSet::new();
        let world = World::new();
        let served = world.serve("127.0.0.1:0").await?;
        let aws = served.endpoint_url();
        drivers.spawn(ignore(served.run(stop.clone())));

        let postgres = Postgres::from_env_or_start().await.context("PostgreSQL")?;
        let (url, database) = database(&postgres, &mut drivers).await?;
        let (database_faults, urls) = faulty(&url, &stop, &mut drivers).await?;

        create_tables(&world).await?;
        create_queues(&world).await?;
        let (listener, target_groups) = create_listener(&world).await?;

        let service = ServiceKey::new("orders")?;
        // On files, so that `bluegreen --store file:…` can watch the play from another terminal.
        let folder = logs.join("state");
        let store = FileStore::open(&folder)?;
        let first = Deployment::first(service.clone(), Color::Blue, Release::new("1")?);
        update(&store, &service, |_| Ok(first.clone())).await?;

        let me =
            ServiceIdentity::new(service.clone(), Color::Blue, Release::new("proxy")?, "proxy");
        // It reads no messages, and must hold nobody back who writes a newer one.
        let reads = ["1.0", "2.0"].iter().try_fold(Reads::default(), |reads, version| {
            Ok::<_, anyhow::Error>(reads.with("OrderPlaced", version.parse()?))
        })?;
        let config = FollowConfig::default().with_interval(FOLLOW).with_reads(reads).with_seed(1);
        let (following, follower) = Following::new(store.clone(), me, config)?;
        drivers.spawn(ignore(follower.run(stop.clone())));
        let (proxy, driver) = Proxy::new(following, ProxyConfig::default())?;
        let front = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let proxy_address = front.local_addr()?;
        drivers.spawn(ignore(driver.run(front, stop)));

        let surroundings = Surroundings {
            aws,
            database: urls,
            store: format!("file:{}", folder.display()),
            logs,
            program: None,
            variables: Vec::new(),
        };
        Ok(Self {
            world,
            service,
            store,
            proxy,
            proxy_address,
            listener,
            target_groups,
            database_faults,
            database,
            surroundings,
            postgres,
            stopper,
            drivers,
        })
    }

    /// The URL of a queue by name.
    #[must_use]
    pub fn queue(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.surroundings.aws, World::ACCOUNT_ID)
    }

    /// The tasks of `color` are these: the proxy and the load balancer learn of them.
    ///
    /// # Errors
    /// When the load balancer refuses.
    pub async fn targets(&self, color: Color, addresses: &[SocketAddr]) -> Result<()> {
        self.proxy.set_targets(color, addresses);
        let elb = self.world.elbv2_as("operator");
        let group = self.target_groups.get(color);
        let known = elb.describe_target_health().target_group_arn(group).send().await?;
        for target in known.target_health_descriptions().iter().filter_map(|health| health.target())
        {
            elb.deregister_targets().target_group_arn(group).targets(target.clone()).send().await?;
        }
        for address in addresses {
            let target = TargetDescription::builder()
                .id(address.ip().to_string())
                .port(address.port().into())
                .build();
            elb.register_targets().target_group_arn(group).targets(target).send().await?;
        }
        Ok(())
    }

    /// Takes everything down.
    pub async fn strike(mut self) {
        self.stopper.stop(Duration::from_secs(2));
        // Its driver ends with it.
        drop(self.database);
        while self.drivers.join_next().await.is_some() {}
        self.postgres.stop().await;
    }

    /// Where logs and records go.
    #[must_use]
    pub fn logs(&self) -> &Path {
        &self.surroundings.logs
    }
}

async fn ignore<T>(driver: impl Future<Output = T>) {
    drop(driver.await);
}

/// A database of this run's own, and a connection to it for counting.
async fn database(
    postgres: &Postgres,
    drivers: &mut JoinSet<()>,
) -> Result<(url::Url, tokio_postgres::Client)> {
    // Several stages of one process may share a server that was given.
    let name = format!("bluegreen_demo_{}_{:08x}", std::process::id(), fastrand::u32(..));
    let connect = async |url: &str| tokio_postgres::connect(url, tokio_postgres::NoTls).await;
    let (client, connection) = connect(&postgres.url("postgres")).await?;
    drivers.spawn(ignore(connection));
    client.batch_execute(&format!("CREATE DATABASE {name}")).await?;
    let url = postgres.url(&name);
    let (client, connection) = connect(&url).await?;
    drivers.spawn(ignore(connection));
    Ok((url.parse()?, client))
}

/// A way to the database for each color that can be made slow.
async fn faulty(
    url: &url::Url,
    stop: &Stop,
    drivers: &mut JoinSet<()>,
) -> Result<(ByColor<TcpFault>, ByColor<String>)> {
    let (host, port) = (url.host_str().unwrap_or("127.0.0.1"), url.port().unwrap_or(5432));
    let upstream = tokio::net::lookup_host((host, port)).await?.next();
    let upstream = upstream.context("the database's host has no address")?;
    let mut start = || -> Result<(TcpFault, String)> {
        let (fault, proxy) = TcpFault::start(upstream)?;
        drivers.spawn(ignore(proxy.run(stop.clone())));
        let mut url = url.clone();
        url.set_host(Some("127.0.0.1"))?;
        url.set_port(Some(fault.addr().port()))
            .ok()
            .context("the database's address has no port")?;
        Ok((fault, url.to_string()))
    };
    let ((blue, blue_url), (green, green_url)) = (start()?, start()?);
    Ok((ByColor { blue, green }, ByColor { blue: blue_url, green: green_url }))
}

async fn create_tables(world: &World) -> Result<()> {
    let key = |name: &str| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
    };
    let part =
        |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    world
        .dynamodb_as("operator")
        .create_table()
        .table_name("orders")
        .attribute_definitions(key("PK")?)
        .attribute_definitions(key("SK")?)
        .key_schema(part("PK", KeyType::Hash)?)
        .key_schema(part("SK", KeyType::Range)?)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await?;
    Ok(())
}

async fn create_queues(world: &World) -> Result<()> {
    for name in ["orders", "orders-green", "orders-dead"] {
        world
            .sqs_as("operator")
            .create_queue()
            .queue_name(name)
            .attributes(QueueAttributeName::VisibilityTimeout, "10")
            .send()
            .await?;
    }
    Ok(())
}

/// A listener that forwards everything to blue and holds both target groups.
async fn create_listener(world: &World) -> Result<(String, ByColor<String>)> {
    let elb = world.elbv2_as("operator");
    let balancer = elb.create_load_balancer().name("orders").send().await?;
    let balancer =
        balancer.load_balancers().first().and_then(|b| b.load_balancer_arn().map(str::to_owned));
    let balancer = balancer.context("no load balancer was created")?;
    let mut groups = Vec::new();
    for color in Color::BOTH {
        let group = elb.create_target_group().name(format!("orders-{color}")).port(8080);
        let group =
            group.protocol("HTTP".into()).vpc_id("vpc-0").target_type("ip".into()).send().await?;
        let arn = group.target_groups().first().and_then(|group| group.target_group_arn());
        groups.push(arn.context("no target group was created")?.to_owned());
    }
    let mut groups = groups.into_iter();
    let (blue, green) = (groups.next().unwrap_or_default(), groups.next().unwrap_or_default());
    let tuple = |arn: &str, weight| {
        TargetGroupTuple::builder().target_group_arn(arn).weight(weight).build()
    };
    let forward = ForwardActionConfig::builder()
        .target_groups(tuple(&blue, 100))
        .target_groups(tuple(&green, 0))
        .build();
    let action = Action::builder().r#type(ActionTypeEnum::Forward).forward_config(forward).build();
    let listener = elb
        .create_listener()
        .load_balancer_arn(balancer)
        .port(443)
        .protocol("HTTP".into())
        .default_actions(action)
        .send()
        .await?;
    let listener = listener.listeners().first().and_then(|listener| listener.listener_arn());
    let listener = listener.context("no listener was created")?.to_owned();
    Ok((listener, ByColor { blue, green }))
}
