use std::path::Path;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use bluegreen::StoreError;
use bluegreen::state::{AnyStore, DynamoStore, FileStore, StoreAddress};

use crate::args::Command;
use crate::exit::Usage;

/// How long one try of a call to DynamoDB may take; it answers within milliseconds.
const CALL: Duration = Duration::from_secs(5);

/// Opens the store; only `init` sets one up.
pub(crate) async fn open(address: &StoreAddress, command: &Command) -> anyhow::Result<AnyStore> {
    let first = matches!(command, Command::Init { .. });
    let create_table = matches!(command, Command::Init { create_table: true, .. });
    match address {
        StoreAddress::Files(_) if create_table => {
            Err(Usage::Wrong("--create-table is for dynamodb:TABLE").into())
        }
        StoreAddress::Files(path) => Ok(files(path, first)?.into()),
        StoreAddress::Dynamo(table) => {
            let store = DynamoStore::new(client().await, table).with_consistent_reads(true);
            if create_table {
                store.create_table().await?;
            }
            Ok(store.into())
        }
        _ => {
            Err(Usage::Wrong("memory: ends with the command; use file:PATH or dynamodb:TABLE")
                .into())
        }
    }
}

/// A mistyped path must not become a new, empty store.
fn files(path: &Path, create: bool) -> Result<FileStore, StoreError> {
    if !create && let Err(source) = path.read_dir() {
        let reason = format!("cannot read the folder {}", path.display());
        return Err(StoreError::Misconfigured { reason, source: source.into() });
    }
    FileStore::open(path)
}

async fn client() -> aws_sdk_dynamodb::Client {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(CALL).build();
    let config =
        aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts).load().await;
    aws_sdk_dynamodb::Client::new(&config)
}
