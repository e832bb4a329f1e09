//! A source of messages that costs next to nothing: canned replies to a real SDK client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use aws_sdk_sqs::Client;
use aws_smithy_types::body::SdkBody;
use tokio::time::Instant;

use crate::canned;

/// The article's envelope around an order of five items; nothing follows its end.
const BODY: &str = r#"{\"version\":\"1.0\",\"type\":\"OrderPlaced\",\"payload\":{\"order\":\"4711\",\"items\":[{\"sku\":\"A-1\",\"count\":1,\"cents\":1999},{\"sku\":\"B-2\",\"count\":2,\"cents\":499},{\"sku\":\"C-3\",\"count\":1,\"cents\":12900},{\"sku\":\"D-4\",\"count\":7,\"cents\":150},{\"sku\":\"E-5\",\"count\":3,\"cents\":2500}]},\"timestamp\":\"2026-11-22T10:00:00Z\",\"id\":\"0123456789abcdef0123456789abcdef\",\"color\":\"blue\",\"revision\":7}"#;

const HANDLE: &str = "AQEB-a-handle-as-long-as-they-are";

/// The body as it is within the reply.
pub(super) fn body() -> String {
    BODY.replace('\\', "")
}

/// What a message has itself: its body, its receipt handle and its id.
pub(super) fn own_bytes() -> usize {
    body().len() + HANDLE.len() + "0".len()
}

/// So many messages, and then none.
#[derive(Clone, Debug)]
pub(super) struct Source {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    begun: Instant,
    left: AtomicU32,
    calls: AtomicU64,
    /// Calls that change visibilities, and entries of them.
    hides: AtomicU64,
    hidden: AtomicU64,
    /// When the last receive was answered, in nanoseconds since the start.
    answered: AtomicU64,
}

impl Source {
    pub(super) fn of(messages: u32) -> Self {
        let state = State {
            begun: Instant::now(),
            left: AtomicU32::new(messages),
            calls: AtomicU64::new(0),
            hides: AtomicU64::new(0),
            hidden: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        };
        Self { state: Arc::new(state) }
    }

    pub(super) fn client(&self) -> Client {
        let source = self.clone();
        canned::sqs(move |target, body| source.answer(target, body))
    }

    /// Nothing where no messages are left: a long poll on an empty queue.
    fn answer(&self, target: &str, body: &[u8]) -> Option<SdkBody> {
        self.state.calls.fetch_add(1, Ordering::Relaxed);
        let answer = match target {
            "AmazonSQS.ReceiveMessage" => self.receive()?.into(),
            "AmazonSQS.ChangeMessageVisibilityBatch" => {
                self.count_hide(body);
                r#"{"Successful":[],"Failed":[]}"#.into()
            }
            "AmazonSQS.GetQueueAttributes" => r#"{"Attributes":{}}"#.into(),
            _ => r#"{"Successful":[],"Failed":[]}"#.into(),
        };
        self.state.answered.store(nanoseconds(self.state.begun), Ordering::Relaxed);
        Some(answer)
    }

    pub(super) fn calls(&self) -> u64 {
        self.state.calls.load(Ordering::Relaxed)
    }

    /// Calls that change visibilities.
    pub(super) fn hides(&self) -> u64 {
        self.state.hides.load(Ordering::Relaxed)
    }

    /// Visibilities that were changed.
    pub(super) fn hidden(&self) -> u64 {
        self.state.hidden.load(Ordering::Relaxed)
    }

    fn count_hide(&self, body: &[u8]) {
        let entries = body.windows(ENTRY.len()).filter(|window| *window == ENTRY).count();
        self.state.hides.fetch_add(1, Ordering::Relaxed);
        self.state.hidden.fetch_add(u64::try_from(entries).unwrap_or_default(), Ordering::Relaxed);
    }

    /// Milliseconds since the last receive was answered.
    pub(super) fn waited(&self) -> f64 {
        let now = nanoseconds(self.state.begun);
        let waited = now.saturating_sub(self.state.answered.load(Ordering::Relaxed));
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a short run")]
        let waited = waited as f64;
        waited / 1e6
    }

    /// Up to ten messages, or nothing when none are left.
    fn receive(&self) -> Option<String> {
        let take = |left: u32| left.checked_sub(10);
        self.state.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        let message = format!(
            r#"{{"MessageId":"0","ReceiptHandle":"{HANDLE}","Body":"{BODY}","Attributes":{{"ApproximateReceiveCount":"1","SentTimestamp":"1800000000000"}}}}"#
        );
        Some(format!(r#"{{"Messages":[{}]}}"#, vec![message; 10].join(",")))
    }
}

/// What the body of a call has for each visibility that it changes.
const ENTRY: &[u8] = b"\"VisibilityTimeout\"";

fn nanoseconds(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
