//! The public behavior of the crate, through the SDK's real client.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails; clippy looks for `#[test]` and misses its helpers"
)]

mod author;
mod backfill;
mod backfill_failures;
mod backfill_releases;
mod batches;
mod call_by_call;
mod canned;
mod contended;
#[cfg(feature = "metrics")]
mod counters;
mod elsewhere;
mod interleavings;
mod keys;
mod lost_replies;
mod operations;
mod patience;
mod refusals;
mod releases;
mod repetitions;
mod retries;
mod seven_ways;
mod shared_items;
mod shop;
mod transactions;
mod unknown_readers;
mod updates;
