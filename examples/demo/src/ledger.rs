//! Counting from the outside: what the client was promised against what the stores hold.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

/// What became of the accepted orders.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ledger {
    /// Orders that were accepted.
    pub accepted: usize,
    /// Accepted orders found as a row in PostgreSQL.
    pub rows: usize,
    /// Accepted orders found as an item in DynamoDB.
    pub items: usize,
    /// Accepted orders whose message a consumer has handled.
    pub handled: usize,
    /// Accepted orders that lack one of the three, by name.
    pub lost: Vec<String>,
    /// Orders whose message was handled more than once, by name, with how often.
    pub handled_twice: BTreeMap<String, i64>,
    /// Orders that were begun and never accepted: the client was told that they failed.
    pub begun_only: usize,
    /// Bodies in the dead-letter queue.
    pub parked: usize,
}

/// What the stores hold.
#[derive(Clone, Debug, Default)]
pub struct Stores {
    /// The ids of the rows in PostgreSQL.
    pub rows: BTreeSet<String>,
    /// The ids of the items in DynamoDB.
    pub items: BTreeSet<String>,
    /// How often the message of each order was handled.
    pub handled: BTreeMap<String, i64>,
    /// Messages in the dead-letter queue.
    pub parked: usize,
}

impl Ledger {
    /// Holds the client's word against the stores.
    #[must_use]
    pub fn balance(accepted: &[String], stores: &Stores) -> Self {
        let accepted: BTreeSet<_> = accepted.iter().cloned().collect();
        let is_whole = |id: &&String| {
            stores.rows.contains(*id)
                && stores.items.contains(*id)
                && stores.handled.contains_key(*id)
        };
        let known = |set: &BTreeSet<String>| accepted.intersection(set).count();
        Self {
            accepted: accepted.len(),
            rows: known(&stores.rows),
            items: known(&stores.items),
            handled: accepted.iter().filter(|id| stores.handled.contains_key(*id)).count(),
            lost: accepted.iter().filter(|id| !is_whole(id)).cloned().collect(),
            handled_twice: stores
                .handled
                .iter()
                .filter(|(_, times)| **times > 1)
                .map(|(id, times)| (id.clone(), *times))
                .collect(),
            begun_only: stores.rows.difference(&accepted).count(),
            parked: stores.parked,
        }
    }
}

impl Stores {
    /// Reads all three.
    ///
    /// # Errors
    /// When a store does not answer.
    pub async fn read(
        database: &tokio_postgres::Client,
        dynamodb: &aws_sdk_dynamodb::Client,
        parked: usize,
    ) -> Result<Self> {
        let rows = database.query("SELECT id FROM orders", &[]).await?;
        let handled = database
            .query("SELECT order_id, count(*) FROM handled_orders GROUP BY order_id", &[])
            .await?;
        Ok(Self {
            rows: rows.iter().map(|row| row.get(0)).collect(),
            items: items(dynamodb).await?,
            handled: handled.iter().map(|row| (row.get(0), row.get(1))).collect(),
            parked,
        })
    }
}

async fn items(dynamodb: &aws_sdk_dynamodb::Client) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    let mut pages = dynamodb
        .scan()
        .table_name("orders")
        .projection_expression("PK")
        .consistent_read(true)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        for item in page?.items() {
            if let Some(AttributeValue::S(key)) = item.get("PK")
                && let Some(id) = key.strip_prefix("order#")
            {
                ids.insert(id.to_owned());
            }
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_accepted_order_that_lacks_something_is_named() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
        let accepted: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).into();
        let stores = Stores {
            rows: ids(&["a", "b", "c", "x"]),
            items: ids(&["a", "b", "d"]),
            handled: [("a", 1), ("c", 1), ("b", 2)].map(|(id, n)| (id.to_owned(), n)).into(),
            parked: 1,
        };
        let ledger = Ledger::balance(&accepted, &stores);
        assert_eq!(ledger.lost, ["c", "d"]);
        assert_eq!(ledger.handled_twice.into_iter().collect::<Vec<_>>(), [("b".to_owned(), 2)]);
        assert_eq!((ledger.rows, ledger.items, ledger.handled), (3, 3, 3));
        assert_eq!((ledger.begun_only, ledger.parked), (1, 1));
    }
}
