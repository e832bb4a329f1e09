//! The MD5 digests by which SDKs check what arrived, and the hash of content-based deduplication.

use std::collections::BTreeMap;

use md5::{Digest, Md5};

use super::message::{Attribute, Value};

pub(super) fn of_body(body: &str) -> String {
    hex(&Md5::digest(body.as_bytes()))
}

/// Over the attributes in the order of their names, each part with its length before it; `None`
/// where there are none.
pub(super) fn of_attributes<'a>(
    attributes: impl IntoIterator<Item = (&'a String, &'a Attribute)>,
) -> Option<String> {
    const TEXT: u8 = 1;
    const BINARY: u8 = 2;
    // Sorted again here, because a caller may have picked some out in any order.
    let sorted: BTreeMap<_, _> = attributes.into_iter().collect();
    if sorted.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    let mut part = |bytes: &[u8], kind: Option<u8>| {
        if let Some(kind) = kind {
            digest.update([kind]);
        }
        // No attribute comes near 4 GiB: messages end at 1 MiB.
        digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        digest.update(bytes);
    };
    for (name, attribute) in sorted {
        part(name.as_bytes(), None);
        part(attribute.data_type.as_bytes(), None);
        match &attribute.value {
            Value::Text(text) => part(text.as_bytes(), Some(TEXT)),
            Value::Binary(bytes) => part(bytes, Some(BINARY)),
        }
    }
    Some(hex(&digest.finalize()))
}

/// The deduplication id of a message on a queue with content-based deduplication.
pub(super) fn deduplication_id(body: &str) -> String {
    hex(&sha2::Sha256::digest(body.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_body_is_plain_md5() {
        assert_eq!(of_body("This is a test message"), "fafb00f5732ab283681e124bf8747ed1");
    }

    /// The reference value comes from the test suite of AWS's SDK for Python's peers (moto).
    #[test]
    fn the_digest_of_attributes_is_the_one_sdks_compute() {
        let text = |value: &str| Attribute {
            data_type: "String".to_owned(),
            value: Value::Text(value.to_owned()),
        };
        let timestamp = Attribute {
            data_type: "Number".to_owned(),
            value: Value::Text("1493147359900".to_owned()),
        };
        let attributes = BTreeMap::from([("timestamp".to_owned(), timestamp)]);
        assert_eq!(of_attributes(&attributes).as_deref(), Some("235c5c510d26fb653d073faed50ae77c"));
        assert_eq!(of_attributes(&BTreeMap::new()), None);
        let other = BTreeMap::from([("timestamp".to_owned(), text("1493147359900"))]);
        assert_ne!(of_attributes(&attributes), of_attributes(&other));
    }

    #[test]
    fn the_deduplication_id_is_the_sha_256_of_the_body() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(deduplication_id("abc"), expected);
    }
}
