use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

/// A random mark that makes one write, or one life of an item, recognizable.
///
/// Twelve bytes: an item carries nine of them, and among nine of 2⁹⁶ no two are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark([u8; 12]);

impl Mark {
    pub(crate) fn random() -> Self {
        Self::new(fastrand::u128(..))
    }

    /// The mark of the lower 96 bits of a number.
    pub(crate) fn new(number: u128) -> Self {
        let [_, _, _, _, mark @ ..] = number.to_be_bytes();
        Self(mark)
    }

    /// The mark as it is stored: binary.
    pub(crate) fn to_attribute(self) -> AttributeValue {
        AttributeValue::B(Blob::new(self.0))
    }

    /// The mark that was stored; nothing for an attribute that is none.
    pub(crate) fn read(attribute: &AttributeValue) -> Option<Self> {
        let bytes = attribute.as_b().ok()?.as_ref();
        bytes.try_into().ok().map(Self)
    }
}
