use std::time::SystemTime;

use bluegreen_core::ContractVersion;
use serde::{Deserialize, Serialize};

use crate::sqs::attributes::acceptable;
use crate::{Envelope, Message};

/// A message in a dead-letter queue with its reason around it, where none of the ten attributes is
/// free to carry the reason.
///
/// The body is the text that was received, so nothing of it is lost. [`Bodies`](crate::Bodies)
/// looks through it: sent back to its queue as it is, such a message is handled like any other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Parked {
    /// Why it was parked: at most 512 bytes, the rest is in the log.
    pub reason: String,
    /// SQS's identifier of the message before.
    pub original_id: String,
    /// The body as it was received.
    pub body: String,
}

impl Message for Parked {
    const TYPE: &'static str = "bluegreen.Parked";
    const VERSION: ContractVersion = ContractVersion::new(1, 0);
}

impl Parked {
    /// The text of the wrapping around a body. What is parked again gets the new reason, not
    /// another wrapping.
    pub(crate) fn wrap(body: &str, reason: &str, id: &str, at: SystemTime) -> Option<String> {
        let inner = Self::within(body);
        let parked = Self {
            reason: acceptable(reason),
            original_id: id.to_owned(),
            body: inner.unwrap_or_else(|| body.to_owned()),
        };
        Envelope::new(&parked, at).ok().map(|envelope| envelope.to_string())
    }

    /// Whether a body is such a wrapping.
    pub(crate) fn is_around(body: &str) -> bool {
        Self::within(body).is_some()
    }

    fn within(body: &str) -> Option<String> {
        body.parse().ok().and_then(|envelope| Self::body_of(&envelope))
    }

    /// The body that such an envelope is wrapped around.
    pub(crate) fn body_of(envelope: &Envelope) -> Option<String> {
        let is_parked = envelope.kind() == Self::TYPE && Self::VERSION.reads(envelope.version());
        is_parked.then(|| envelope.read::<Self>().ok()).flatten().map(|parked| parked.body)
    }
}
