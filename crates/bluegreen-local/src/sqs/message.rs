//! A message, and the checks it has to pass.

use std::collections::BTreeMap;

use aws_smithy_types::base64;

use super::errors::{Kind, Result, SqsError};
use super::protocol::AttributeValue;

/// What a sender put on the queue, and what the queue wrote on it.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) body: String,
    pub(super) md5_of_body: String,
    pub(super) attributes: BTreeMap<String, Attribute>,
    pub(super) trace_header: Option<String>,
    pub(super) group: Option<String>,
    pub(super) deduplication_id: Option<String>,
    pub(super) sequence_number: Option<String>,
    pub(super) sender: String,
    pub(super) sent_millis: u64,
    /// The queue it died on, once on a dead-letter queue.
    pub(super) died_on: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) data_type: String,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Binary(Vec<u8>),
}

impl Attribute {
    fn len(&self) -> usize {
        let value = match &self.value {
            Value::Text(text) => text.len(),
            Value::Binary(bytes) => bytes.len(),
        };
        self.data_type.len() + value
    }

    pub(super) fn to_wire(&self) -> AttributeValue {
        let (string_value, binary_value) = match &self.value {
            Value::Text(text) => (Some(text.clone()), None),
            Value::Binary(bytes) => (None, Some(base64::encode(bytes))),
        };
        AttributeValue { data_type: self.data_type.clone(), string_value, binary_value }
    }
}

/// A random message id, in the form of a version 4 UUID.
pub(super) fn new_id() -> String {
    let random = fastrand::u128(..);
    let version_and_variant = (random & !(0xf000_c000 << 48)) | (0x4000_8000 << 48);
    let hex = format!("{version_and_variant:032x}");
    let parts = [hex.get(..8), hex.get(8..12), hex.get(12..16), hex.get(16..20), hex.get(20..)];
    parts.map(Option::unwrap_or_default).join("-")
}

/// The bytes that count against the size limit: body, attribute names, types and values.
pub(super) fn size(body: &str, attributes: &BTreeMap<String, Attribute>) -> usize {
    let attributes: usize = attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
    body.len() + attributes
}

/// Refuses an empty body and characters outside `#x9 | #xA | #xD | #x20-#xD7FF | #xE000-#xFFFD |
/// #x10000-#x10FFFF`.
pub(super) fn check_body(body: Option<&str>) -> Result<&str> {
    let body = body.filter(|body| !body.is_empty());
    let body = body.ok_or_else(|| SqsError::missing("MessageBody"))?;
    if body.chars().all(is_allowed) {
        return Ok(body);
    }
    let message = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | \
                   #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF";
    Err(SqsError::new(Kind::InvalidMessageContents, message))
}

const fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

const MAX_ATTRIBUTES: usize = 10;

pub(super) fn check_attributes(
    given: &BTreeMap<String, AttributeValue>,
) -> Result<BTreeMap<String, Attribute>> {
    if given.len() > MAX_ATTRIBUTES {
        let message = format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].",
            given.len()
        );
        return Err(SqsError::new(Kind::InvalidParameterValue, message));
    }
    given.iter().map(|(name, value)| Ok((name.clone(), check_attribute(name, value)?))).collect()
}

fn check_attribute(name: &str, given: &AttributeValue) -> Result<Attribute> {
    if !is_attribute_name(name) {
        let message = format!("The message attribute name '{name}' is invalid.");
        return Err(SqsError::new(Kind::InvalidParameterValue, message));
    }
    let refuse = |what: &str| {
        let message = format!("The message attribute '{name}' {what}");
        Err(SqsError::new(Kind::InvalidParameterValue, message))
    };
    let data_type = given.data_type.as_str();
    if data_type.len() > 256 {
        return refuse("has a type that is longer than 256 bytes.");
    }
    // A type may carry a label of the user's own: `Number.int`.
    let logical = data_type.split_once('.').map_or(data_type, |(logical, _)| logical);
    let value = match (logical, &given.string_value, &given.binary_value) {
        ("String" | "Number", Some(text), None) if !text.is_empty() => {
            if !text.chars().all(is_allowed) {
                return refuse("contains characters that are not allowed.");
            }
            if logical == "Number" && !is_number(text) {
                return refuse("must be a number, as its type says.");
            }
            Value::Text(text.clone())
        }
        ("Binary", None, Some(text)) if !text.is_empty() => match base64::decode(text) {
            Ok(bytes) => Value::Binary(bytes),
            Err(_) => return refuse("is not valid base64."),
        },
        ("String" | "Number" | "Binary", ..) => {
            return refuse(&format!("must contain a non-empty value of its type, {data_type}."));
        }
        _ => {
            return refuse(
                "has an invalid type, the supported types are Binary, Number, and String.",
            );
        }
    };
    Ok(Attribute { data_type: data_type.to_owned(), value })
}

/// Up to 38 digits, as AWS takes.
fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite)
        && text.bytes().filter(u8::is_ascii_digit).count() <= 38
}

fn is_attribute_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let lower = name.to_ascii_lowercase();
    (1..=256).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
        && !lower.starts_with("aws.")
        && !lower.starts_with("amazon.")
}

/// The one system attribute that senders may set.
pub(super) fn check_system_attributes(
    given: &BTreeMap<String, AttributeValue>,
) -> Result<BTreeMap<String, Attribute>> {
    const TRACE_HEADER: &str = "AWSTraceHeader";
    if let Some(name) = given.keys().find(|name| *name != TRACE_HEADER) {
        let message = format!("Message system attribute name '{name}' is invalid.");
        return Err(SqsError::new(Kind::InvalidParameterValue, message));
    }
    given.iter().map(|(name, value)| Ok((name.clone(), check_attribute(name, value)?))).collect()
}

/// A group or deduplication id: 1 to 128 letters, digits and punctuation.
pub(super) fn check_fifo_id<'a>(parameter: &str, id: &'a str) -> Result<&'a str> {
    if (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(id);
    }
    let reason = format!(
        "{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length."
    );
    Err(SqsError::invalid(parameter, id, &reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_characters_of_xml_pass() {
        for body in ["a", "tab\tline\nreturn\r", "日本語 🦀", "\u{FFFD}", "\u{7f}"] {
            assert_eq!(check_body(Some(body)), Ok(body));
        }
        for body in ["\u{0}", "a\u{b}", "\u{1f}", "\u{FFFE}", "\u{FFFF}"] {
            let kind = check_body(Some(body)).unwrap_err().kind;
            assert_eq!(kind, Kind::InvalidMessageContents, "{body:?}");
        }
        assert_eq!(check_body(None).unwrap_err().kind, Kind::MissingParameter);
        assert_eq!(check_body(Some("")).unwrap_err().kind, Kind::MissingParameter);
    }

    #[test]
    fn attributes_are_checked_by_name_type_and_value() {
        let value = |data_type: &str, text: Option<&str>, binary: Option<&str>| AttributeValue {
            data_type: data_type.to_owned(),
            string_value: text.map(str::to_owned),
            binary_value: binary.map(str::to_owned),
        };
        let cases = [
            ("color", value("String", Some("blue"), None), true),
            ("a-b_c.d1", value("Number.int", Some("-1.5e3"), None), true),
            ("bytes", value("Binary.gzip", None, Some("AAEC")), true),
            ("color", value("String", Some(""), None), false),
            ("color", value("String", None, Some("AAEC")), false),
            ("color", value("Number", Some("one"), None), false),
            ("color", value("Binary", None, Some("?")), false),
            ("color", value("Bool", Some("true"), None), false),
            ("color", value("", Some("blue"), None), false),
            ("aws.color", value("String", Some("blue"), None), false),
            ("Amazon.color", value("String", Some("blue"), None), false),
            (".color", value("String", Some("blue"), None), false),
            ("co..lor", value("String", Some("blue"), None), false),
            ("co lor", value("String", Some("blue"), None), false),
            ("", value("String", Some("blue"), None), false),
        ];
        for (name, value, allowed) in cases {
            assert_eq!(check_attribute(name, &value).is_ok(), allowed, "{name:?} {value:?}");
        }
    }

    #[test]
    fn a_message_id_looks_like_a_version_4_uuid() {
        let id = new_id();
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
        assert_eq!(id.as_bytes()[14], b'4', "{id}");
        assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
        assert_ne!(id, new_id());
    }
}
