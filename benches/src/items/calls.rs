//! How many calls each act sends where nobody interferes: one, and two for a read and a write.

use anyhow::{Context as _, Result, bail};
use bluegreen::Color;
use bluegreen::items::{Key, Table, Transaction, Update, Versioned};
use bluegreen_local::{Calls, Service, World};
use serde::{Deserialize, Serialize};

use super::{TABLE, config, figure, identity, world};
use crate::figure::Printer;

#[derive(Serialize, Deserialize)]
struct Order {
    total: u64,
}

fn key() -> Key {
    Key::new("ORDER#1").with_sk("META")
}

/// Counts the calls to one world.
struct Counted<'a> {
    printer: &'a Printer,
    world: World,
    before: u64,
}

impl Counted<'_> {
    /// Prints how many calls an act has sent since the one before, and gates them.
    fn note(&mut self, metric: &'static str, what: &'static str, expected: u32) {
        let all = self.world.calls_in(&Calls::to(Service::DynamoDb));
        let sent = all - std::mem::replace(&mut self.before, all);
        #[expect(clippy::cast_precision_loss, reason = "a few calls")]
        let value = sent as f64;
        self.printer.print(&figure("calls", "bluegreen", metric, value));
        self.printer.gate(what, sent == u64::from(expected));
    }
}

pub(super) fn run(printer: &Printer) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(count(printer))
}

async fn count(printer: &Printer) -> Result<()> {
    let world = world().await?;
    let table = Table::new(world.dynamodb(), TABLE, &identity(Color::Blue)?, config())?;
    let before = world.calls_in(&Calls::to(Service::DynamoDb));
    let mut counted = Counted { printer, world, before };

    table.create(key(), Order { total: 1 }).await?;
    counted.note("create", "create: one call", 1);
    let mut order: Versioned<Order> = table.get(&key()).await?.context("it was created")?;
    counted.note("get", "get: one call", 1);
    order.value_mut().total += 1;
    table.save(&mut order).await?;
    counted.note("save", "save: one call", 1);
    let mut order = table.modify(&key(), |order: &mut Order| order.total += 1).await?;
    counted.note("modify", "modify: two calls", 2);

    let mut other = Versioned::new(Key::new("ORDER#2").with_sk("META"), Order { total: 1 });
    order.value_mut().total += 1;
    let mut transaction = Transaction::new();
    transaction.save(&table, &mut order).await?;
    transaction.save(&table, &mut other).await?;
    transaction.commit().await?;
    counted.note("transaction", "transaction: one call", 1);
    table.delete(&mut other).await?;
    counted.note("delete", "delete: one call", 1);
    table.update(&key(), Update::new().add("total", 1)).await?;
    counted.note("update", "update: one call", 1);

    // A call that does nothing would be cheap: all of it has happened.
    let order: Versioned<Order> = table.get(&key()).await?.context("it is there")?;
    match (order.value().total, table.get::<Order>(other.key()).await?) {
        (5, None) => Ok(()),
        found => bail!("the calls left a total of {}, and {:?}", found.0, found.1.is_some()),
    }
}
