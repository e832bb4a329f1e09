//! The edge to DynamoDB: one item for each marker.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::AttributeValue;
use bluegreen_core::Clock;

use super::HandOver;
use crate::HandlerError;

/// SQS keeps messages for 14 days at most.
const KEPT: Duration = Duration::from_secs(15 * 24 * 60 * 60);

impl HandOver {
    /// Markers are written down in a DynamoDB table with the partition key `id`, a string, and
    /// time to live on `expires`; it may be that of [`Idempotency`](crate::Idempotency). A marker
    /// costs one write of a small item, a group that is kept one consistent read each time. Items
    /// expire after 15 days, one more than SQS keeps messages.
    #[must_use]
    pub fn in_table(client: Client, table: impl Into<String>, clock: Clock) -> Self {
        let (table, reader) = (table.into(), client.clone());
        let read_table = table.clone();
        Self::new(
            move |marker| {
                let expires = (clock.now_millis() / 1_000).saturating_add(KEPT.as_secs());
                let put = client
                    .put_item()
                    .table_name(&table)
                    .item("id", key(&marker))
                    .item("expires", AttributeValue::N(expires.to_string()));
                async move { put.send().await.map(drop).map_err(source) }
            },
            move |marker| {
                let get = reader
                    .get_item()
                    .table_name(&read_table)
                    .key("id", key(&marker))
                    .consistent_read(true)
                    .projection_expression("id");
                async move { Ok(get.send().await.map_err(source)?.item.is_some()) }
            },
        )
    }
}

fn key(marker: &str) -> AttributeValue {
    AttributeValue::S(format!("hand-over/{marker}"))
}

/// The service's own words say more than the SDK's wrapper around them.
fn source<E, R>(error: SdkError<E, R>) -> HandlerError
where
    E: std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    error.into_source().unwrap_or_else(Into::into)
}
