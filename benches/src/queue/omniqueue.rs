//! omniqueue 0.3 as its documentation uses it: receive ten, decode, acknowledge each.

use std::time::Duration;

use anyhow::Result;
use omniqueue::backends::{SqsBackend, SqsConfig};

use super::consumers::Whole;

pub(super) async fn empty(url: &str, messages: u32) -> Result<()> {
    let config = SqsConfig { queue_dsn: url.to_owned(), override_endpoint: true };
    let consumer = SqsBackend::builder(config).build_consumer().await?;
    let mut left = messages;
    while left > 0 {
        for delivery in consumer.receive_all(10, Duration::from_secs(20)).await? {
            let whole: Whole = delivery.payload_serde_json()?.unwrap_or_default();
            std::hint::black_box(whole.payload);
            delivery.ack().await.map_err(|(error, _)| error)?;
            left = left.saturating_sub(1);
        }
    }
    Ok(())
}
