#![doc = include_str!("../README.md")]

mod answer;
mod body;
mod check;
mod config;
mod connect;
mod driver;
mod error;
mod forward;
mod headers;
mod lanes;
mod peer;
mod pool;
mod proxy;
mod split;
mod stats;
mod target;
mod upstream_form;

pub use body::{ProxyBody, ProxyBodyError};
pub use config::ProxyConfig;
pub use driver::{ProxyDriver, ProxyReport};
pub use error::{CheckError, CheckFailure, DrainError, ProxyError};
pub use peer::Peer;
pub use proxy::Proxy;
pub use stats::{ColorStats, Stats};
