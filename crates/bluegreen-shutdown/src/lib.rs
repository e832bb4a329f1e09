#![doc = include_str!("../README.md")]

mod config;
mod driver;
mod error;
mod level;
mod lifecycle;
mod report;
mod server;
mod signal;

pub use config::LifecycleConfig;
pub use driver::DriverEnd;
pub use error::{LifecycleError, ServerError};
pub use level::Level;
pub use lifecycle::{Lifecycle, Trigger};
pub use report::{Cause, LevelEnd, LevelReport, Outcome, ShutdownReport};
pub use server::{Server, ServerConfig, ServerReport};
pub use signal::Signal;
