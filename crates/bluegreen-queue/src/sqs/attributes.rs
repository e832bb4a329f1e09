//! The message attributes that this library writes, beside those of the sender.

use std::collections::HashMap;

use aws_sdk_sqs::types::MessageAttributeValue;

/// Why a message was parked.
pub const REASON: &str = "bluegreen-reason";
/// SQS's identifier of the message before it was passed on or parked.
pub const ORIGINAL_ID: &str = "bluegreen-original-id";
/// How often a message was sent to the other color's queue.
pub const PASSES: &str = "bluegreen-passes";

/// The most attributes of one message (AWS's limit).
const MOST: usize = 10;
/// The most bytes of a reason; the rest is in the log.
const LONGEST_REASON: usize = 512;
/// The largest message, attributes included (AWS's limit).
const LARGEST: usize = 1024 * 1024;

/// The attributes of a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes(HashMap<String, MessageAttributeValue>);

impl Attributes {
    pub(super) fn from_sdk(attributes: Option<HashMap<String, MessageAttributeValue>>) -> Self {
        Self(attributes.unwrap_or_default())
    }

    pub(super) fn into_sdk(self) -> Option<HashMap<String, MessageAttributeValue>> {
        (!self.0.is_empty()).then_some(self.0)
    }

    /// How often the message was passed on.
    pub(crate) fn passes(&self) -> u32 {
        let text = self.0.get(PASSES).and_then(MessageAttributeValue::string_value);
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Whether it was parked or passed on before.
    pub(crate) fn was_sent_elsewhere(&self) -> bool {
        [REASON, ORIGINAL_ID, PASSES].iter().any(|name| self.0.contains_key(*name))
    }

    /// The same for a message of `body` bytes that is passed on once more. Nothing when the
    /// counter does not fit: without it two colors could pass a message to and fro forever. The
    /// reason of an earlier parking makes room.
    pub(crate) fn passed(&self, original: &str, body: usize) -> Option<Self> {
        let mut next = self.clone();
        next.0.remove(REASON);
        let passes = self.passes().saturating_add(1).to_string();
        if !next.put(PASSES, "Number", &passes, body) {
            return None;
        }
        next.keep_original(original, body);
        Some(next)
    }

    /// The same for a message of `body` bytes that is parked. Nothing where the reason does not
    /// fit; the body never suffers. The count of passes makes room: whoever sends the message back
    /// wants it to be tried anew.
    pub(crate) fn parked(&self, reason: &str, original: &str, body: usize) -> Option<Self> {
        let mut next = self.clone();
        next.0.remove(PASSES);
        if !next.put(REASON, "String", &acceptable(reason), body) {
            return None;
        }
        next.keep_original(original, body);
        Some(next)
    }

    /// Whether a body of that many bytes may stand beside these.
    pub(crate) fn leave_room_for(&self, body: usize) -> bool {
        body + self.size() <= LARGEST
    }

    /// Adds an attribute of the application, unless SQS would not take it or the name is ours.
    pub(crate) fn add(&mut self, name: &str, text: &str) -> bool {
        let taken = [REASON, ORIGINAL_ID, PASSES].contains(&name) || self.0.contains_key(name);
        let sane = is_name(name) && !text.is_empty() && text.chars().all(is_accepted);
        sane && !taken && self.put(name, "String", text, 0)
    }

    /// The bytes that count towards the size of a message.
    pub(crate) fn size(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + size(value)).sum()
    }

    fn keep_original(&mut self, original: &str, body: usize) {
        if !self.0.contains_key(ORIGINAL_ID) && !original.is_empty() {
            self.put(ORIGINAL_ID, "String", original, body);
        }
    }

    /// Puts an attribute where it fits.
    fn put(&mut self, name: &str, kind: &str, text: &str, body: usize) -> bool {
        let value = MessageAttributeValue::builder().data_type(kind).string_value(text).build();
        let Ok(value) = value else { return false };
        let old = self.0.get(name).map_or(0, |old| name.len() + size(old));
        let bytes = body + self.size() - old + name.len() + size(&value);
        let room = self.0.len() < MOST || self.0.contains_key(name);
        if !room || bytes > LARGEST {
            return false;
        }
        self.0.insert(name.to_owned(), value);
        true
    }
}

fn size(value: &MessageAttributeValue) -> usize {
    let text = value.string_value().map_or(0, str::len);
    let binary = value.binary_value().map_or(0, |blob| blob.as_ref().len());
    value.data_type().len() + text + binary
}

/// A reason as SQS takes it, in an attribute or around a body; an attribute may not be empty either.
pub(crate) fn acceptable(reason: &str) -> String {
    let mut reason: String = reason.chars().filter(|char| is_accepted(*char)).collect();
    reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
    if reason.is_empty() { "without a reason".to_owned() } else { reason }
}

/// Whether SQS takes an attribute of this name.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let lower = name.to_ascii_lowercase();
    (1..=256).contains(&name.len())
        && name.bytes().all(plain)
        && !(lower.starts_with("aws.") || lower.starts_with("amazon."))
        && !(name.starts_with('.') || name.ends_with('.') || name.contains(".."))
}

/// The characters that SQS accepts in a text.
const fn is_accepted(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(count: usize) -> Attributes {
        let value = || MessageAttributeValue::builder().data_type("String").string_value("v");
        let entries = (0..count).map(|n| (format!("a{n}"), value().build().unwrap()));
        Attributes(entries.collect())
    }

    fn names(attributes: &Attributes) -> Vec<&str> {
        let ours = [REASON, ORIGINAL_ID, PASSES];
        ours.into_iter().filter(|name| attributes.0.contains_key(*name)).collect()
    }

    #[test]
    fn what_does_not_fit_beside_the_senders_attributes_is_left_out_in_order() {
        // the sender's attributes → ours when parked, when passed on
        let table = [
            (8, Some(vec![REASON, ORIGINAL_ID]), Some(vec![ORIGINAL_ID, PASSES])),
            (9, Some(vec![REASON]), Some(vec![PASSES])),
            (10, None, None),
        ];
        for (count, parked, passed) in table {
            let found = with(count).parked("why", "id", 1);
            assert_eq!(found.as_ref().map(names), parked, "{count}");
            assert_eq!(with(count).passed("id", 1).as_ref().map(names), passed, "{count}");
        }
        assert!(with(0).parked("why", "id", LARGEST).is_none());
        assert!(with(0).leave_room_for(LARGEST) && !with(1).leave_room_for(LARGEST));
    }

    #[test]
    fn passes_are_counted_and_the_first_identifier_stays() {
        let twice = with(1).passed("first", 1).unwrap().passed("second", 1).unwrap();
        assert_eq!(twice.passes(), 2);
        assert_eq!(twice.0[ORIGINAL_ID].string_value(), Some("first"));
    }

    #[test]
    fn an_attribute_that_sqs_would_refuse_is_refused_before() {
        let mut attributes = Attributes::default();
        for (name, text) in [
            ("", "v"),
            ("a b", "v"),
            ("AWS.x", "v"),
            ("amazon.x", "v"),
            (".a", "v"),
            ("a..b", "v"),
            (REASON, "v"),
            (PASSES, "1"),
            ("empty", ""),
            ("control", "\u{1}"),
            (&"n".repeat(257), "v"),
        ] {
            assert!(!attributes.add(name, text), "{name:?} {text:?}");
        }
        assert!((0..10).all(|n| attributes.add(&format!("a-{n}.x_y"), "v")));
        assert!(!attributes.add("a-0.x_y", "v") && !attributes.add("eleventh", "v"));
    }

    #[test]
    fn a_reason_has_only_what_sqs_accepts() {
        let parked = with(0).parked(&format!("\u{0}a\u{1b}b{}", "ä".repeat(400)), "id", 1);
        let parked = parked.unwrap();
        let reason = parked.0[REASON].string_value().unwrap();
        assert!(reason.starts_with("abä") && reason.len() <= LONGEST_REASON, "{reason}");
    }
}
