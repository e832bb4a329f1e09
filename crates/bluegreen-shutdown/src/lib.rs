#![doc = include_str!("../README.md")]

mod abandoned;
mod budget;
mod config;
mod driver;
mod error;
mod level;
mod lifecycle;
mod line;
mod report;
mod server;
mod signal;
mod watch;

pub use abandoned::AbandonedRequest;
pub use budget::BudgetWarning;
pub use config::LifecycleConfig;
pub use driver::DriverEnd;
pub use error::{LifecycleError, ServerError};
pub use level::Level;
pub use lifecycle::{Lifecycle, Trigger};
pub use report::{Cause, FinishedDriver, LevelEnd, LevelReport, Outcome, ShutdownReport};
pub use server::{Server, ServerConfig, ServerReport};
pub use signal::Signal;
pub use watch::{DriverWatch, EarlyEnd};
