//! Ready-made SDK clients of a world.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::World;

/// Enough tries to outlast the faults of a test, with pauses that do not slow it down.
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// A name for the retry quota of one client. The SDK keeps quotas by name for the whole process, and
/// what a world pretends are processes of their own.
fn quota() -> String {
    static CLIENTS: AtomicU64 = AtomicU64::new(0);
    format!("client-{}", CLIENTS.fetch_add(1, Ordering::Relaxed))
}

macro_rules! client {
    ($(#[$doc:meta])* $name:ident, $as_name:ident, $sdk:ident) => {
        impl World {
            $(#[$doc])*
            /// Retries as the SDK's standard mode, 3 tries with short pauses, on tokio's clock, within a
            /// quota of its own.
            #[must_use]
            pub fn $name(&self) -> $sdk::Client {
                self.$as_name("local")
            }

            /// The same, signing with an access key that faults and counts can tell apart.
            #[must_use]
            pub fn $as_name(&self, access_key: &str) -> $sdk::Client {
                use $sdk::config::retry::{RetryConfig, RetryPartition};
                use $sdk::config::{BehaviorVersion, Config, Credentials, Region};
                let retries = RetryConfig::standard()
                    .with_max_attempts(ATTEMPTS)
                    .with_initial_backoff(FIRST_PAUSE);
                let config = Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region(Region::new(World::REGION))
                    .credentials_provider(Credentials::new(access_key, "secret", None, None, "local"))
                    .retry_config(retries)
                    .retry_partition(RetryPartition::new(quota()))
                    .http_client(self.http_client())
                    .build();
                $sdk::Client::from_conf(config)
            }
        }
    };
}

#[cfg(feature = "clients")]
client!(
    /// A client of this world's SQS.
    sqs, sqs_as, aws_sdk_sqs
);
#[cfg(feature = "clients")]
client!(
    /// A client of this world's DynamoDB.
    dynamodb, dynamodb_as, aws_sdk_dynamodb
);
#[cfg(feature = "clients")]
client!(
    /// A client of this world's CloudWatch.
    cloudwatch, cloudwatch_as, aws_sdk_cloudwatch
);
#[cfg(feature = "clients")]
client!(
    /// A client of this world's Elastic Load Balancing.
    elbv2, elbv2_as, aws_sdk_elasticloadbalancingv2
);
#[cfg(feature = "client-ecs")]
client!(
    /// A client of this world's ECS.
    ecs, ecs_as, aws_sdk_ecs
);
