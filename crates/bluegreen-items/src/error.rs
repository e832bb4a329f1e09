use std::time::Duration;

use bluegreen_core::ContractVersion;

use crate::{HeldBy, Key, RetryClass, StoredItem};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// An item was not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ItemError {
    /// Another write came first; nothing was changed.
    #[error("another write came first{}", by(current))]
    Conflict {
        /// The item as it is now.
        current: Box<StoredItem>,
    },
    /// A condition of an [`Update`](crate::Update) does not hold; nothing was changed.
    #[error("the condition does not hold{}", by(current))]
    ConditionFailed {
        /// The item as it is now.
        current: Box<StoredItem>,
    },
    /// The item has an earlier schema version than the one an [`Update`](crate::Update) speaks of.
    #[error("an update needs schema version {needed}{}", by(current))]
    NotMigrated {
        /// The item as it is now.
        current: Box<StoredItem>,
        /// The version that it should have.
        needed: ContractVersion,
    },
    /// There is no such item, or none any more.
    #[error("the item is not there")]
    Gone,
    /// The item to create is there already.
    #[error("the item exists already{}", by(current))]
    AlreadyExists {
        /// The item as it is now.
        current: Box<StoredItem>,
    },
    /// The item has a major schema version above the one this release knows.
    #[error("the item has schema version {found}, this release knows {known}")]
    NewerSchema {
        /// The version of the item.
        found: ContractVersion,
        /// The version this release knows.
        known: ContractVersion,
    },
    /// The item has a major schema version below all that this release reads.
    #[error("the item has schema version {found}, this release reads from {oldest} on")]
    OlderSchema {
        /// The version of the item.
        found: ContractVersion,
        /// The oldest version that can be read.
        oldest: ContractVersion,
    },
    /// A step between two schema versions cannot convert the item.
    #[error("the item cannot be taken from schema version {from} to {to}")]
    Step {
        /// The major version it has.
        from: u16,
        /// The major version it should get.
        to: u16,
        /// What the step said.
        source: Source,
    },
    /// The step down to the version that may be written would lose something of the item, although
    /// it is declared to lose nothing. Nothing was written.
    #[error("the step from schema version {from} down to {to} would lose {path:?}")]
    Lossy {
        /// The major version of the item.
        from: u16,
        /// The major version it should get.
        to: u16,
        /// What would be lost: `Data.lines[2].price`.
        path: String,
    },
    /// A process that may read the item does not understand any schema version that this release
    /// can write. Nothing was written.
    #[error("schema version {version} may not be written yet, because of {by}")]
    Held {
        /// The version that this call would have to write.
        version: ContractVersion,
        /// Who does not understand it.
        by: HeldBy,
    },
    /// The item, or all items of a transaction together, would be larger than DynamoDB takes.
    #[error("{size} bytes are too many: the limit is {limit}")]
    TooLarge {
        /// The size by DynamoDB's rules, names included; where only the service found it too large,
        /// one byte more than the limit.
        size: usize,
        /// The limit: 400 KB, for a transaction 4 MB.
        limit: usize,
    },
    /// The key does not fit the table.
    #[error("the key {key:?} is wrong: {reason}")]
    InvalidKey {
        /// The key.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The value cannot be turned into attributes.
    #[error("the value cannot be written at {path:?}")]
    Encode {
        /// Where in the value: `Data.lines[2].price`; empty for the whole.
        path: String,
        /// What is wrong there.
        source: Source,
    },
    /// The stored attributes cannot be turned into a value.
    #[error("the item cannot be read at {path:?}")]
    Decode {
        /// Where in the item: `Data.lines[2].price`; empty for the whole.
        path: String,
        /// What is wrong there.
        source: Source,
    },
    /// The service turned the call away because of its rate, after the SDK's own repetitions.
    #[error("the table is throttled")]
    Throttled {
        /// How long the service asks to wait, where it does.
        retry_after: Option<Duration>,
        /// What the service said.
        source: Source,
    },
    /// The service cannot be reached or failed, after the SDK's own repetitions. A write that was
    /// sent may still have happened: saving the same [`Versioned`](crate::Versioned) again finds
    /// out, and does not apply it twice.
    #[error("the table is unavailable")]
    Unavailable {
        /// What kind of failure it is.
        class: RetryClass,
        /// How long the service asks to wait, where it does.
        retry_after: Option<Duration>,
        /// What went wrong on the way.
        source: Source,
    },
    /// The service answers, and will not do it: a permission, a table or the right key is missing.
    #[error("the table refuses the call: {reason}")]
    Misconfigured {
        /// The service's code for it.
        reason: String,
        /// What the service said.
        source: Source,
    },
    /// The service refuses this one item for what is in it: a value that an index cannot take as
    /// its key, a collection of items that is full. Other items are not concerned.
    #[error("the table refuses the item: {reason}")]
    Refused {
        /// What the service says is wrong with it.
        reason: String,
        /// The service's whole answer.
        source: Source,
    },
    /// The [`Transaction`](crate::Transaction) that was to write the item with others was not
    /// applied. The value keeps its change: another save writes it alone.
    #[error("the transaction that was to write the item was not applied")]
    NotCommitted {
        /// The items that stood in the way, where that is known.
        keys: Vec<Key>,
    },
    /// The process [stops](crate::TableConfig::stop), and nothing more is tried. Nothing was written;
    /// where a write was under way the error is [`OutcomeUnknown`](Self::OutcomeUnknown) instead.
    #[error("the call was given up because the process stops")]
    Stopped,
    /// Whether the write happened can no longer be told: its reply was lost, and others have
    /// written so often since that the item does not remember it, or the item is not there or is
    /// another, or the service did not answer the question in time. It was applied once or not at
    /// all.
    ///
    /// To go on, read the item and decide by what is in it. Where nobody deletes such items, one
    /// that is not there was not created.
    #[error("whether the write happened can no longer be told")]
    OutcomeUnknown,
}

impl ItemError {
    /// Whether the same call may succeed later without anybody's doing.
    ///
    /// Not so for a conflict: it needs a new look at the item, as
    /// [`Table::modify`](crate::Table::modify) takes it.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unavailable { .. })
    }

    /// The item as it is now, when another write was the reason.
    #[must_use]
    pub fn current(&self) -> Option<&StoredItem> {
        match self {
            Self::Conflict { current }
            | Self::AlreadyExists { current }
            | Self::ConditionFailed { current }
            | Self::NotMigrated { current, .. } => Some(current),
            _ => None,
        }
    }

    /// No answer for a reason that passes, without a word of the service.
    pub(crate) fn unanswered(source: impl Into<Source>) -> Self {
        Self::Unavailable { class: RetryClass::Transient, retry_after: None, source: source.into() }
    }

    pub(crate) fn decode(path: &str, source: impl Into<Source>) -> Self {
        Self::Decode { path: path.to_owned(), source: source.into() }
    }

    pub(crate) fn encode(path: &str, source: impl Into<Source>) -> Self {
        Self::Encode { path: path.to_owned(), source: source.into() }
    }

    /// Whether it tells nothing about an earlier send of the same write: the service said no before
    /// it did anything, or did not answer.
    pub(crate) const fn leaves_open(&self) -> bool {
        self.is_retryable()
            || matches!(
                self,
                Self::Misconfigured { .. }
                    | Self::Refused { .. }
                    | Self::TooLarge { .. }
                    | Self::Stopped
            )
    }
}

/// Who wrote the item last, as far as it says so.
fn by(current: &StoredItem) -> String {
    let version = current.version().map(|version| format!(": the item is at version {version}"));
    let color = current.environment().map(|color| format!(", written by {color}"));
    version.unwrap_or_default() + &color.unwrap_or_default()
}
