use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::Envelope;

/// What a handler knows about the message beside its payload. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    inner: Arc<Inner>,
    lease: Lease,
}

#[derive(Debug)]
struct Inner {
    message_id: Arc<str>,
    receive_count: u32,
    envelope: Envelope,
}

impl Context {
    /// The context of a message that has a lease without end: for tests of handlers, and for
    /// messages that come another way than through a consumer.
    #[must_use]
    pub fn new(message_id: impl Into<Arc<str>>, receive_count: u32, envelope: Envelope) -> Self {
        Self::leased(message_id.into(), receive_count, envelope, Lease::default())
    }

    pub(crate) fn leased(
        message_id: Arc<str>,
        receive_count: u32,
        envelope: Envelope,
        lease: Lease,
    ) -> Self {
        Self { inner: Arc::new(Inner { message_id, receive_count, envelope }), lease }
    }

    /// SQS's identifier of the message. It stays the same on every receive, but a message that
    /// was passed on or sent twice has another: what must happen once needs the key of the
    /// business, or the [`id`](Envelope::id) of the envelope.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.inner.message_id
    }

    /// How often the message has been received from this queue, this time included; approximate,
    /// as SQS says.
    #[must_use]
    pub fn receive_count(&self) -> u32 {
        self.inner.receive_count
    }

    /// The envelope that the message came in.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.inner.envelope
    }

    /// Whether the message may by now have been given to another consumer: its visibility could
    /// not be extended in time, or has reached SQS's 12 hours. What the handler still does may
    /// happen twice.
    #[must_use]
    pub fn is_lease_lost(&self) -> bool {
        self.lease.is_lost()
    }

    /// Waits until the [lease is lost](Self::is_lease_lost); forever, as long as all goes well.
    /// Made for `tokio::select!` beside the work. Cancel safe.
    pub async fn lease_lost(&self) {
        self.lease.lost().await;
    }
}

/// The right to a message while it is hidden from others, shared by the loop and the handler.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lease(Arc<State>);

#[derive(Debug, Default)]
struct State {
    lost: AtomicBool,
    changed: Notify,
}

impl Lease {
    pub(crate) fn is_lost(&self) -> bool {
        self.0.lost.load(Ordering::Acquire)
    }

    pub(crate) fn lose(&self) {
        self.0.lost.store(true, Ordering::Release);
        self.0.changed.notify_waiters();
    }

    pub(crate) async fn lost(&self) {
        let changed = self.0.changed.notified();
        tokio::pin!(changed);
        // Register before looking, or a loss between the two would be missed.
        changed.as_mut().enable();
        if !self.is_lost() {
            changed.await;
        }
    }
}
