use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::types::AttributeValue;

use super::aws;
use crate::{ComponentType, Fault, Pass, Probe};

/// Reads one item of the table that the service uses; that there is none is a success.
///
/// An eventually consistent read of the data plane, half a read unit: it needs no permission but
/// `dynamodb:GetItem`, and no quota that deployments share, as `ListTables` and `DescribeTable` do.
/// A throttled table is degraded; a denied or missing one is misconfigured, and unhealthy.
///
/// ```
/// # use aws_sdk_dynamodb::Client;
/// # use bluegreen_health::{DynamoProbe, Probe};
/// # fn probe(client: Client) -> Probe {
/// let table = DynamoProbe::new(client, "orders").key("PK", "health").key("SK", "health");
/// Probe::from(table).shared()
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a probe asks nothing before a health runs it"]
pub struct DynamoProbe {
    client: Client,
    table: String,
    key: HashMap<String, AttributeValue>,
}

impl DynamoProbe {
    /// A probe of this table; its key still has to be given.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), key: HashMap::new() }
    }

    /// The same with a key attribute of type string. Every attribute of the table's key is needed.
    pub fn key(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.key.insert(name.into(), AttributeValue::S(value.into()));
        self
    }

    /// The same with a key attribute of type number.
    pub fn number_key(mut self, name: impl Into<String>, value: i64) -> Self {
        self.key.insert(name.into(), AttributeValue::N(value.to_string()));
        self
    }

    async fn read(self) -> Result<Pass, Fault> {
        // The next run is the retry.
        let once = Config::builder().retry_config(RetryConfig::disabled());
        let name = self.key.keys().next().cloned().unwrap_or_default();
        let request = self.client.get_item().table_name(self.table).set_key(Some(self.key));
        // Of the item, should there be one, the key alone.
        let request =
            request.projection_expression("#key").expression_attribute_names("#key", name);
        request.customize().config_override(once).send().await.map_err(aws::fault)?;
        Ok(Pass::new())
    }
}

impl From<DynamoProbe> for Probe {
    fn from(probe: DynamoProbe) -> Self {
        Self::new(move || probe.clone().read()).of_type(ComponentType::Datastore)
    }
}
