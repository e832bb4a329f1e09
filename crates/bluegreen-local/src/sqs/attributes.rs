//! The attributes of a queue: how they are read, checked and shown.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::errors::{Kind, Result, SqsError};

/// What a queue was configured with. Attributes that change nothing here (encryption, policies)
/// are kept as they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QueueConfig {
    pub(super) delay: Duration,
    pub(super) maximum_message_size: usize,
    pub(super) retention: Duration,
    pub(super) receive_wait: Duration,
    pub(super) visibility: Duration,
    pub(super) redrive: Option<Redrive>,
    pub(super) content_based_deduplication: bool,
    pub(super) deduplicates_by_group: bool,
    kept: BTreeMap<&'static str, String>,
}

/// Where a message goes that was received too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Redrive {
    pub(super) target: String,
    pub(super) max_receives: u32,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            maximum_message_size: 262_144,
            retention: Duration::from_secs(345_600),
            receive_wait: Duration::ZERO,
            visibility: Duration::from_secs(30),
            redrive: None,
            content_based_deduplication: false,
            deduplicates_by_group: false,
            kept: BTreeMap::new(),
        }
    }
}

const KEPT: [&str; 7] = [
    "DeduplicationScope",
    "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "Policy",
    "RedriveAllowPolicy",
    "SqsManagedSseEnabled",
];

/// The attributes that a queue shows but nobody sets.
const READ_ONLY: [&str; 7] = [
    "All",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

const SETTABLE: [&str; 8] = [
    "ContentBasedDeduplication",
    "DelaySeconds",
    "FifoQueue",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "RedrivePolicy",
    "VisibilityTimeout",
];

/// Refuses names that no queue has.
pub(super) fn check_names(names: &[String]) -> Result<()> {
    let known = |name: &&String| {
        KEPT.iter().chain(&READ_ONLY).chain(&SETTABLE).any(|known| *known == name.as_str())
    };
    match names.iter().find(|name| !known(name)) {
        None => Ok(()),
        Some(name) => Err(unknown(name)),
    }
}

impl QueueConfig {
    /// The same with these attributes set.
    pub(super) fn with(
        mut self,
        attributes: &BTreeMap<String, String>,
        fifo: bool,
    ) -> Result<Self> {
        for (name, value) in attributes {
            self.set(name, value, fifo)?;
        }
        Ok(self)
    }

    fn set(&mut self, name: &str, value: &str, fifo: bool) -> Result<()> {
        match name {
            "DelaySeconds" => self.delay = seconds(name, value, 0, 900)?,
            "MaximumMessageSize" => {
                let bytes = number(name, value, 1_024, 1_048_576)?;
                self.maximum_message_size = usize::try_from(bytes).unwrap_or(usize::MAX);
            }
            "MessageRetentionPeriod" => self.retention = seconds(name, value, 60, 1_209_600)?,
            "ReceiveMessageWaitTimeSeconds" => self.receive_wait = seconds(name, value, 0, 20)?,
            "VisibilityTimeout" => self.visibility = seconds(name, value, 0, 43_200)?,
            "RedrivePolicy" => self.redrive = redrive(value)?,
            "FifoQueue" if fifo && value == "true" => {}
            "ContentBasedDeduplication" if fifo => {
                self.content_based_deduplication = boolean(name, value)?;
            }
            "DeduplicationScope" if fifo => {
                self.deduplicates_by_group = match value {
                    "messageGroup" => true,
                    "queue" => false,
                    _ => return Err(invalid(name)),
                };
                self.keep(name, value);
            }
            "FifoThroughputLimit" if fifo => {
                if !matches!(value, "perQueue" | "perMessageGroupId") {
                    return Err(invalid(name));
                }
                self.keep(name, value);
            }
            "FifoQueue"
            | "ContentBasedDeduplication"
            | "DeduplicationScope"
            | "FifoThroughputLimit" => return Err(unknown(name)),
            _ if KEPT.contains(&name) => self.keep(name, value),
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    fn keep(&mut self, name: &str, value: &str) {
        if let Some(name) = KEPT.iter().find(|kept| **kept == name) {
            self.kept.insert(name, value.to_owned());
        }
    }

    /// The configured attributes, as they are shown.
    pub(super) fn shown(&self, fifo: bool) -> BTreeMap<&'static str, String> {
        let mut shown = self.kept.clone();
        shown.insert("DelaySeconds", self.delay.as_secs().to_string());
        shown.insert("MaximumMessageSize", self.maximum_message_size.to_string());
        shown.insert("MessageRetentionPeriod", self.retention.as_secs().to_string());
        shown.insert("ReceiveMessageWaitTimeSeconds", self.receive_wait.as_secs().to_string());
        shown.insert("VisibilityTimeout", self.visibility.as_secs().to_string());
        if let Some(Redrive { target, max_receives }) = &self.redrive {
            let policy = serde_json::json!({
                "deadLetterTargetArn": target, "maxReceiveCount": max_receives,
            });
            shown.insert("RedrivePolicy", policy.to_string());
        }
        if fifo {
            shown.insert("FifoQueue", "true".to_owned());
            let by_content = self.content_based_deduplication.to_string();
            shown.insert("ContentBasedDeduplication", by_content);
            shown.entry("DeduplicationScope").or_insert_with(|| "queue".to_owned());
            shown.entry("FifoThroughputLimit").or_insert_with(|| "perQueue".to_owned());
        } else {
            shown.entry("SqsManagedSseEnabled").or_insert_with(|| "true".to_owned());
        }
        shown
    }
}

fn unknown(name: &str) -> SqsError {
    SqsError::new(Kind::InvalidAttributeName, format!("Unknown Attribute {name}."))
}

fn invalid(name: &str) -> SqsError {
    let message = format!("Invalid value for the parameter {name}.");
    SqsError::new(Kind::InvalidAttributeValue, message)
}

fn number(name: &str, value: &str, min: u64, max: u64) -> Result<u64> {
    let number = value.parse().ok().filter(|number| (min..=max).contains(number));
    number.ok_or_else(|| invalid(name))
}

fn seconds(name: &str, value: &str, min: u64, max: u64) -> Result<Duration> {
    number(name, value, min, max).map(Duration::from_secs)
}

fn boolean(name: &str, value: &str) -> Result<bool> {
    value.parse().map_err(|_| invalid(name))
}

/// An empty policy takes the present one away.
fn redrive(value: &str) -> Result<Option<Redrive>> {
    /// SDKs write the count as a number or as text.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Count {
        Number(u32),
        Text(String),
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Policy {
        dead_letter_target_arn: String,
        max_receive_count: Count,
    }
    if value.is_empty() {
        return Ok(None);
    }
    let policy: Policy = serde_json::from_str(value).map_err(|_| invalid("RedrivePolicy"))?;
    let max_receives = match policy.max_receive_count {
        Count::Number(number) => Some(number),
        Count::Text(text) => text.parse().ok(),
    };
    let max_receives = max_receives.filter(|count| (1..=1_000).contains(count));
    let max_receives = max_receives.ok_or_else(|| invalid("RedrivePolicy"))?;
    Ok(Some(Redrive { target: policy.dead_letter_target_arn, max_receives }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str, fifo: bool) -> std::result::Result<(), Kind> {
        QueueConfig::default().set(name, value, fifo).map_err(|error| error.kind)
    }

    #[test]
    fn attributes_are_held_to_the_ranges_of_aws() {
        const VALUE: std::result::Result<(), Kind> = Err(Kind::InvalidAttributeValue);
        const NAME: std::result::Result<(), Kind> = Err(Kind::InvalidAttributeName);
        let cases = [
            ("DelaySeconds", "900", Ok(())),
            ("DelaySeconds", "901", VALUE),
            ("DelaySeconds", "-1", VALUE),
            ("MaximumMessageSize", "1024", Ok(())),
            ("MaximumMessageSize", "1023", VALUE),
            ("MaximumMessageSize", "1048577", VALUE),
            ("MessageRetentionPeriod", "59", VALUE),
            ("ReceiveMessageWaitTimeSeconds", "21", VALUE),
            ("VisibilityTimeout", "43200", Ok(())),
            ("VisibilityTimeout", "43201", VALUE),
            ("FifoQueue", "true", NAME),
            ("ContentBasedDeduplication", "true", NAME),
            ("Policy", "{}", Ok(())),
            ("QueueArn", "x", NAME),
            ("Color", "blue", NAME),
            ("RedrivePolicy", "{", VALUE),
            ("RedrivePolicy", r#"{"deadLetterTargetArn":"a","maxReceiveCount":"3"}"#, Ok(())),
            ("RedrivePolicy", r#"{"deadLetterTargetArn":"a","maxReceiveCount":3}"#, Ok(())),
            ("RedrivePolicy", r#"{"deadLetterTargetArn":"a","maxReceiveCount":0}"#, VALUE),
            ("RedrivePolicy", r#"{"deadLetterTargetArn":"a","maxReceiveCount":1001}"#, VALUE),
        ];
        for (name, value, expected) in cases {
            assert_eq!(set(name, value, false), expected, "{name} = {value}");
        }
        assert_eq!(set("FifoQueue", "true", true), Ok(()));
        assert_eq!(set("FifoQueue", "false", true), NAME);
        assert_eq!(set("DeduplicationScope", "messageGroup", true), Ok(()));
        assert_eq!(set("DeduplicationScope", "color", true), VALUE);
    }
}
