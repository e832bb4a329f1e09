use std::time::Duration;

use bluegreen_core::{Backoff, Clock, ContractVersion, Stop};

use crate::{AttributeNames, Schema, WriteGate};

pub(crate) const LONGEST_BUDGET: Duration = Duration::from_secs(24 * 60 * 60);

/// How a [`Table`](crate::Table) reads and writes.
///
/// ```
/// # use bluegreen_core::ContractVersion;
/// # use bluegreen_items::{AttributeNames, Schema, TableConfig};
/// let config = TableConfig::default()
///     .with_names(AttributeNames::default().with_partition_key("order_id").without_sort_key())
///     .with_schema(Schema::new("Order", ContractVersion::new(1, 1)));
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TableConfig {
    /// What the keys and the library's own attributes are called. Default: as in the articles.
    pub names: AttributeNames,
    /// What this release reads and writes. Default: version 1.0 of `Item`, without steps.
    ///
    /// A write never lowers the minor version of an item: what the newer release stored is still
    /// in it. It lowers the major version only where the [`gate`](Self::gate) says so, through the
    /// steps of the schema.
    pub schema: Schema,
    /// Decides which version of the schema may be written. Default: none, so that always the
    /// newest is written, whoever may read it.
    pub gate: Option<WriteGate>,
    /// Whether reading an item of an earlier schema version stores it in the one that may be
    /// written. Default: no.
    pub migration: Migration,
    /// What to do with an item of a higher major schema version. Default: refuse it.
    pub newer_schema: NewerSchema,
    /// How many writes of others may come between a write whose reply is lost and its repetition,
    /// so that it is still recognized. Default: 8; 1 to 100.
    ///
    /// An item carries one mark of 12 bytes more than this, which count in its size.
    pub remembered_writes: usize,
    /// The pauses of [`Table::modify`](crate::Table::modify) and its like between tries, with full
    /// jitter. Default: from 10 milliseconds to 1 second.
    pub backoff: Backoff,
    /// How long [`Table::modify`](crate::Table::modify) and its like try in all: above zero, up to a
    /// day. Default: 5 seconds. No try begins after it; the last one has its
    /// [`call_timeout`](Self::call_timeout).
    pub budget: Duration,
    /// How long one call may take, the SDK's own repetitions and pauses included: above zero, up to
    /// a day. Default: 10 seconds, in which the SDK's 3 or 4 tries have room. A write that is cut off
    /// may have been applied. A long time is no danger to one that goes by a client token: the SDK
    /// repeats it no longer than the service remembers the token.
    pub call_timeout: Duration,
    /// When requested, nothing is tried again; at its deadline calls under way are cut off, and none
    /// is made any more. Default: never.
    pub stop: Stop,
    /// How many calls [`Table::save_many`](crate::Table::save_many) and its like have under way at
    /// a time: 1 to 1000. Default: 16.
    pub parallel: usize,
    /// Where the stamps come from, and the age of a client token while the machine is suspended.
    /// Default: the system's clock.
    pub clock: Clock,
}

/// What to do with an item whose major schema version is higher than the release's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NewerSchema {
    /// It is [an error](crate::ItemError::NewerSchema): it may mean something else.
    #[default]
    Refuse,
    /// It is read as if its version were known: right when every change since was an addition.
    Read,
}

/// When an item of an earlier schema version is stored in the one that may be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Migration {
    /// When it is changed, or by a [`Backfill`](crate::Backfill).
    #[default]
    OnWrite,
    /// Also when [`Table::get`](crate::Table::get) finds it with an earlier major version: a second
    /// call, once for each item. It is stored as the steps make it, with the minor version 0; the
    /// next save stores the fields that later ones add. An item that cannot be stored is answered
    /// all the same, and the failure is logged.
    OnRead,
}

impl Default for TableConfig {
    fn default() -> Self {
        let backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
        Self {
            names: AttributeNames::default(),
            schema: Schema::new("Item", ContractVersion::new(1, 0)),
            gate: None,
            migration: Migration::default(),
            newer_schema: NewerSchema::default(),
            remembered_writes: 8,
            backoff: backoff.unwrap_or_default(),
            budget: Duration::from_secs(5),
            call_timeout: Duration::from_secs(10),
            stop: Stop::never(),
            parallel: 16,
            clock: Clock::system(),
        }
    }
}

impl TableConfig {
    /// The attributes are called this.
    #[must_use]
    pub fn with_names(mut self, names: AttributeNames) -> Self {
        self.names = names;
        self
    }

    /// The release reads and writes this.
    #[must_use]
    pub fn with_schema(mut self, schema: Schema) -> Self {
        self.schema = schema;
        self
    }

    /// This decides which version of the schema may be written.
    #[must_use]
    pub fn with_gate(mut self, gate: WriteGate) -> Self {
        self.gate = Some(gate);
        self
    }

    /// Items of earlier schema versions are stored in the present one at this time.
    #[must_use]
    pub const fn with_migration(mut self, migration: Migration) -> Self {
        self.migration = migration;
        self
    }

    /// This is done with items of a higher major schema version.
    #[must_use]
    pub const fn with_newer_schema(mut self, newer: NewerSchema) -> Self {
        self.newer_schema = newer;
        self
    }

    /// So many writes of others may come between a write and its repetition.
    #[must_use]
    pub const fn with_remembered_writes(mut self, writes: usize) -> Self {
        self.remembered_writes = writes;
        self
    }

    /// The pauses between tries are these.
    #[must_use]
    pub const fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Tries take this long in all.
    #[must_use]
    pub const fn with_budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// One call takes this long at most.
    #[must_use]
    pub const fn with_call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// This ends the tries.
    #[must_use]
    pub fn with_stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// So many calls of a batch are under way at a time.
    #[must_use]
    pub const fn with_parallel(mut self, calls: usize) -> Self {
        self.parallel = calls;
        self
    }

    /// The stamps come from this clock.
    #[must_use]
    pub const fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    pub(crate) fn check(&self, table: &str) -> Result<(), ConfigError> {
        // 3 to 255 characters for a name, 1 to 1024 for an ARN.
        if !(1..=1024).contains(&table.len()) {
            return Err(ConfigError::new("table", table, "is no table's name or ARN"));
        }
        if !(1..=100).contains(&self.remembered_writes) {
            let found = self.remembered_writes.to_string();
            return Err(ConfigError::new("remembered_writes", &found, "is not 1 to 100"));
        }
        if !(1..=1000).contains(&self.parallel) {
            let found = self.parallel.to_string();
            return Err(ConfigError::new("parallel", &found, "is not 1 to 1000"));
        }
        for (field, time) in [("budget", self.budget), ("call_timeout", self.call_timeout)] {
            if time.is_zero() || time > LONGEST_BUDGET {
                let found = format!("{time:?}");
                return Err(ConfigError::new(field, &found, "is not above zero and up to a day"));
            }
        }
        if !self.schema.is_named() {
            return Err(ConfigError::new("schema", "", "has no name"));
        }
        self.names.check()
    }
}

/// A [`TableConfig`] cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {value:?} {reason}")]
pub struct ConfigError {
    field: &'static str,
    value: String,
    reason: &'static str,
}

impl ConfigError {
    pub(crate) fn new(field: &'static str, value: &str, reason: &'static str) -> Self {
        Self { field, value: value.to_owned(), reason }
    }

    /// The field that is wrong.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_field_is_named_with_its_value() {
        let names = AttributeNames::default;
        let config = TableConfig::default;
        let cases = [
            (config(), "", "table \"\" is no table's name or ARN"),
            (
                config().with_remembered_writes(0),
                "orders",
                "remembered_writes \"0\" is not 1 to 100",
            ),
            (config().with_parallel(0), "orders", "parallel \"0\" is not 1 to 1000"),
            (
                config().with_schema(Schema::new("", ContractVersion::new(1, 0))),
                "orders",
                "schema \"\" has no name",
            ),
            (
                config().with_budget(Duration::ZERO),
                "orders",
                "budget \"0ns\" is not above zero and up to a day",
            ),
            (
                config().with_budget(Duration::MAX),
                "orders",
                "budget \"18446744073709551615.999999999s\" is not above zero and up to a day",
            ),
            (
                config().with_call_timeout(Duration::ZERO),
                "orders",
                "call_timeout \"0ns\" is not above zero and up to a day",
            ),
            (
                config().with_names(names().with_version("PK")),
                "orders",
                "name of version \"PK\" names two attributes",
            ),
            (
                config().with_names(names().with_sort_key("")),
                "orders",
                "name of sort_key \"\" is not 1 to 255 bytes long",
            ),
        ];
        for (config, table, expected) in cases {
            assert_eq!(config.check(table).unwrap_err().to_string(), expected);
        }
        assert_eq!(config().check("orders"), Ok(()));
    }
}
