//! What happened to the messages of a queue, for tests that have to explain it.

use std::time::Duration;

/// One thing that happened to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Happening {
    /// SQS's identifier of the message.
    pub message_id: String,
    /// By how many receives it had happened, this one included: `ApproximateReceiveCount`.
    pub receive: u32,
    /// What it was.
    pub event: Event,
}

impl Happening {
    /// A thing that happened, for tests of what is concluded from it.
    pub fn new(message_id: impl Into<String>, receive: u32, event: Event) -> Self {
        Self { message_id: message_id.into(), receive, event }
    }
}

/// What can happen to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// It was handed to a caller, whether the answer arrived or not.
    Received {
        /// The access key that the caller signs with.
        by: String,
    },
    /// Whoever holds it has hidden it for this time from now: an extension, or the wish to see it
    /// later.
    Hidden(Duration),
    /// Whoever holds it has shown it to others at once.
    Released,
    /// Its visibility has ended by itself.
    Expired,
    /// It was deleted.
    Deleted,
    /// It was to be deleted by the handle of this receive after somebody had received it again, and
    /// stays: AWS says yes all the same.
    DeletedTooLate,
}

/// What happened, in order, from the moment on that anybody asked for it.
#[derive(Debug, Default)]
pub(super) struct Journal(Option<Vec<Happening>>);

impl Journal {
    pub(super) fn keep(&mut self) {
        self.0.get_or_insert_default();
    }

    pub(super) fn read(&self) -> Vec<Happening> {
        self.0.clone().unwrap_or_default()
    }

    pub(super) fn write(&mut self, message_id: &str, receive: u32, event: impl FnOnce() -> Event) {
        if let Some(happenings) = &mut self.0 {
            happenings.push(Happening::new(message_id, receive, event()));
        }
    }
}
