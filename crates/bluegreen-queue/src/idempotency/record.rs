//! The edge to DynamoDB: one item for each message.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use tokio::time::timeout;

use super::IdempotencyConfig;
use super::identity::Identity;
use crate::HandlerError;

/// Free, run out, or our own: a reply that was lost and a call that was made again.
const IS_FREE: &str =
    "attribute_not_exists(id) OR expires <= :now OR (completed = :no AND claim = :claim)";
/// Ours and open, or given back already by a call whose reply was lost.
const IS_OPEN: &str = "attribute_not_exists(id) OR (claim = :claim AND completed = :no)";

#[derive(Debug)]
pub(super) struct Records {
    client: Client,
    table: String,
    config: IdempotencyConfig,
}

/// What an attempt to claim a message has led to.
#[derive(Debug)]
pub(super) enum Claim {
    /// It is ours, under this mark.
    Ours(String),
    Completed,
    /// Somebody handles it, for that long at most.
    InProgress(Duration),
    /// The id is that of a message which says something else.
    OfAnother,
}

impl Records {
    pub(super) const fn new(client: Client, table: String, config: IdempotencyConfig) -> Self {
        Self { client, table, config }
    }

    pub(super) async fn claim(&self, identity: &Identity) -> Result<Claim, HandlerError> {
        let claim = format!("{:032x}", fastrand::u128(..));
        let now = self.now();
        let put = self.client.put_item().table_name(&self.table);
        let put = put
            .set_item(Some(self.item(identity, &claim, false, now)))
            .condition_expression(IS_FREE)
            .expression_attribute_values(":now", number(now.as_secs()))
            .expression_attribute_values(":no", AttributeValue::Bool(false))
            .expression_attribute_values(":claim", AttributeValue::S(claim.clone()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match self.within(put.send()).await? {
            Ok(_) => Ok(Claim::Ours(claim)),
            Err(error) => taken(error, identity, now),
        }
    }

    /// What is done is done, whoever may have claimed it since, and though its claim be gone.
    pub(super) async fn complete(
        &self,
        identity: &Identity,
        claim: &str,
    ) -> Result<(), HandlerError> {
        let put = self.client.put_item().table_name(&self.table);
        let item = self.item(identity, claim, true, self.now());
        self.within(put.set_item(Some(item)).send()).await?.map_err(source)?;
        Ok(())
    }

    pub(super) async fn give_back(
        &self,
        identity: &Identity,
        claim: &str,
    ) -> Result<(), HandlerError> {
        let delete = self.client.delete_item().table_name(&self.table);
        let delete = delete
            .key("id", AttributeValue::S(identity.key.clone()))
            .condition_expression(IS_OPEN)
            .expression_attribute_values(":no", AttributeValue::Bool(false))
            .expression_attribute_values(":claim", AttributeValue::S(claim.to_owned()));
        self.within(delete.send()).await?.map_err(source)?;
        Ok(())
    }

    /// A table that does not answer must not keep a consumer from all else.
    async fn within<T>(&self, call: impl Future<Output = T>) -> Result<T, HandlerError> {
        let silent = |_| format!("the table {} does not answer", self.table).into();
        timeout(self.config.call_timeout, call).await.map_err(silent)
    }

    fn item(
        &self,
        identity: &Identity,
        claim: &str,
        completed: bool,
        now: Duration,
    ) -> HashMap<String, AttributeValue> {
        let holds = if completed { self.config.completed } else { self.config.in_progress };
        HashMap::from([
            ("id".to_owned(), AttributeValue::S(identity.key.clone())),
            ("version".to_owned(), AttributeValue::S(identity.version.clone())),
            ("payload".to_owned(), AttributeValue::S(identity.payload.clone())),
            ("claim".to_owned(), AttributeValue::S(claim.to_owned())),
            ("completed".to_owned(), AttributeValue::Bool(completed)),
            // Rounded up: time to live counts in seconds, and a claim must not hold for less than
            // it was made for.
            ("expires".to_owned(), number(seconds_up(now.saturating_add(holds)))),
        ])
    }

    /// Since the epoch.
    fn now(&self) -> Duration {
        Duration::from_millis(self.config.clock.now_millis())
    }
}

fn seconds_up(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// Whose the message is, by the item that was in the way.
fn taken<R>(
    error: SdkError<PutItemError, R>,
    identity: &Identity,
    now: Duration,
) -> Result<Claim, HandlerError>
where
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let item = match error.as_service_error() {
        Some(PutItemError::ConditionalCheckFailedException(failed)) => failed.item(),
        _ => return Err(source(error)),
    };
    let item = item.ok_or("DynamoDB does not say who has the message")?;
    let says = |field| item.get(field).and_then(|value| value.as_s().ok());
    let differs = says("payload").is_some_and(|payload| *payload != identity.payload);
    if differs && says("version") == Some(&identity.version) {
        return Ok(Claim::OfAnother);
    }
    if item.get("completed").and_then(|is| is.as_bool().ok()) == Some(&true) {
        return Ok(Claim::Completed);
    }
    let expires = item.get("expires").and_then(|at| at.as_n().ok()?.parse::<u64>().ok());
    let left = Duration::from_secs(expires.unwrap_or(0)).saturating_sub(now);
    Ok(Claim::InProgress(left.max(Duration::from_secs(1))))
}

/// The service's own words say more than the SDK's wrapper around them.
fn source<E, R>(error: SdkError<E, R>) -> HandlerError
where
    E: std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    error.into_source().unwrap_or_else(Into::into)
}
