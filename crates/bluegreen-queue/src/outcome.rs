use std::time::Duration;

/// What becomes of a message that a handler has looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is handled: delete it.
    Done,
    /// Not now: show it again after this time. Rounded up to whole seconds, at least 1 second, at
    /// most what is left of SQS's 12 hours. The receive counts towards the queue's
    /// `maxReceiveCount`: on the last one the message is parked, with that reason.
    RetryAfter(Duration),
    /// Nobody should try again: move it to the dead-letter queue, body untouched, with this reason.
    Park(String),
    /// The other color should handle it.
    ///
    /// With a queue for each color it is sent to the other one's, at most
    /// [`max_passes`](crate::ConsumerConfig::max_passes) times in its life. On a queue that both
    /// read it is hidden for [`pass_delay`](crate::ConsumerConfig::pass_delay) in the hope that the
    /// other color receives it next, which is [as likely](crate::pass_chance) as its share. Where
    /// passing on has no chance left it is parked.
    PassOn,
}

/// Why a handler failed. The message is shown again after a delay that grows with each receive.
///
/// Any error converts with `?`, strings included.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;
