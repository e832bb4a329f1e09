//! What the conformance suite talks to: a world of our own, or another emulator.
//!
//! Set `CONFORMANCE_SQS_ENDPOINT` or `CONFORMANCE_DYNAMODB_ENDPOINT` to run the checks named
//! `sqs_…` or `dynamodb_…` against what listens there. Checks run under the paused clock, which is
//! resumed for an emulator: it has a clock of its own.

use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use bluegreen_core::Clock;
use bluegreen_local::World;

pub(crate) const SQS_ENDPOINT: &str = "CONFORMANCE_SQS_ENDPOINT";
pub(crate) const DYNAMODB_ENDPOINT: &str = "CONFORMANCE_DYNAMODB_ENDPOINT";

/// A world whose wall clock follows the paused one.
pub(crate) fn world() -> World {
    let start = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    World::builder().clock(Clock::starting_at(start)).build()
}

fn endpoint(variable: &str) -> Option<String> {
    let endpoint = std::env::var(variable).ok().filter(|endpoint| !endpoint.is_empty())?;
    tokio::time::resume();
    Some(endpoint)
}

/// A name that no other check and no earlier run has used.
pub(crate) fn unique(stem: &str) -> String {
    format!("{stem}-{:012x}", fastrand::u64(..) >> 16)
}

pub(crate) fn sqs() -> aws_sdk_sqs::Client {
    match endpoint(SQS_ENDPOINT) {
        Some(endpoint) => sqs_at(&endpoint),
        None => world().sqs(),
    }
}

/// A client over HTTP.
pub(crate) fn sqs_at(endpoint: &str) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(World::REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    aws_sdk_sqs::Client::from_conf(config)
}

pub(crate) fn dynamodb() -> aws_sdk_dynamodb::Client {
    match endpoint(DYNAMODB_ENDPOINT) {
        Some(endpoint) => dynamodb_at(&endpoint),
        None => world().dynamodb(),
    }
}

pub(crate) fn dynamodb_at(endpoint: &str) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(World::REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    aws_sdk_dynamodb::Client::from_conf(config)
}
