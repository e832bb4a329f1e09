//! Scenarios across the crates.

mod client;
mod items_follow_a_release;
mod orders_copied;
mod orders_flow;
mod orders_stop;
mod queue_soak;
mod releases_in_both_queue_modes;
mod rollback_strands_nothing;
