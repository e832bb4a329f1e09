use bluegreen_core::ContractVersion;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One version of one type of message: what stands in an envelope's `payload`.
///
/// Versions of a type that differ in the major are different Rust types with the same
/// [`TYPE`](Self::TYPE). A higher minor only adds fields, so a reader should give every field that
/// was added after `x.0` a default, and must not deny fields that it does not know.
///
/// ```
/// use bluegreen_core::ContractVersion;
/// use bluegreen_queue::Message;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct OrderPlaced {
///     order: String,
///     #[serde(default)]
///     gift: bool, // added in 1.1
/// }
///
/// impl Message for OrderPlaced {
///     const TYPE: &str = "OrderPlaced";
///     const VERSION: ContractVersion = ContractVersion::new(1, 1);
/// }
/// ```
pub trait Message: Serialize + DeserializeOwned + Send + 'static {
    /// The name that all versions of this message share.
    const TYPE: &'static str;
    /// The version that this Rust type writes, and the major it reads.
    const VERSION: ContractVersion;
}
