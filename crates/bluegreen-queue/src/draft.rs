use crate::sqs::attributes::Attributes;
use crate::{Message, Producer, SendError, Sent, TraceContext};

/// A message with what goes beside it, about to be sent by a [`Producer`].
#[derive(Debug)]
#[must_use = "nothing is sent yet"]
pub struct Draft<'a, M> {
    pub(crate) producer: &'a Producer,
    pub(crate) message: &'a M,
    pub(crate) key: &'a str,
    pub(crate) id: Option<String>,
    pub(crate) trace: Option<TraceContext>,
    pub(crate) attributes: Vec<(String, String)>,
}

impl<M: Message> Draft<'_, M> {
    /// The same with an identifier that the caller gives: the same for each try to send the same.
    /// A FIFO queue takes what is sent again within five minutes as one message; handlers can tell
    /// by the [`id`](crate::Envelope::id). FIFO queues take 1 to 128 visible ASCII characters.
    /// Default: random.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The same with the caller's place in a distributed trace.
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }

    /// The same with a message attribute, a text. There are ten at most; one that is left free
    /// carries the reason where a message has to be parked.
    pub fn with_attribute(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.attributes.push((name.into(), text.into()));
        self
    }

    /// Sends it: see [`Producer::send`] for what that means.
    ///
    /// # Errors
    /// Those of [`Producer::send`]; when SQS would not take an attribute.
    pub async fn send(self) -> Result<Sent, SendError> {
        let Self { producer, message, key, id, trace, attributes: texts } = self;
        let mut attributes = Attributes::default();
        for (name, text) in texts {
            if !attributes.add(&name, &text) {
                return Err(SendError::Attribute { name });
            }
        }
        producer.deliver(message, key, id, trace, attributes).await
    }
}
