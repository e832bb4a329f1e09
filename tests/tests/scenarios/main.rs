//! Scenarios across the crates.

mod client;
mod orders_copied;
mod orders_flow;
mod orders_stop;
mod rollback_strands_nothing;
