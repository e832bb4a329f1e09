//! Scenarios across the crates: see `tests/scenarios`.
