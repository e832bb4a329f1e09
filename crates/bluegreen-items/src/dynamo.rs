//! The only files that call DynamoDB.

mod bounds;
mod transact;

use std::pin::Pin;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity::Total;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_sdk_dynamodb::types::{ConsumedCapacity, KeysAndAttributes, ReturnConsumedCapacity};

pub(crate) use transact::{Cancellation, Transacted};

use crate::attempts::{Call, Writing, watched};
use crate::backfill::capacity::Capacity;
use crate::expression::Expression;
use crate::retry::{Classify, Counters, RetryClass};
use crate::validity::Lapsed;
use crate::{Attributes, ItemError, TableConfig, size};
use bounds::Bounds;

/// What the service answers to a conditional write.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It is done.
    Done,
    /// The condition does not hold; the item as it is, where the service says so.
    Refused(Option<Attributes>),
}

/// How fresh a read has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consistency {
    /// It sees every write that was answered before.
    Strong,
    /// It may miss the latest writes, at half the price.
    Eventual,
}

/// One table.
#[derive(Clone, Debug)]
pub(crate) struct Dynamo {
    client: Client,
    table: String,
    /// What its writes consume is noted here.
    meter: Option<Arc<Capacity>>,
    bounds: Bounds,
    counters: Arc<Counters>,
}

/// What the service says about a table.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// How many items it has, as the service counts now and then.
    pub(crate) items: Option<u64>,
    /// Another one for a table that was deleted and created anew.
    pub(crate) id: Option<String>,
}

/// A page of a scan.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) items: Vec<Attributes>,
    /// The last key that was looked at; nothing at the end of the segment.
    pub(crate) last: Option<Attributes>,
    /// The read units it consumed; 1 where the service does not say.
    pub(crate) units: f64,
}

/// The SDK's futures are large and lie deep in each other, so they are moved and nested no further.
type Sending<F> = Pin<Box<F>>;

impl Dynamo {
    pub(crate) fn new(client: &Client, table: String, config: &TableConfig) -> Self {
        let (bounds, counters) = (Bounds::of(config), Arc::default());
        let client = watched(client);
        Self { client, table, meter: None, bounds, counters }
    }

    /// Where repetitions are counted.
    pub(crate) const fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    async fn read<O, E>(
        &self,
        sending: Sending<impl Future<Output = Result<O, SdkError<E>>>>,
    ) -> Result<Result<O, SdkError<E>>, ItemError> {
        let call = Call::of_read(Arc::clone(&self.counters));
        self.bounds.within(call.make(sending)).await
    }

    async fn write<O, E>(
        &self,
        writing: Writing,
        sending: Sending<impl Future<Output = Result<O, SdkError<E>>>>,
    ) -> Result<Result<O, SdkError<E>>, ItemError> {
        let call = Call::of_write(Arc::clone(&self.counters), writing);
        self.bounds.within(call.make(sending)).await
    }

    /// The same, and what its writes consume is noted.
    pub(crate) fn metered(&self, meter: Arc<Capacity>) -> Self {
        Self { meter: Some(meter), ..self.clone() }
    }

    /// What the service says about the table.
    pub(crate) async fn facts(&self) -> Result<Facts, ItemError> {
        let call = self.client.describe_table().table_name(&self.table);
        let answer = self.read(Box::pin(call.send())).await?;
        let table = answer.map_err(failure)?.table;
        let (count, id) = table.map_or((None, None), |table| (table.item_count, table.table_id));
        Ok(Facts { items: count.and_then(|count| u64::try_from(count).ok()), id })
    }

    /// A page of one segment of so many, after the item with the key `start`.
    pub(crate) async fn scan(
        &self,
        (segment, segments): (i32, i32),
        start: Option<Attributes>,
        limit: i32,
        consistency: Consistency,
    ) -> Result<Page, ItemError> {
        let call = self.client.scan().table_name(&self.table).set_exclusive_start_key(start);
        let call = call.segment(segment).total_segments(segments).limit(limit);
        let call = call.return_consumed_capacity(Total);
        let call = call.consistent_read(consistency == Consistency::Strong);
        let answer = self.read(Box::pin(call.send())).await?.map_err(failure)?;
        let units = answer.consumed_capacity.and_then(|capacity| capacity.capacity_units);
        let items = answer.items.unwrap_or_default();
        Ok(Page { items, last: answer.last_evaluated_key, units: units.unwrap_or(1.0) })
    }

    fn note(&self, consumed: Option<&ConsumedCapacity>) {
        if let Some(meter) = &self.meter {
            meter.spend(consumed.and_then(|capacity| capacity.capacity_units).unwrap_or(1.0));
        }
    }

    fn wanted_capacity(&self) -> Option<ReturnConsumedCapacity> {
        self.meter.as_ref().map(|_| Total)
    }

    /// Its name or ARN.
    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// Its name, also where the handle has its ARN: `arn:aws:dynamodb:REGION:ACCOUNT:table/NAME`.
    pub(crate) fn table_name(&self) -> &str {
        let of_arn = self.table.strip_prefix("arn:").and_then(|arn| arn.split_once(":table/"));
        of_arn.map_or(self.table.as_str(), |(_, name)| name.split('/').next().unwrap_or(name))
    }

    pub(crate) async fn get(
        &self,
        key: Attributes,
        consistency: Consistency,
    ) -> Result<Option<Attributes>, ItemError> {
        let call = self.client.get_item().table_name(&self.table).set_key(Some(key));
        let call = call.consistent_read(consistency == Consistency::Strong);
        let answer = self.read(Box::pin(call.send())).await?;
        Ok(answer.map_err(failure)?.item)
    }

    /// Several items, in any order, and the keys that were left out for now.
    pub(crate) async fn get_many(
        &self,
        keys: Vec<Attributes>,
    ) -> Result<(Vec<Attributes>, Vec<Attributes>), ItemError> {
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        let wanted = wanted.build().map_err(unbuildable)?;
        let call = self.client.batch_get_item().request_items(&self.table, wanted);
        let answer = self.read(Box::pin(call.send())).await?.map_err(failure)?;
        let found = answer.responses.unwrap_or_default().into_values().flatten().collect();
        let left = answer.unprocessed_keys.unwrap_or_default().into_values();
        Ok((found, left.flat_map(|left| left.keys).collect()))
    }

    pub(crate) async fn put(
        &self,
        item: Attributes,
        expression: Expression,
        writing: Writing,
    ) -> Result<Answer, ItemError> {
        let call = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let call = call
            .condition_expression(expression.condition)
            .set_expression_attribute_names(Some(expression.names))
            .set_expression_attribute_values(some(expression.values))
            .set_return_consumed_capacity(self.wanted_capacity())
            .return_values_on_condition_check_failure(AllOld);
        let answer = self.write(writing, Box::pin(call.send())).await?;
        self.note(answer.as_ref().ok().and_then(|answer| answer.consumed_capacity()));
        answered(answer, |error| match error {
            PutItemError::ConditionalCheckFailedException(refusal) => Some(refusal),
            _ => None,
        })
    }

    pub(crate) async fn update(
        &self,
        key: Attributes,
        expression: Expression,
        writing: Writing,
    ) -> Result<Answer, ItemError> {
        let call = self.client.update_item().table_name(&self.table).set_key(Some(key));
        let call = call
            .update_expression(expression.update)
            .condition_expression(expression.condition)
            .set_expression_attribute_names(Some(expression.names))
            .set_expression_attribute_values(some(expression.values))
            .set_return_consumed_capacity(self.wanted_capacity())
            .return_values_on_condition_check_failure(AllOld);
        let answer = self.write(writing, Box::pin(call.send())).await?;
        self.note(answer.as_ref().ok().and_then(|answer| answer.consumed_capacity()));
        answered(answer, |error| match error {
            UpdateItemError::ConditionalCheckFailedException(refusal) => Some(refusal),
            _ => None,
        })
    }

    pub(crate) async fn delete(
        &self,
        key: Attributes,
        expression: Expression,
        writing: Writing,
    ) -> Result<Answer, ItemError> {
        let call = self.client.delete_item().table_name(&self.table).set_key(Some(key));
        let call = call
            .condition_expression(expression.condition)
            .set_expression_attribute_names(Some(expression.names))
            .set_expression_attribute_values(some(expression.values))
            .return_values_on_condition_check_failure(AllOld);
        let answer = self.write(writing, Box::pin(call.send())).await?;
        answered(answer, |error| match error {
            DeleteItemError::ConditionalCheckFailedException(refusal) => Some(refusal),
            _ => None,
        })
    }
}

fn unbuildable(error: BuildError) -> ItemError {
    let reason = "the call cannot be built".to_owned();
    ItemError::Misconfigured { reason, source: Box::new(error) }
}

/// DynamoDB refuses an empty map of values.
fn some(values: Attributes) -> Option<Attributes> {
    (!values.is_empty()).then_some(values)
}

fn answered<O, E>(
    answer: Result<O, SdkError<E>>,
    refusal: impl Fn(&E) -> Option<&ConditionalCheckFailedException>,
) -> Result<Answer, ItemError>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match answer {
        Ok(_) => Ok(Answer::Done),
        Err(error) => match error.as_service_error().and_then(refusal) {
            Some(refusal) => Ok(Answer::Refused(refusal.item().cloned())),
            None => Err(failure_of_write(error)),
        },
    }
}

/// The failure of one item's write: what the service finds wrong with it may be right in the next.
fn failure_of_write<E>(error: SdkError<E>) -> ItemError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let service_error = error.as_service_error();
    let code = service_error.and_then(|error| error.code()).unwrap_or_default();
    let message = service_error.and_then(|error| error.message()).unwrap_or_default();
    let reason = is_of_item(code, message).then(|| message.to_owned());
    match (failure(error), reason) {
        (ItemError::Misconfigured { source, .. }, Some(reason)) => {
            ItemError::Refused { reason, source }
        }
        (failure, _) => failure,
    }
}

/// Whether the service refuses what is in the item. Keys of another table would be refused for all.
pub(crate) fn is_of_item(code: &str, message: &str) -> bool {
    match code {
        "ItemCollectionSizeLimitExceededException" | "ItemCollectionSizeLimitExceeded" => true,
        "ValidationException" | "ValidationError" => {
            !["Missing the key", "does not match the schema"].iter().any(|of| message.contains(of))
        }
        _ => false,
    }
}

/// Why an attempt was not made, where that is what went wrong.
fn lapsed(error: &(dyn std::error::Error + 'static)) -> Option<Lapsed> {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.find_map(|cause| cause.downcast_ref()).cloned()
}

/// Sorts what went wrong by what can be done about it.
fn failure<E>(error: SdkError<E>) -> ItemError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    if let Some(lapsed) = lapsed(&error) {
        return lapsed.into();
    }
    let status = error.raw_response().map(|response| response.status().as_u16());
    let service_error = error.as_service_error();
    let code = service_error.and_then(|error| error.code()).unwrap_or_default().to_owned();
    let message = service_error.and_then(|error| error.message()).unwrap_or_default();
    if let Some(limit) = limit_exceeded(&code, message) {
        return ItemError::TooLarge { size: limit.saturating_add(1), limit };
    }
    let (class, retry_after) = (error.retry_class(), error.retry_after());
    let source = Box::new(error);
    match class {
        // A gateway's 5xx may say so after the call was applied.
        Some(RetryClass::Throttling) if status.is_some_and(|status| status < 500) => {
            ItemError::Throttled { retry_after, source }
        }
        Some(class) => ItemError::Unavailable { class, retry_after, source },
        None if status.is_some() => ItemError::Misconfigured { reason: code, source },
        None => ItemError::Misconfigured { reason: "the call cannot be built".to_owned(), source },
    }
}

/// The limit that an item, or a transaction with what its items are already, is beyond. Our own
/// count, an approximation where numbers are concerned, let it pass.
fn limit_exceeded(code: &str, message: &str) -> Option<usize> {
    match code {
        "ValidationException" if message.contains("Item size") => Some(size::LIMIT),
        "ValidationException" if message.contains("4MB limit") => Some(size::TRANSACTION_LIMIT),
        _ => None,
    }
}
