use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sqs::Client;
use bluegreen_core::{Color, ContractVersion, Deployment, Following, Revision};

use crate::queues::is_fifo;
use crate::sqs::attributes::Attributes;
use crate::sqs::{CallError, Outgoing, Sqs};
use crate::{
    ConfigError, Envelope, EnvelopeError, Message, ProducerConfig, Queues, StepDownError, route,
};

/// Sends messages in their envelope to the queue of the color that should handle them. Cheap to
/// clone; one call to SQS a message.
#[derive(Clone, Debug)]
pub struct Producer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    sqs: Sqs,
    queues: Queues,
    following: Following,
    color: Color,
    config: ProducerConfig,
    random: Mutex<fastrand::Rng>,
}

/// A message that SQS has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// SQS's identifier of the message.
    pub message_id: String,
    /// The color whose queue it went to; nothing for a shared queue.
    pub color: Option<Color>,
    /// The version in which it was written.
    pub version: ContractVersion,
}

impl Producer {
    /// A producer of a process of `color`.
    ///
    /// # Errors
    /// When a field of `config` does not fit; when a URL is missing, or one queue is meant to be
    /// two.
    pub fn new(
        client: Client,
        queues: Queues,
        following: Following,
        color: Color,
        config: ProducerConfig,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        queues.check()?;
        let sqs = Sqs::new(client, config.call_timeout);
        let random = config.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let random = Mutex::new(random);
        Ok(Self { inner: Arc::new(Inner { sqs, queues, following, color, config, random }) })
    }

    /// Sends a message, in the version that the [write gate](crate::WriteGate) allows. With a queue for each color, `key` [decides](crate::route) between them:
    /// messages of one key go to the same color as long as the share does. While no deployment is
    /// known that is the producer's own color. On FIFO queues the key is also the message group.
    ///
    /// The envelope says the color of the sender, the revision it follows, and a random
    /// identifier, which is the deduplication id on FIFO queues.
    ///
    /// Cancel safety: dropped before it is ready, the message may have been sent or not. The same
    /// is true after an error that [is retryable](SendError::is_retryable); sending again may then
    /// lead to a second message, with another identifier.
    ///
    /// # Errors
    /// When the message cannot be written, is too large, or has a key that FIFO queues do not
    /// take; when SQS cannot be reached or refuses.
    pub async fn send<M: Message>(&self, message: &M, key: &str) -> Result<Sent, SendError> {
        let inner = &self.inner;
        let known = inner.following.current();
        let (url, color) = match &inner.queues {
            Queues::Shared(url) => (url, None),
            Queues::Separate(urls) => {
                let phase = known.as_ref().map(|known| known.phase());
                let color = route(phase, inner.color, key.as_bytes());
                (urls.get(color), Some(color))
            }
        };
        let id = self.id();
        let fifo = is_fifo(url).then(|| fifo(key, &id)).transpose()?;
        let envelope = self.envelope(message, id, known.as_deref())?;
        let (version, body) = (envelope.version(), envelope.to_string());
        let (size, limit) = (body.len(), inner.config.max_size);
        if size > limit {
            return Err(SendError::TooLarge { kind: M::TYPE, size, limit });
        }
        let attributes = Attributes::default();
        let message_id = inner.sqs.send(Outgoing { url, body, attributes, fifo }).await?;
        Ok(Sent { message_id, color, version })
    }

    fn envelope<M: Message>(
        &self,
        message: &M,
        id: String,
        known: Option<&Deployment>,
    ) -> Result<Envelope, SendError> {
        let now = self.inner.config.clock.now();
        let envelope = match &self.inner.config.write_gate {
            Some(gate) => {
                let written = gate.write(message, known)?;
                Envelope::from_json(M::TYPE, written.version, &written.payload, now)?
            }
            None => Envelope::new(message, now)?,
        };
        let envelope = envelope.with_id(id).with_color(self.inner.color);
        let revision = known.map(Deployment::revision);
        Ok(match revision.filter(|revision| *revision >= Revision::FIRST) {
            Some(revision) => envelope.with_revision(revision),
            None => envelope,
        })
    }

    fn id(&self) -> String {
        let mut random = self.inner.random.lock().unwrap_or_else(PoisonError::into_inner);
        format!("{:032x}", random.u128(..))
    }
}

/// Group and deduplication id. AWS takes 1 to 128 letters, digits and punctuation as a group.
fn fifo(key: &str, id: &str) -> Result<(String, String), SendError> {
    if !(1..=128).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(SendError::Key { found: key.to_owned() });
    }
    Ok((key.to_owned(), id.to_owned()))
}

/// A message was not sent, or nobody knows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The message cannot be put into an envelope.
    #[error("the message cannot be written")]
    Unwritable {
        /// What is wrong with it.
        #[from]
        source: EnvelopeError,
    },
    /// The message cannot be written in the version that its readers understand.
    #[error("the message has no version that its readers understand")]
    Gated {
        /// Which version, and why.
        #[from]
        source: StepDownError,
    },
    /// The message is larger than allowed.
    #[error("a message {kind} of {size} bytes is larger than the {limit} bytes allowed")]
    TooLarge {
        /// The type of the message.
        kind: &'static str,
        /// Its bytes, envelope included.
        size: usize,
        /// The bytes allowed.
        limit: usize,
    },
    /// The key cannot be the group of a FIFO queue.
    #[error("{found:?} cannot be a message group: allowed are 1 to 128 visible ASCII characters")]
    Key {
        /// The key.
        found: String,
    },
    /// The call to SQS failed.
    #[error("the message could not be sent")]
    Failed {
        /// What SQS, or the way to it, said.
        source: Box<dyn Error + Send + Sync>,
        /// Whether the same call may succeed later without anybody's doing.
        retryable: bool,
    },
}

impl SendError {
    /// Whether the same call may succeed later without anybody's doing. The message may have been
    /// sent nevertheless.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Failed { retryable: true, .. })
    }
}

impl From<CallError> for SendError {
    fn from(error: CallError) -> Self {
        let retryable = error.is_retryable();
        Self::Failed { source: error.into_source(), retryable }
    }
}
