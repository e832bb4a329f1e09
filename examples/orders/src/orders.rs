//! Placing an order, and confirming it once its message arrives.

use anyhow::{Context as _, Result};
use bluegreen::ServiceIdentity;
use bluegreen::items::{ItemError, Key, Table};
use bluegreen::queue::{Context, Dispatch, HandlerError, Outcome, Producer, UnknownPolicy};
use deadpool_postgres::Pool;
use serde::{Deserialize, Serialize};

use crate::messages::{Contracts, OrderPlacedV1, OrderPlacedV2};

/// An order, as clients write it and as DynamoDB keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub id: String,
    pub customer: String,
    pub amount_cents: i64,
    #[serde(default)]
    confirmed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
}

#[derive(Clone)]
pub struct Orders {
    pub me: ServiceIdentity,
    pub contracts: Contracts,
    pub database: Pool,
    pub items: Table,
    pub producer: Producer,
}

impl Orders {
    /// Takes an order: row, item, message, in this order. Each step may be repeated, so a client
    /// that got no answer sends the same order again, and it is still one order.
    pub async fn place(&self, mut order: Order) -> Result<()> {
        if self.contracts == Contracts::WithCurrency {
            order.currency.get_or_insert_with(|| "EUR".to_owned());
        }
        self.insert_row(&order).await.context("PostgreSQL")?;
        let message = OrderPlacedV1::from(&order);
        match self.items.create(key(&order.id), order.clone()).await {
            Ok(_) | Err(ItemError::AlreadyExists { .. }) => {}
            Err(error) => return Err(error).context("DynamoDB"),
        }
        let sent = match self.contracts {
            Contracts::WithoutCurrency => self.producer.send(&message, &order.id).await,
            Contracts::WithCurrency => {
                self.producer.send(&OrderPlacedV2::from(message), &order.id).await
            }
        };
        sent.context("SQS")?;
        Ok(())
    }

    pub async fn find(&self, id: &str) -> Result<Option<Order>> {
        Ok(self.items.get::<Order>(&key(id)).await?.map(|item| item.value().clone()))
    }

    /// What this release reads. What it does not goes to the color that does.
    pub fn dispatch(&self) -> Result<Dispatch> {
        let (old, new) = (self.clone(), self.clone());
        let mut dispatch = Dispatch::builder()
            .unknown(UnknownPolicy::PassToOtherColor)
            .on(move |placed: OrderPlacedV1, context| old.clone().confirm(placed.into(), context));
        if self.contracts == Contracts::WithCurrency {
            dispatch = dispatch.on(move |placed, context| new.clone().confirm(placed, context));
        }
        Ok(dispatch.build()?)
    }

    /// Confirms a placed order. SQS delivers at least once: what is done here may be done twice.
    async fn confirm(
        self,
        placed: OrderPlacedV2,
        context: Context,
    ) -> Result<Outcome, HandlerError> {
        self.items.modify(&key(&placed.id), |order: &mut Order| order.confirmed = true).await?;
        let version = context.envelope().version().to_string();
        let (color, release) = (self.me.color.as_str(), self.me.release.as_str());
        let insert = "INSERT INTO handled_orders (order_id, color, release, version) \
                      VALUES ($1, $2, $3, $4)";
        let database = self.database.get().await?;
        database.execute(insert, &[&placed.id, &color, &release, &version]).await?;
        Ok(Outcome::Done)
    }

    /// A release names the columns it knows, no others.
    async fn insert_row(&self, order: &Order) -> Result<()> {
        let Order { id, customer, amount_cents, currency, .. } = order;
        let database = self.database.get().await?;
        match currency {
            None => {
                let insert = "INSERT INTO orders (id, customer, amount_cents) \
                              VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";
                database.execute(insert, &[id, customer, amount_cents]).await?
            }
            Some(currency) => {
                let insert = "INSERT INTO orders (id, customer, amount_cents, currency) \
                              VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING";
                database.execute(insert, &[id, customer, amount_cents, currency]).await?
            }
        };
        Ok(())
    }
}

fn key(id: &str) -> Key {
    Key::new(format!("order#{id}")).with_sk("order")
}

/// Brings the schema to what this release needs. It only adds, as the other color, a release
/// behind, must keep working. One task at a time, hence the lock.
pub async fn prepare_schema(database: &Pool, contracts: Contracts) -> Result<()> {
    let mut client = database.get().await.context("DB_CONNECTION")?;
    let transaction = client.transaction().await?;
    transaction
        .batch_execute(
            "SELECT pg_advisory_xact_lock(7001);
             CREATE TABLE IF NOT EXISTS orders (
                 id text PRIMARY KEY, customer text NOT NULL, amount_cents bigint NOT NULL);
             CREATE TABLE IF NOT EXISTS handled_orders (
                 order_id text NOT NULL, color text NOT NULL, release text NOT NULL,
                 version text NOT NULL, handled_at timestamptz NOT NULL DEFAULT now());",
        )
        .await?;
    if contracts == Contracts::WithCurrency {
        let add = "ALTER TABLE orders ADD COLUMN IF NOT EXISTS currency text";
        transaction.batch_execute(add).await?;
    }
    Ok(transaction.commit().await?)
}
