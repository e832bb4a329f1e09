//! A whole blue/green flow, played on one machine. Its parts serve the scenario tests as well.

pub mod arguments;
pub mod ledger;
pub mod load;
pub mod play;
pub mod progress;
pub mod shifting;
pub mod stage;
pub mod summary;
pub mod tasks;
