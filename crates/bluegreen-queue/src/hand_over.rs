//! Two FIFO queues, and each group in order all the same.

mod barrier;
mod sides;
#[cfg(feature = "dynamodb")]
mod table;

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bluegreen_core::{ContractVersion, Roster};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::closure::answered;
use crate::{HandlerError, Message};
pub(crate) use barrier::Barrier;
pub(crate) use sides::{Known, Marker, Sides};

/// So long a closure may take to answer; then it is asked again.
const LONGEST_ANSWER: Duration = Duration::from_secs(5);

/// How a message group changes from one color's FIFO queue to the other's in order, for producers
/// and consumers alike. Cheap to clone.
///
/// 1. A producer that sends a group to another queue than before first sends a *marker* into the
///    queue it leaves, the last message of the group there. Once SQS has taken it, the messages of
///    the group go to the new queue, each with the marker's identifier in its envelope.
/// 2. The consumer of the old queue comes to the marker after all that was sent before, *writes it
///    down* and deletes it.
/// 3. The consumer of the new queue keeps the first such message of a group in hand, and with it
///    SQS keeps the whole group, until it *reads* that the marker was written down. Other groups go
///    on beside it; messages that are kept need no permit.
///
/// On the way back it is the same with the queues exchanged. Whatever waits waits for something that
/// was sent before it, so nothing can wait in a circle, however often a group goes to and fro.
///
/// # Where it is written down
///
/// SQS has no place that all consumers of a queue can look at, so there is another: a DynamoDB
/// table ([`in_table`](Self::in_table), feature `dynamodb`), or whatever two closures read and
/// write ([`new`](Self::new)). Written is each marker once, read is it by each process that keeps a
/// group, again after pauses that grow from 0.2 s to 5 s. What is written must be kept for as long
/// as the queue keeps messages. What is kept is extended by the consumer's heartbeat as all that it
/// has in hand: up to ten messages of each group, ten in a call.
///
/// # What is in order
///
/// *Without a barrier*: what one producer sends of a group, one after another. Producers follow a
/// revision seconds apart; for that time one may send a group to the old queue and another to the
/// new one, and these are in no order and may be handled at once. It is right where each group has
/// one producer at a time.
///
/// *[With a barrier](Self::with_barrier)*: all that is sent of a group, whoever sends. A producer
/// that is to send a group elsewhere waits until every living process follows the revision, and
/// then as long as a send of theirs may have been on its way: sends of the groups that move are
/// delayed by seconds at each step of the share, those of all other groups are not. Their
/// `call_timeout` should be the same in all processes, as each takes its own for the others'.
///
/// *Not in order*: what a process sends before the store has told it of the deployment. It goes
/// where its memory or its configuration says, or to its own color, whoever has moved meanwhile.
///
/// # Crashes
///
/// | what happens | what follows |
/// |---|---|
/// | a producer dies after the marker, before the first message | nobody waits for that marker |
/// | a producer starts in the midst of a shift, or has missed a revision | it takes each group for one that has moved: at worst a marker too many |
/// | the same while the share is zero | the record [says](bluegreen_core::Deployment::reached) whether the candidate has ever had one in this shift: if not, its queue is empty; if so, or where a version of this library that does not know of it has written since, as above |
/// | the same while one color serves alone | as above for the time of [`backlog`](Self::with_backlog), unless nothing was sent to the candidate of the last shift, or what was left is [drained](bluegreen_core::Deployment::drained) |
/// | the same without the store | it takes the queue of an idle color for drained, as nobody can say who adopts it; it hands over once the store answers |
/// | a marker is sent or handled twice | it is written down twice |
/// | a consumer dies with a group that it keeps | the group appears again, and is kept again |
/// | nobody can write or read | the group waits, nothing else does |
/// | no process of the old color lives | its queue, markers included, is read by whoever [adopts](crate::Subscription::adopted) it |
///
/// # What it needs
///
/// - Both colors' processes have it, and both run a second consumer that adopts the other color's
///   queue. A release without it takes markers for messages of an unknown type.
/// - Groups that came back wait for the candidate's queue, so a candidate whose share goes back to
///   zero finishes its queue, also in processes that start then. The gate is closed only while the
///   record says that the color has had no share in this shift. Where its processes are not to be
///   trusted with that, stop them and abandon the shift: the stable color adopts the queue.
/// - After a commit or an abandonment a producer hands groups over for the time of
///   [`backlog`](Self::with_backlog) more, from its first send or its start on: one marker for each
///   group in each process. Once [`drained`](crate::drained()) has found the queue empty, write that
///   down with [`Deployment::drained`](bluegreen_core::Deployment::drained), or the command
///   `bluegreen drained`, and who starts then sends no markers. Who waits for it before each commit
///   and abandonment needs no backlog at all.
/// - The next shift counts both queues as drained: wait for it before you begin one.
/// - What a consumer keeps costs a receive at each stop: leave room in the queue's
///   `maxReceiveCount` for as many restarts as the other queue's backlog may outlast.
/// - A marker that ends in the dead-letter queue keeps its group waiting until it is sent back to
///   its queue, as a redrive does.
/// - What was parked or passed on has waited for its marker before, and waits for none when it
///   comes again.
/// - What a handler [passes on](crate::Outcome::PassOn) leaves its group's order.
///
/// ```
/// # use bluegreen_queue::{ConsumerConfig, HandOver, ProducerConfig};
/// let hand_over = HandOver::in_memory(); // a test, or one process; else `in_table`
/// let producer = ProducerConfig::default().with_hand_over(hand_over.clone());
/// let consumer = ConsumerConfig::default().with_hand_over(hand_over);
/// ```
///
/// A whole process, with a table, a barrier, and the consumer that adopts the other queue:
///
/// ```no_run
/// # #[cfg(feature = "dynamodb")]
/// # fn example(
/// #     sqs: aws_sdk_sqs::Client, dynamodb: aws_sdk_dynamodb::Client,
/// #     me: bluegreen_core::ServiceIdentity, following: bluegreen_core::Following,
/// #     roster: bluegreen_core::Roster, dispatch: bluegreen_queue::Dispatch,
/// #     queues: bluegreen_queue::Queues, dead: &str,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// # use bluegreen_core::Clock;
/// # use bluegreen_queue::*;
/// let hand_over =
///     HandOver::in_table(dynamodb, "handled", Clock::system()).with_barrier(roster.clone());
/// let sends = ProducerConfig::default().with_hand_over(hand_over.clone());
/// let producer = Producer::new(sqs.clone(), queues.clone(), following.clone(), me.color, sends)?;
/// let handles = ConsumerConfig::default().with_hand_over(hand_over);
/// let own = Subscription::own(&queues, me.color, dead);
/// let (_handle, consumer) =
///     Consumer::new(sqs.clone(), own, following.clone(), dispatch.clone(), handles.clone())?;
/// let left = Subscription::adopted(&queues, me.color, dead, roster).ok_or("one queue for both")?;
/// let (_handle, adopter) = Consumer::new(sqs, left, following, dispatch, handles)?;
/// # drop((producer, consumer, adopter));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HandOver {
    write: Arc<Write>,
    read: Arc<Read>,
    pub(crate) barrier: Option<Barrier>,
    pub(crate) backlog: Duration,
    pub(crate) max_held: u32,
}

type Write = dyn Fn(String) -> Told<()> + Send + Sync;
type Read = dyn Fn(String) -> Told<bool> + Send + Sync;
type Told<T> = Pin<Box<dyn Future<Output = Result<T, HandlerError>> + Send>>;

impl HandOver {
    /// Markers are written down by `write`, and `read` answers whether one was. Both get the
    /// marker's identifier, 32 hexadecimal digits; reads must see what was written before them.
    #[must_use]
    pub fn new<W, R>(
        write: impl Fn(String) -> W + Send + Sync + 'static,
        read: impl Fn(String) -> R + Send + Sync + 'static,
    ) -> Self
    where
        W: Future<Output = Result<(), HandlerError>> + Send + 'static,
        R: Future<Output = Result<bool, HandlerError>> + Send + 'static,
    {
        Self {
            write: Arc::new(move |marker| Box::pin(write(marker))),
            read: Arc::new(move |marker| Box::pin(read(marker))),
            barrier: None,
            backlog: Duration::from_secs(60 * 60),
            max_held: 1_000,
        }
    }

    /// Markers are written down in this process: for tests, and where one process does it all.
    #[must_use]
    pub fn in_memory() -> Self {
        let written = Arc::new(Mutex::new(HashSet::new()));
        let read = Arc::clone(&written);
        let locked = |set: &Mutex<HashSet<String>>, marker: &str| {
            set.lock().unwrap_or_else(PoisonError::into_inner).contains(marker)
        };
        Self::new(
            move |marker| {
                written.lock().unwrap_or_else(PoisonError::into_inner).insert(marker);
                std::future::ready(Ok(()))
            },
            move |marker| std::future::ready(Ok(locked(&read, &marker))),
        )
    }

    /// The same, and a group that moves is sent only when every living process follows the
    /// revision by which it moves. Each process that sends or handles its messages is a member, by
    /// its [`Following`](bluegreen_core::Following).
    ///
    /// A send waits for as long as it takes; one that is not to is given a time limit by its caller.
    #[must_use]
    pub fn with_barrier(mut self, roster: Roster) -> Self {
        self.barrier = Some(Barrier::new(roster));
        self
    }

    /// The same with another time, counted from the end of a shift or from the start of a process
    /// that does not know when that was, for which the queue of the color that was left may still
    /// have messages. Zero where each commit and abandonment waits until it is
    /// [drained](crate::drained()). Default: 1 h.
    #[must_use]
    pub const fn with_backlog(mut self, backlog: Duration) -> Self {
        self.backlog = backlog;
        self
    }

    /// The same with another number of messages that a consumer may keep beside those it has
    /// permits for; more take permits, and in the end nothing is received. Default: 1,000.
    #[must_use]
    pub const fn with_max_held(mut self, messages: u32) -> Self {
        self.max_held = messages;
        self
    }

    pub(crate) async fn write(&self, marker: String) -> Result<(), HandlerError> {
        bounded(async move { (self.write)(marker).await }).await
    }

    pub(crate) async fn read(&self, marker: String) -> Result<bool, HandlerError> {
        bounded(async move { (self.read)(marker).await }).await
    }
}

/// An answer of a closure of the application, which may hang.
async fn bounded<T>(
    told: impl Future<Output = Result<T, HandlerError>>,
) -> Result<T, HandlerError> {
    timeout(LONGEST_ANSWER, answered(told)).await.unwrap_or_else(|elapsed| Err(elapsed.into()))
}

impl fmt::Debug for HandOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandOver")
            .field("barrier", &self.barrier.is_some())
            .field("backlog", &self.backlog)
            .field("max_held", &self.max_held)
            .finish_non_exhaustive()
    }
}

/// The last message of a group in the queue that it leaves.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Left {
    pub(crate) marker: String,
}

impl Message for Left {
    const TYPE: &'static str = "bluegreen.HandOver";
    const VERSION: ContractVersion = ContractVersion::new(1, 0);
}
