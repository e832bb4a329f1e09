//! Scenarios across the crates: see `tests/scenarios`. Here are the long fault runs, of which the
//! scenarios hold a smaller cut each.

pub mod soak;
