mod item;
mod refusal;
mod table;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use bluegreen_core::{
    Change, Clock, Decision, Deployment, Member, Outcome, ServiceKey, Store, StoreError,
};

use item::{Found, Item, Key};
use refusal::failed;

/// The store of a fleet: one DynamoDB table for all services.
///
/// | `PK` | `SK` | other attributes |
/// |---|---|---|
/// | `deployment#stage/service` | `deployment` | `Record` (JSON), `Revision`, `Phase`, `UpdatedAt` |
/// | the same | `member#instance` | `Record` (JSON), `ExpiresAt` (seconds, the table's TTL) |
///
/// `Record` is what counts; the others are for people who look at the table. A write updates the
/// item, so attributes that others have added stay. It is conditional on the record that was found
/// right before. A failed condition brings the present record along: whether the change lost or
/// is itself what stands there, after a reply that the network lost and the SDK's own retry, is
/// told from that. A record that cannot be read is refused with its place and left as it is.
///
/// It needs the permissions `GetItem`, `UpdateItem`, `PutItem`, `DeleteItem` and `Query`.
#[derive(Clone, Debug)]
pub struct DynamoStore {
    client: Client,
    table: Arc<str>,
    consistent: bool,
    clock: Clock,
}

/// What became of a conditional write.
enum Written {
    Done,
    /// This stands there instead; nothing where the table did not say.
    Overtaken(Option<Box<Found>>),
}

impl DynamoStore {
    /// The store in the table of that name. [`create_table`](Self::create_table) makes one.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into().into(), consistent: true, clock: Clock::system() }
    }

    /// Whether [`load`](Store::load) reads consistently. Default: yes, at 1 read unit for each 4 KB.
    ///
    /// A process that only follows may do without, at half the price: `load` may then answer an
    /// earlier record for some time, usually well below a second, which followers tell by its
    /// revision. Two things are lost. A process that starts right after a change may act on the
    /// record before until its next look, unseen by a [`settled`](bluegreen_core::settled) that
    /// looked before it announced itself; and an [`update`](bluegreen_core::update) may refuse, or
    /// find nothing to do, by an earlier record. No write ever rests on such a read.
    #[must_use]
    pub const fn with_consistent_reads(mut self, consistent: bool) -> Self {
        self.consistent = consistent;
        self
    }

    /// The same with another clock: it stamps `UpdatedAt`.
    #[must_use]
    pub const fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    async fn get(&self, key: &ServiceKey, consistent: bool) -> Result<Option<Found>, StoreError> {
        let at = Key::deployment(key);
        let answer = self
            .client
            .get_item()
            .table_name(&*self.table)
            .set_key(Some(at.attributes()))
            .consistent_read(consistent)
            .send()
            .await
            .map_err(|error| failed(&self.table, error))?;
        answer.item.map(|item| self.found(key, &item)).transpose()
    }

    fn found(&self, key: &ServiceKey, item: &Item) -> Result<Found, StoreError> {
        Found::read(key, item).map_err(|source| self.unreadable(&Key::deployment(key), source))
    }

    fn unreadable(&self, at: &Key, source: bluegreen_core::RecordError) -> StoreError {
        StoreError::Unreadable { place: format!("table {}, {at}", self.table), source }
    }

    /// Writes on the condition that what was found is still there.
    async fn write(&self, next: &Deployment, found: Option<&Found>) -> Result<Written, StoreError> {
        let update = item::update(next, found.map(Found::text), self.clock.now());
        let answer = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(Key::deployment(next.service()).attributes()))
            .update_expression(item::UPDATE)
            .condition_expression(update.condition)
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = answer else {
            return Ok(Written::Done);
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let present = failed.item().filter(|item| !item.is_empty());
                let present = present.map(|item| self.found(next.service(), item)).transpose()?;
                Ok(Written::Overtaken(present.map(Box::new)))
            }
            _ => Err(failed(&self.table, error)),
        }
    }
}

impl Store for DynamoStore {
    async fn load(&self, service: &ServiceKey) -> Result<Option<Deployment>, StoreError> {
        Ok(self.get(service, self.consistent).await?.map(Found::into_deployment))
    }

    async fn compare_and_set(&self, change: &Change) -> Result<Outcome, StoreError> {
        let service = change.next().service();
        let mut found = self.get(service, true).await?;
        loop {
            match change.decide(found.as_ref().map(Found::deployment))? {
                Decision::Answer(outcome) => return Ok(outcome),
                Decision::Write => match self.write(change.next(), found.as_ref()).await? {
                    Written::Done => return Ok(Outcome::Won),
                    Written::Overtaken(Some(present)) => found = Some(*present),
                    Written::Overtaken(None) => found = self.get(service, true).await?,
                },
            }
        }
    }

    async fn announce(&self, service: &ServiceKey, member: &Member) -> Result<(), StoreError> {
        self.client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item::of_member(service, member)))
            .send()
            .await
            .map_err(|error| failed(&self.table, error))?;
        Ok(())
    }

    async fn withdraw(&self, service: &ServiceKey, instance: &str) -> Result<(), StoreError> {
        self.client
            .delete_item()
            .table_name(&*self.table)
            .set_key(Some(Key::member(service, instance).attributes()))
            .send()
            .await
            .map_err(|error| failed(&self.table, error))?;
        Ok(())
    }

    /// Reads consistently: a process that announced itself a moment ago must be waited for.
    async fn members(&self, service: &ServiceKey) -> Result<Vec<Member>, StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&*self.table)
            .key_condition_expression("PK = :pk AND begins_with(SK, :prefix)")
            .set_expression_attribute_values(Some(item::all_members(service)))
            .consistent_read(true)
            .into_paginator()
            .send();
        let mut members = Vec::new();
        while let Some(page) = pages.next().await {
            for item in page.map_err(|error| failed(&self.table, error))?.items() {
                let at = Key::of(item);
                let member = item::member(item).map_err(|error| self.unreadable(&at, error))?;
                members.push(member);
            }
        }
        Ok(members)
    }
}
