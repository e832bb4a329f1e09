use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

/// A random mark that makes one write, or one life of an item, recognizable.
///
/// Twelve bytes: an item carries nine of them, and among nine of 2⁹⁶ no two are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark([u8; LENGTH]);

const LENGTH: usize = 12;

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

    /// Several marks as they are stored: one binary, so that they are one value to copy and to send.
    pub(crate) fn all_to_attribute<'a>(marks: impl Iterator<Item = &'a Self>) -> AttributeValue {
        AttributeValue::B(Blob::new(marks.flat_map(|mark| mark.0).collect::<Vec<u8>>()))
    }

    /// The mark that was stored; nothing for an attribute that is none.
    pub(crate) fn read(attribute: &AttributeValue) -> Option<Self> {
        let bytes = attribute.as_b().ok()?.as_ref();
        bytes.try_into().ok().map(Self)
    }

    /// The marks that were stored; none for an attribute that holds something else.
    pub(crate) fn read_all(attribute: &AttributeValue) -> Vec<Self> {
        let bytes = attribute.as_b().map(AsRef::as_ref).unwrap_or_default();
        match bytes.as_chunks() {
            (marks, []) => marks.iter().copied().map(Self).collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_were_stored_and_anything_else_is_none() {
        for count in [0, 1, 9, 101] {
            let marks: Vec<_> = (0..count).map(Mark::new).collect();
            assert_eq!(Mark::read_all(&Mark::all_to_attribute(marks.iter())), marks);
        }
        let others = [
            AttributeValue::B(Blob::new([7; 13])),
            AttributeValue::S("a".repeat(LENGTH)),
            AttributeValue::L(vec![Mark::new(7).to_attribute()]),
        ];
        assert!(others.iter().all(|other| Mark::read_all(other).is_empty()));
    }
}
