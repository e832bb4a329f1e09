#![doc = include_str!("../README.md")]

mod address;
mod any;
#[cfg(feature = "dynamodb")]
mod dynamo;
mod files;
mod remembered;

pub use address::{AddressError, StoreAddress};
pub use any::AnyStore;
#[cfg(feature = "dynamodb")]
pub use dynamo::DynamoStore;
pub use files::FileStore;
pub use remembered::RememberedFile;
