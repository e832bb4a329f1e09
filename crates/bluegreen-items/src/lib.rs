#![doc = include_str!("../README.md")]

mod alike;
mod attempts;
mod backfill;
mod batch;
mod config;
mod counters;
mod dynamo;
mod error;
mod expression;
mod fit;
mod gate;
mod key;
mod mark;
mod merge;
mod modify;
mod names;
mod number;
mod retry;
mod schema;
mod sends;
mod size;
mod storable;
mod stored;
mod table;
mod transaction;
mod tries;
mod ttl;
mod update;
mod upsert;
mod validity;
mod verdict;
mod versioned;
mod view;
mod write;

pub use backfill::{
    Backfill, BackfillConfig, BackfillError, BackfillFailure, BackfillHandle, BackfillReport,
    EarlierFailure, Ending, Progress, Writing,
};
pub use config::{ConfigError, Migration, NewerSchema, TableConfig};
pub use error::ItemError;
pub use gate::{HeldBy, Unannounced, WriteGate, WrittenSchema};
pub use key::{Key, KeyValue};
pub use names::AttributeNames;
pub use retry::{Classify, Failed, GaveUp, RetryClass, RetryCounts, RetryPolicy};
pub use schema::{Schema, SchemaBuilder, SchemaError, Step, StepError, typed};
pub use stored::{Attributes, StoredItem};
pub use table::{Saved, Table};
pub use transaction::{Refusal, Transaction, TransactionError};
pub use ttl::Ttl;
pub use update::Update;
pub use upsert::Upserted;
pub use versioned::Versioned;
