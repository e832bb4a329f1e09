//! The atomics that loom replaces when it checks the files that use them.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
