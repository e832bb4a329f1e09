#![doc = include_str!("../README.md")]

mod amount;
mod batch;
mod bucket;
mod budget;
mod collector;
mod config;
mod cost;
mod counter;
mod dashboard;
mod dimension_set;
mod dimensions;
mod distribution;
mod emf;
mod error;
#[cfg(feature = "error-events")]
mod error_events;
mod flusher;
mod gauge;
mod histogram;
pub mod http;
mod metrics;
mod pending;
mod point;
mod publisher;
mod put;
mod reader;
mod recorder;
mod registry;
mod requests;
mod series;
mod shard;
mod sink;
mod slot;
mod stats;
mod timer;
mod unit;
mod watched;
mod window;

pub use self::config::{MetricsConfig, OnUnknown, Resolution};
pub use self::cost::Cost;
pub use self::counter::Counter;
pub use self::dashboard::{Dashboard, Statistic};
pub use self::dimension_set::DimensionSet;
pub use self::distribution::Distribution;
pub use self::error::MetricsError;
#[cfg(feature = "error-events")]
pub use self::error_events::ErrorEvents;
pub use self::gauge::Gauge;
pub use self::http::RequestMetricsLayer;
pub use self::metrics::Metrics;
pub use self::publisher::{PublishReport, Publisher};
pub use self::reader::{ReadError, Reader, ReaderConfig};
pub use self::recorder::Recorder;
pub use self::stats::{Dropped, FailedSends, Stats};
pub use self::timer::{TimeUnit, Timer, Timing};
pub use self::unit::Unit;
