use std::time::Duration;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TableDescription, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use bluegreen_core::StoreError;
use tokio::time::sleep;

use super::DynamoStore;
use super::item::{EXPIRES_AT, PK, SK};
use super::refusal::failed;

/// How often the table is looked at while it is being created, and how many times: two minutes in
/// all. AWS usually needs some ten seconds.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOKS: u32 = 240;

impl DynamoStore {
    /// Makes the table where it is missing: keys `PK` and `SK`, paid by request, dead members
    /// removed by their `ExpiresAt`. Answers once it is ready; repeating it changes nothing.
    ///
    /// For set-up: it needs the permissions `CreateTable`, `DescribeTable`, `DescribeTimeToLive`
    /// and `UpdateTimeToLive`, which a service does not. Cancel safe; repeat it to go on.
    ///
    /// # Errors
    /// When DynamoDB cannot be reached or refuses, when a table of that name has other keys, and
    /// when it is not ready after two minutes.
    pub async fn create_table(&self) -> Result<(), StoreError> {
        self.request_table().await?;
        self.wait_until_active().await?;
        self.enable_expiry().await
    }

    async fn request_table(&self) -> Result<(), StoreError> {
        let unbuilt = |source: BuildError| StoreError::Misconfigured {
            reason: "the request cannot be made".to_owned(),
            source: source.into(),
        };
        let mut request = self
            .client
            .create_table()
            .table_name(&*self.table)
            .billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in [(PK, KeyType::Hash), (SK, KeyType::Range)] {
            let attribute = AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S);
            let key = KeySchemaElement::builder().attribute_name(name).key_type(kind);
            request = request
                .attribute_definitions(attribute.build().map_err(unbuilt)?)
                .key_schema(key.build().map_err(unbuilt)?);
        }
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(CreateTableError::ResourceInUseException(_)) => Ok(()),
                _ => Err(failed(&self.table, error)),
            },
        }
    }

    async fn wait_until_active(&self) -> Result<(), StoreError> {
        for _ in 0..LOOKS {
            if let Some(table) = self.describe_table().await? {
                check_keys(&self.table, &table)?;
                if matches!(table.table_status(), Some(TableStatus::Active | TableStatus::Updating))
                {
                    return Ok(());
                }
            }
            sleep(LOOK_EVERY).await;
        }
        let table = self.table.to_string();
        Err(StoreError::Unavailable { source: Box::new(NotReady { table }) })
    }

    /// The table; nothing while a new one has not shown up yet.
    async fn describe_table(&self) -> Result<Option<TableDescription>, StoreError> {
        match self.client.describe_table().table_name(&*self.table).send().await {
            Ok(answer) => Ok(answer.table),
            Err(error) => match error.as_service_error() {
                Some(DescribeTableError::ResourceNotFoundException(_)) => Ok(None),
                _ => Err(failed(&self.table, error)),
            },
        }
    }

    async fn enable_expiry(&self) -> Result<(), StoreError> {
        let answer = self
            .client
            .describe_time_to_live()
            .table_name(&*self.table)
            .send()
            .await
            .map_err(|error| failed(&self.table, error))?;
        let status =
            answer.time_to_live_description().and_then(|expiry| expiry.time_to_live_status());
        if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
            return Ok(());
        }
        let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name(EXPIRES_AT);
        let expiry = expiry.build().map_err(|source| StoreError::Misconfigured {
            reason: "the request cannot be made".to_owned(),
            source: source.into(),
        })?;
        self.client
            .update_time_to_live()
            .table_name(&*self.table)
            .time_to_live_specification(expiry)
            .send()
            .await
            .map_err(|error| failed(&self.table, error))?;
        Ok(())
    }
}

fn check_keys(name: &str, table: &TableDescription) -> Result<(), StoreError> {
    let found: Vec<_> = table.key_schema().iter().map(KeySchemaElement::attribute_name).collect();
    if found == [PK, SK] {
        return Ok(());
    }
    let source = OtherKeys { found: found.iter().map(|&key| key.to_owned()).collect() };
    Err(StoreError::Misconfigured {
        reason: format!("table {name} is not one of ours"),
        source: Box::new(source),
    })
}

/// The table exists with another key.
#[derive(Debug, thiserror::Error)]
#[error("its key is {found:?}, not [\"{PK}\", \"{SK}\"]")]
struct OtherKeys {
    found: Vec<String>,
}

/// The table takes too long.
#[derive(Debug, thiserror::Error)]
#[error("table {table} is not active after {:?}", LOOK_EVERY * LOOKS)]
struct NotReady {
    table: String,
}
