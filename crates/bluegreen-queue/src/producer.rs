use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::Client;
use bluegreen_core::{Color, ContractVersion, Deployment, Following, Revision, Source};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::courier::Posted;
use crate::hand_over::{Known, Left, Marker, Sides};
use crate::queues::is_fifo;
use crate::sqs::attributes::Attributes;
use crate::sqs::{CallError, Outgoing, Sqs};
use crate::{
    ConfigError, Courier, Draft, Envelope, EnvelopeError, Message, ProducerConfig, Queues,
    StepDownError, TraceContext, route,
};

/// No call for a batched message begins later than this, however long calls may take.
const LONGEST_TRY: Duration = Duration::from_secs(60 * 60);

/// Sends messages in their envelope to the queue of the color that should handle them. Cheap to
/// clone.
///
/// ```no_run
/// # use bluegreen_core::{Color, ContractVersion, Following, Stop};
/// # use bluegreen_queue::{Message, Producer, ProducerConfig, Queues};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct OrderPlaced { order: u64 }
/// # impl Message for OrderPlaced {
/// #     const TYPE: &str = "OrderPlaced"; const VERSION: ContractVersion = ContractVersion::new(1, 0);
/// # }
/// # async fn example(
/// #     sqs: aws_sdk_sqs::Client, queues: Queues, following: Following, stop: Stop,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let config = ProducerConfig::default();
/// let (producer, courier) = Producer::batching(sqs, queues, following, Color::Blue, config)?;
/// let courier = tokio::spawn(courier.run(stop)); // ten messages share a call
/// let sent = producer.send(&OrderPlaced { order: 7 }, "customer-3").await?;
/// println!("{} went to {:?} as version {}", sent.message_id, sent.color, sent.version);
/// // A send that is tried again with the id of the first is one message to FIFO queues and handlers.
/// let again = OrderPlaced { order: 8 };
/// while let Err(error) = producer.draft(&again, "customer-3").with_id("order-8").send().await {
///     if !error.is_retryable() {
///         return Err(error.into());
///     }
/// }
/// drop(producer); // with the last handle the courier ends
/// println!("{:?}", courier.await??);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Producer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    way: Way,
    queues: Queues,
    following: Following,
    color: Color,
    config: ProducerConfig,
    random: Mutex<fastrand::Rng>,
    /// Where groups are that are handed over between two queues.
    sides: Option<Mutex<Sides>>,
}

/// Where a message goes.
struct Place {
    /// The color whose queue it is; nothing for the shared one.
    color: Option<Color>,
    /// The marker in the queue that its group has left.
    after: Option<Arc<Marker>>,
    known: Option<Arc<Deployment>>,
}

/// How messages leave.
#[derive(Debug)]
enum Way {
    /// Each by a call of its own.
    Direct(Sqs),
    /// Several in a call, by a courier.
    Posted(mpsc::Sender<Posted>),
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
    /// A producer of a process of `color` that makes one call for each message.
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
        let way = Way::Direct(Sqs::new(client, config.call_timeout));
        Self::by(way, queues, following, color, config)
    }

    /// A producer whose messages share calls, and the driver that makes them: ten messages cost
    /// one call instead of ten, for a [`linger`](ProducerConfig::linger) of delay.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn batching(
        client: Client,
        queues: Queues,
        following: Following,
        color: Color,
        config: ProducerConfig,
    ) -> Result<(Self, Courier), ConfigError> {
        config.check()?;
        let sqs = Sqs::new(client, config.call_timeout);
        let (post, courier) = Courier::new(sqs, queues.clone(), &config);
        Ok((Self::by(Way::Posted(post), queues, following, color, config)?, courier))
    }

    fn by(
        way: Way,
        queues: Queues,
        following: Following,
        color: Color,
        config: ProducerConfig,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        queues.check()?;
        let random = config.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let random = Mutex::new(random);
        let sides = match (&config.hand_over, &queues) {
            (Some(_), _) if !is_fifo(queues.url(None)) => {
                let bound = "left out where queues are not FIFO";
                return Err(ConfigError::new("hand_over", &config.hand_over, bound));
            }
            (Some(hand_over), Queues::Separate(_)) => {
                Some(Mutex::new(Sides::new(color, hand_over.backlog)))
            }
            _ => None,
        };
        Ok(Self { inner: Arc::new(Inner { way, queues, following, color, config, random, sides }) })
    }

    /// Sends a message, in the version that the [write gate](crate::WriteGate) allows. With a
    /// queue for each color, `key` [decides](crate::route) between them: messages of one key go to
    /// the same color as long as the share does. While no deployment is known that is the
    /// producer's own color. On FIFO queues the key is also the message group, which is
    /// [handed over](crate::HandOver) when it changes to the other color's queue.
    ///
    /// The envelope says the color of the sender, the revision it follows, and a random
    /// identifier, which is the deduplication id on FIFO queues.
    ///
    /// Cancel safety: dropped before it is ready, the message may have been sent or not. The same
    /// is true after an error that [is retryable](SendError::is_retryable); sending again may then
    /// lead to a second message, with another identifier unless [one is given](Self::draft).
    ///
    /// # Errors
    /// When the message cannot be written, is too large, or has a key or identifier that FIFO
    /// queues do not take; when SQS cannot be reached or refuses; when the courier has stopped.
    pub async fn send<M: Message>(&self, message: &M, key: &str) -> Result<Sent, SendError> {
        self.draft(message, key).send().await
    }

    /// A message to be sent with an identifier, a trace context or attributes of the caller.
    pub const fn draft<'a, M: Message>(&'a self, message: &'a M, key: &'a str) -> Draft<'a, M> {
        let attributes = Vec::new();
        Draft { producer: self, message, key, id: None, trace: None, attributes }
    }

    pub(crate) async fn deliver<M: Message>(
        &self,
        message: &M,
        key: &str,
        id: Option<String>,
        trace: Option<TraceContext>,
        attributes: Attributes,
    ) -> Result<Sent, SendError> {
        let inner = &self.inner;
        let id = id.unwrap_or_else(|| self.id());
        let fifo = is_fifo(inner.queues.url(None)).then(|| fifo(key, &id)).transpose()?;
        let mut place = self.place(key).await?;
        let mut envelope = self.envelope(message, &id, trace.as_ref(), &place)?;
        let mut body = json(&envelope);
        if let Some(claims) = &inner.config.claim_check {
            while body.len() + attributes.size() > claims.threshold {
                let claim = claims.put(&self.id(), envelope.payload()).await;
                let claim = claim.map_err(|source| SendError::Claim { source })?;
                // That may have taken any time: where the message goes is decided anew.
                place = self.place(key).await?;
                let now = self.envelope(message, &id, trace.as_ref(), &place)?;
                let before = std::mem::replace(&mut envelope, now);
                // Not by its text: a map may be written in another order each time.
                if envelope.version() == before.version() {
                    envelope = envelope.with_claim(claim);
                    body = json(&envelope);
                    break;
                }
                body = json(&envelope);
            }
        }
        let version = envelope.version();
        let outgoing = Outgoing { body, attributes, fifo };
        let (size, limit) = (outgoing.size(), inner.config.max_size);
        if size > limit {
            return Err(SendError::TooLarge { kind: M::TYPE, size, limit });
        }
        let message_id = self.go(place.color, outgoing).await?;
        Ok(Sent { message_id, color: place.color, version })
    }

    async fn go(&self, color: Option<Color>, outgoing: Outgoing) -> Result<String, SendError> {
        match &self.inner.way {
            Way::Direct(sqs) => Ok(sqs.send(self.inner.queues.url(color), outgoing).await?),
            Way::Posted(post) => self.post(post, color, outgoing).await,
        }
    }

    /// Where a message of that key goes now; its group has been handed over by then.
    async fn place(&self, key: &str) -> Result<Place, SendError> {
        let inner = &self.inner;
        loop {
            let known = inner.following.current();
            let (color, after) = match (&inner.queues, &inner.sides) {
                (Queues::Shared(_), _) => return Ok(Place { color: None, after: None, known }),
                (Queues::Separate(_), None) => {
                    let phase = known.as_ref().map(|known| known.phase());
                    (route(phase, inner.color, key.as_bytes()), None)
                }
                (Queues::Separate(_), Some(sides)) => {
                    let mut sides = sides.lock().unwrap_or_else(PoisonError::into_inner);
                    let is_confirmed = inner.following.source() == Source::Store;
                    let known =
                        known.as_deref().map(|deployment| Known { deployment, is_confirmed });
                    sides.side(known, key, Instant::now(), || self.id())
                }
            };
            if let (Some(marker), Some(known)) = (&after, &known)
                && !marker.sent.initialized()
            {
                self.leave(key, color.other(), marker, known).await?;
                // Whoever waited for this process to follow it does not wait for sends by the
                // revision before.
                if self.revision() != Some(known.revision()) {
                    continue;
                }
            }
            return Ok(Place { color: Some(color), after, known });
        }
    }

    /// Sends the marker of a group, its last message in the queue that it leaves.
    async fn leave(
        &self,
        group: &str,
        color: Color,
        marker: &Marker,
        known: &Deployment,
    ) -> Result<(), SendError> {
        let config = &self.inner.config;
        if let Some(barrier) = config.hand_over.as_ref().and_then(|one| one.barrier.as_ref()) {
            barrier.pass(known.revision(), self.longest_send()).await;
            if self.revision() != Some(known.revision()) {
                return Ok(());
            }
        }
        let send = async || {
            let left = Left { marker: marker.id.clone() };
            let envelope = Envelope::new(&left, config.clock.now())?
                .with_id(&*marker.id)
                .with_color(self.inner.color)
                .with_revision(known.revision());
            let fifo = Some(fifo(group, &marker.id)?);
            let body = json(&envelope);
            let outgoing = Outgoing { body, attributes: Attributes::default(), fifo };
            self.go(Some(color), outgoing).await.map(drop)
        };
        // Of several who send at once one does it, and the others wait for it.
        marker.sent.get_or_try_init(send).await.copied()
    }

    fn revision(&self) -> Option<Revision> {
        self.inner.following.current().map(|known| known.revision())
    }

    /// For so long a send may be on its way after it was decided where to.
    fn longest_send(&self) -> Duration {
        let config = &self.inner.config;
        match &self.inner.way {
            Way::Direct(_) => config.call_timeout,
            Way::Posted(_) => posting(config),
        }
    }

    /// Hands a message to the courier and waits for its word.
    async fn post(
        &self,
        post: &mpsc::Sender<Posted>,
        color: Option<Color>,
        outgoing: Outgoing,
    ) -> Result<String, SendError> {
        let (answer, told) = oneshot::channel();
        let ProducerConfig { call_timeout, linger, .. } = self.inner.config;
        let longest = posting(&self.inner.config);
        // A time without end is one, although no moment lies so far away.
        let until = Instant::now() + linger + call_timeout.min(LONGEST_TRY);
        let posting = async {
            let room = post.reserve().await.map_err(|_| SendError::Stopped)?;
            room.send(Posted { color, outgoing, answer, until, tries: 0 });
            told.await.unwrap_or(Err(SendError::Stopped))
        };
        match timeout(longest, posting).await {
            Ok(told) => told,
            Err(elapsed) => Err(SendError::Failed { source: elapsed.into(), retryable: true }),
        }
    }

    /// The message as it is written for that place.
    fn envelope<M: Message>(
        &self,
        message: &M,
        id: &str,
        trace: Option<&TraceContext>,
        place: &Place,
    ) -> Result<Envelope, SendError> {
        let (known, now) = (place.known.as_deref(), self.inner.config.clock.now());
        let envelope = match &self.inner.config.write_gate {
            Some(gate) => {
                let written = gate.write(message, known)?;
                Envelope::from_json(M::TYPE, written.version, &written.payload, now)?
            }
            None => Envelope::new(message, now)?,
        };
        let mut envelope = envelope.with_id(id).with_color(self.inner.color);
        let revision = known.map(Deployment::revision);
        if let Some(revision) = revision.filter(|revision| *revision >= Revision::FIRST) {
            envelope = envelope.with_revision(revision);
        }
        if let Some(after) = &place.after {
            envelope = envelope.with_after(&*after.id);
        }
        if let Some(trace) = trace {
            envelope = envelope.with_trace(trace.clone());
        }
        Ok(envelope)
    }

    fn id(&self) -> String {
        let mut random = self.inner.random.lock().unwrap_or_else(PoisonError::into_inner);
        format!("{:032x}", random.u128(..))
    }
}

/// How long a message may take by a courier: the last call, or the first, may begin just before its
/// time is over, and a courier that is never run must not make anybody wait for ever.
const fn posting(config: &ProducerConfig) -> Duration {
    config.call_timeout.saturating_mul(2).saturating_add(config.linger)
}

/// The JSON of an envelope as SQS takes it: it refuses two characters of Unicode that JSON does not
/// ask anybody to escape. Wherever they are in JSON, it is within a text.
fn json(envelope: &Envelope) -> String {
    let mut body = envelope.to_string();
    for (refused, escaped) in [('\u{fffe}', r"\ufffe"), ('\u{ffff}', r"\uffff")] {
        if body.contains(refused) {
            body = body.replace(refused, escaped);
        }
    }
    body
}

/// Whether AWS takes it as a group or a deduplication id: 1 to 128 letters, digits and punctuation.
fn is_fifo_name(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Group and deduplication id.
fn fifo(key: &str, id: &str) -> Result<(String, String), SendError> {
    if !is_fifo_name(key) {
        return Err(SendError::Key { found: key.to_owned() });
    }
    if !is_fifo_name(id) {
        return Err(SendError::Id { found: id.to_owned() });
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
    /// The payload could not be kept elsewhere. Nothing was sent.
    #[error("the payload could not be put away")]
    Claim {
        /// What the closure said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// SQS does not take an attribute.
    #[error("{name:?} cannot be an attribute: its name, its text or their number does not fit")]
    Attribute {
        /// The name of the attribute.
        name: String,
    },
    /// The courier has stopped. The message was not sent or, where its call was under way at the
    /// deadline, nobody knows.
    #[error("the courier of this producer has stopped")]
    Stopped,
    /// The key cannot be the group of a FIFO queue.
    #[error("{found:?} cannot be a message group: allowed are 1 to 128 visible ASCII characters")]
    Key {
        /// The key.
        found: String,
    },
    /// The identifier cannot be the deduplication id of a FIFO queue.
    #[error(
        "{found:?} cannot be a deduplication id: allowed are 1 to 128 visible ASCII characters"
    )]
    Id {
        /// The identifier.
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
        matches!(self, Self::Failed { retryable: true, .. } | Self::Claim { .. })
    }
}

impl From<CallError> for SendError {
    fn from(error: CallError) -> Self {
        let retryable = error.is_retryable();
        Self::Failed { source: error.into_source(), retryable }
    }
}
