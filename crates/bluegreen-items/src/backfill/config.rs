use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::checkpoint::MOST_SEGMENTS;
use crate::{Attributes, ConfigError, Key, RetryPolicy, Table};

const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) type Selection = Arc<dyn Fn(&Attributes) -> bool + Send + Sync>;

/// How a [`Backfill`](super::Backfill) goes through its table.
#[derive(Clone)]
#[non_exhaustive]
pub struct BackfillConfig {
    /// Into how many segments the scan is split, each read at the same time: 1 to 1000, and to 100
    /// with a checkpoint, which has room for the keys of so many. A backfill that is resumed keeps
    /// the number it began with. Default: 4.
    pub segments: u32,
    /// How many items of each segment are written at a time: 1 to 1000. Default: 8.
    pub parallel: usize,
    /// How many items a call of the scan asks for: 1 to 10000; DynamoDB answers 1 MB at most.
    /// Default: 200.
    pub page: u32,
    /// How many read units may be consumed a second: 0.001 or more. Default: no limit.
    pub read_capacity: Option<f64>,
    /// How many write units may be consumed a second: 0.001 or more. Default: no limit.
    pub write_capacity: Option<f64>,
    /// The item that remembers how far the backfill has come, in this or in another table, so that
    /// it is resumed and not begun anew. It is deleted at the end. Default: none.
    pub checkpoint: Option<(Table, Key)>,
    /// The longest time between two writes of it while pages are finished: up to a day. Default: 5
    /// seconds.
    pub checkpoint_interval: Duration,
    /// How many items may fail in one run: one more ends it with
    /// [`BackfillError::TooManyFailures`](super::BackfillError::TooManyFailures). A dry run counts
    /// them all. Default: 100, which the report names.
    pub max_failures: u64,
    /// Whether to write. Default: yes.
    pub writing: Writing,
    /// What becomes of calls that fail, on top of the SDK client's own retries; its budget is above
    /// zero and up to a day. Default: [`RetryPolicy::default`].
    pub retry: RetryPolicy,
    selection: Option<Selection>,
}

/// Whether a backfill writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Writing {
    /// It does.
    #[default]
    Items,
    /// It reads and converts everything, counts what it would write and what would fail, and
    /// writes nothing, no checkpoint either.
    Nothing,
}

impl Default for BackfillConfig {
    fn default() -> Self {
        Self {
            segments: 4,
            parallel: 8,
            page: 200,
            read_capacity: None,
            write_capacity: None,
            checkpoint: None,
            checkpoint_interval: Duration::from_secs(5),
            max_failures: 100,
            writing: Writing::Items,
            retry: RetryPolicy::default(),
            selection: None,
        }
    }
}

impl BackfillConfig {
    /// The scan is split into so many segments.
    #[must_use]
    pub const fn with_segments(mut self, segments: u32) -> Self {
        self.segments = segments;
        self
    }

    /// So many items of each segment are written at a time.
    #[must_use]
    pub const fn with_parallel(mut self, items: usize) -> Self {
        self.parallel = items;
        self
    }

    /// A call of the scan asks for so many items.
    #[must_use]
    pub const fn with_page(mut self, items: u32) -> Self {
        self.page = items;
        self
    }

    /// So many read units are consumed a second at most.
    #[must_use]
    pub const fn with_read_capacity(mut self, units: f64) -> Self {
        self.read_capacity = Some(units);
        self
    }

    /// So many write units are consumed a second at most.
    #[must_use]
    pub const fn with_write_capacity(mut self, units: f64) -> Self {
        self.write_capacity = Some(units);
        self
    }

    /// This item remembers how far the backfill has come.
    #[must_use]
    pub fn with_checkpoint(mut self, table: Table, key: Key) -> Self {
        self.checkpoint = Some((table, key));
        self
    }

    /// So much time lies at most between two checkpoints.
    #[must_use]
    pub const fn with_checkpoint_interval(mut self, interval: Duration) -> Self {
        self.checkpoint_interval = interval;
        self
    }

    /// So many items may fail.
    #[must_use]
    pub const fn with_max_failures(mut self, items: u64) -> Self {
        self.max_failures = items;
        self
    }

    /// Nothing is written.
    #[must_use]
    pub const fn dry_run(mut self) -> Self {
        self.writing = Writing::Nothing;
        self
    }

    /// This becomes of calls that fail.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Only items that this says yes to, by all of their attributes as they are stored: those of
    /// one kind in a table of many.
    #[must_use]
    pub fn with_only(
        mut self,
        selection: impl Fn(&Attributes) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.selection = Some(Arc::new(selection));
        self
    }

    pub(super) fn selects(&self, item: &Attributes) -> bool {
        self.selection.as_ref().is_none_or(|selection| selection(item))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |field, found: &dyn fmt::Display, reason| {
            Err(ConfigError::new(field, &found.to_string(), reason))
        };
        if !(1..=1000).contains(&self.segments) {
            return wrong("segments", &self.segments, "is not 1 to 1000");
        }
        if self.checkpoint.is_some() && self.segments > MOST_SEGMENTS {
            return wrong(
                "segments",
                &self.segments,
                "is more than a checkpoint has room for: 100",
            );
        }
        if !(1..=1000).contains(&self.parallel) {
            return wrong("parallel", &self.parallel, "is not 1 to 1000");
        }
        if !(1..=10_000).contains(&self.page) {
            return wrong("page", &self.page, "is not 1 to 10000");
        }
        let rates =
            [("read_capacity", self.read_capacity), ("write_capacity", self.write_capacity)];
        for (field, rate) in rates {
            if let Some(rate) = rate
                && !(rate.is_finite() && rate >= 0.001)
            {
                return wrong(field, &rate, "is not a number of 0.001 or more");
            }
        }
        let interval = self.checkpoint_interval;
        if interval > A_DAY {
            return wrong("checkpoint_interval", &format_args!("{interval:?}"), "is above a day");
        }
        let budget = self.retry.budget();
        if budget.is_zero() || budget > A_DAY {
            let reason = "is not above zero and up to a day";
            return wrong("budget of retry", &format_args!("{budget:?}"), reason);
        }
        if let Some((table, key)) = &self.checkpoint
            && let Err(error) = key.to_attributes(&table.config.names)
        {
            return Err(ConfigError::new("checkpoint", &error.to_string(), "is no key"));
        }
        Ok(())
    }
}

impl fmt::Debug for BackfillConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackfillConfig")
            .field("segments", &self.segments)
            .field("parallel", &self.parallel)
            .field("page", &self.page)
            .field("read_capacity", &self.read_capacity)
            .field("write_capacity", &self.write_capacity)
            .field("checkpoint", &self.checkpoint.as_ref().map(|(_, key)| key))
            .field("writing", &self.writing)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_field_is_named_with_its_value() {
        let config = BackfillConfig::default;
        let cases = [
            (config().with_segments(0), "segments \"0\" is not 1 to 1000"),
            (config().with_parallel(0), "parallel \"0\" is not 1 to 1000"),
            (config().with_page(0), "page \"0\" is not 1 to 10000"),
            (
                config().with_read_capacity(0.0),
                "read_capacity \"0\" is not a number of 0.001 or more",
            ),
            (
                config().with_write_capacity(f64::NAN),
                "write_capacity \"NaN\" is not a number of 0.001 or more",
            ),
            (
                config().with_checkpoint_interval(Duration::MAX),
                "checkpoint_interval \"18446744073709551615.999999999s\" is above a day",
            ),
            (
                config().with_retry(RetryPolicy::default().with_budget(Duration::MAX)),
                "budget of retry \"18446744073709551615.999999999s\" is not above zero and up to \
                 a day",
            ),
        ];
        for (config, expected) in cases {
            assert_eq!(config.check().unwrap_err().to_string(), expected);
        }
        assert!(config().check().is_ok());
    }
}
