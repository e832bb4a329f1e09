#![doc = include_str!("../README.md")]

pub use bluegreen_core::*;

#[cfg(feature = "health")]
pub use bluegreen_health as health;
#[cfg(feature = "items")]
pub use bluegreen_items as items;
#[cfg(feature = "metrics")]
pub use bluegreen_metrics as metrics;
#[cfg(feature = "proxy")]
pub use bluegreen_proxy as proxy;
#[cfg(feature = "queue")]
pub use bluegreen_queue as queue;
#[cfg(feature = "shutdown")]
pub use bluegreen_shutdown as shutdown;
#[cfg(feature = "state")]
pub use bluegreen_state as state;
#[cfg(feature = "traffic")]
pub use bluegreen_traffic as traffic;
