//! Everything this service reads from its environment, beside what names it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bluegreen::metrics::{MetricsConfig, Resolution};
use bluegreen::queue::{QueueNames, Queues};
use bluegreen::state::{AnyStore, DynamoStore, FileStore, StoreAddress};
use bluegreen::{ByColor, Color, ServiceKey};
use deadpool_postgres::{Manager, Pool, Runtime};

pub struct Settings {
    /// Where to listen: `LISTEN`, 0.0.0.0:8080 where missing.
    pub listen: String,
    /// The DynamoDB table of the orders: `DD_TABLE_NAME`.
    pub table: String,
    /// How to reach PostgreSQL: `DB_CONNECTION`.
    database: String,
    /// Where the deployment is kept: `BLUEGREEN_STORE`, dynamodb:bluegreen where missing.
    store: StoreAddress,
    /// `QUEUE_MODE=shared` lets both colors share the queue `orders`, by permits; each has a queue of
    /// its own otherwise.
    shares_queue: bool,
    /// `METRICS_RESOLUTION=second` publishes metrics every second instead of every minute.
    fine_metrics: bool,
}

pub struct FoundQueues {
    pub orders: Queues,
    pub dead_letters: String,
}

impl Settings {
    pub fn from_env() -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        let required = |name| variable(name).with_context(|| format!("{name} is not set"));
        let store = variable("BLUEGREEN_STORE").unwrap_or_else(|| "dynamodb:bluegreen".to_owned());
        Ok(Self {
            listen: variable("LISTEN").unwrap_or_else(|| "0.0.0.0:8080".to_owned()),
            table: required("DD_TABLE_NAME")?,
            database: required("DB_CONNECTION")?,
            store: store.parse().context("BLUEGREEN_STORE")?,
            shares_queue: variable("QUEUE_MODE").as_deref() == Some("shared"),
            fine_metrics: variable("METRICS_RESOLUTION").as_deref() == Some("second"),
        })
    }

    pub fn metrics(&self) -> MetricsConfig {
        let config = MetricsConfig::default();
        if !self.fine_metrics {
            return config;
        }
        config.with_resolution(Resolution::Second).with_flush_interval(Duration::from_secs(1))
    }

    pub fn open_store(&self, dynamodb: &aws_sdk_dynamodb::Client) -> Result<AnyStore> {
        Ok(match &self.store {
            StoreAddress::Files(folder) => FileStore::open(folder)?.into(),
            StoreAddress::Dynamo(table) => DynamoStore::new(dynamodb.clone(), table).into(),
            _ => bail!("BLUEGREEN_STORE must be one that several processes can share"),
        })
    }

    pub fn connect_database(&self) -> Result<Pool> {
        let address = self.database.parse().context("DB_CONNECTION")?;
        let manager = Manager::new(address, tokio_postgres::NoTls);
        let wait = Some(Duration::from_secs(3));
        let pool = Pool::builder(manager).max_size(16).runtime(Runtime::Tokio1);
        Ok(pool.wait_timeout(wait).create_timeout(wait).build()?)
    }

    /// The queues `orders`, `orders-green` and `orders-dead`, behind the stage where there is one.
    pub async fn find_queues(
        &self,
        sqs: &aws_sdk_sqs::Client,
        service: &ServiceKey,
    ) -> Result<FoundQueues> {
        let find = async |name: &str| -> Result<String> {
            let found = sqs.get_queue_url().queue_name(name).send().await;
            let url = found.with_context(|| format!("queue {name}"))?.queue_url;
            url.with_context(|| format!("queue {name} has no URL"))
        };
        let names = QueueNames::new(service, "orders")?;
        let dead_letters = find(QueueNames::new(service, "orders-dead")?.shared()).await?;
        let blue = find(names.of(Color::Blue)).await?;
        let orders = if self.shares_queue {
            Queues::Shared(blue)
        } else {
            Queues::Separate(ByColor { blue, green: find(names.of(Color::Green)).await? })
        };
        Ok(FoundQueues { orders, dead_letters })
    }
}
