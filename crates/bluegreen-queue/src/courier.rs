mod outbox;

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::{Backoff, Color, Stop};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::sqs::{CallError, Outgoing, SentBatch, Sqs};
use crate::{ProducerConfig, Queues, SendError};
use outbox::Outbox;

/// So many calls may be under way at once.
const PARALLEL: usize = 16;

/// A message on its way from a producer's handle to a call.
#[derive(Debug)]
pub(crate) struct Posted {
    /// The color whose queue it goes to; nothing for the shared one.
    pub(crate) color: Option<Color>,
    pub(crate) outgoing: Outgoing,
    pub(crate) answer: oneshot::Sender<Result<String, SendError>>,
    /// After this moment no call for it begins.
    pub(crate) until: Instant,
    pub(crate) tries: u32,
}

impl Posted {
    /// Whether it may still be sent: somebody waits for it, and its time is not over. Whoever waits
    /// until nobody can send any more counts on that.
    fn is_timely(&self, now: Instant) -> bool {
        now <= self.until && !self.answer.is_closed()
    }
}

/// The driver behind a batching [`Producer`](crate::Producer): puts messages of many callers into
/// calls of up to ten.
///
/// A message that SQS refuses within a call is tried again, by itself, until the producer's
/// `call_timeout` is over. In FIFO queues the messages of one key go one after another, each after
/// the one before was accepted or its sender told that it failed: who needs an order in spite of
/// failures awaits each send. Those of different keys share calls. A message whose turn has not come
/// within that time, or for which nobody waits any more, is not sent.
#[derive(Debug)]
#[must_use = "nothing is sent until it runs"]
pub struct Courier {
    sqs: Sqs,
    queues: Queues,
    posts: mpsc::Receiver<Posted>,
    outboxes: HashMap<Option<Color>, Outbox<Posted>>,
    calls: FuturesUnordered<Call>,
    /// Messages in calls under way.
    under_way: u64,
    age: Duration,
    random: fastrand::Rng,
    report: CourierReport,
}

/// What a [`Courier`] did while it ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CourierReport {
    /// Calls to SQS.
    pub calls: u64,
    /// Messages that SQS has accepted.
    pub sent: u64,
    /// Messages that were tried again after SQS had refused them within a call.
    pub retried: u64,
    /// Messages that were not accepted, as far as anybody knows. Their callers were told, as far as
    /// they still waited.
    pub failed: u64,
}

type Call = Pin<Box<dyn Future<Output = Delivered> + Send>>;

struct Delivered {
    color: Option<Color>,
    messages: Vec<Posted>,
    result: Result<SentBatch, CallError>,
}

impl Courier {
    pub(crate) fn new(
        sqs: Sqs,
        queues: Queues,
        config: &ProducerConfig,
    ) -> (mpsc::Sender<Posted>, Self) {
        let (post, posts) = mpsc::channel(config.capacity);
        let random = config.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let courier = Self {
            sqs,
            queues,
            posts,
            outboxes: HashMap::new(),
            calls: FuturesUnordered::new(),
            under_way: 0,
            age: config.linger,
            random,
            report: CourierReport::default(),
        };
        (post, courier)
    }

    /// Sends until asked to stop, or until no handle is left. From the request on new messages are
    /// refused; what was posted before is sent until the deadline, and given up then. Every caller
    /// is told.
    ///
    /// Dropping the future is the hard end: who waits for a message is told that it failed, though
    /// its call may have arrived.
    ///
    /// # Errors
    /// Never today: what goes wrong with a message is told to who sent it.
    pub async fn run(mut self, stop: Stop) -> Result<CourierReport, Infallible> {
        let mut deadline = None;
        let mut is_open = true;
        loop {
            let now = Instant::now();
            self.hand_over(now, !is_open);
            if !is_open && self.is_done() {
                break;
            }
            // With room for a call all that could fill one has gone, so that few are looked at.
            let next = (self.calls.len() < PARALLEL)
                .then(|| self.outboxes.values().filter_map(Outbox::next).min())
                .flatten();
            tokio::select! {
                biased;
                by = stop.requested(), if deadline.is_none() => {
                    deadline = Some(by);
                    self.posts.close();
                }
                () = stop.expired(), if deadline.is_some() => break,
                Some(delivered) = self.calls.next() => self.delivered(delivered),
                posted = self.posts.recv(), if is_open => match posted {
                    Some(posted) => self.post(posted, Instant::now()),
                    None => is_open = false,
                },
                () = until(next) => {}
            }
        }
        self.give_up();
        tracing::info!(report = ?self.report, "a courier stopped");
        Ok(self.report)
    }

    fn is_done(&self) -> bool {
        self.calls.is_empty() && self.outboxes.values().all(|outbox| outbox.len() == 0)
    }

    fn post(&mut self, posted: Posted, now: Instant) {
        let age = self.age;
        let outbox = self.outboxes.entry(posted.color).or_insert_with(|| Outbox::new(age));
        let (size, group) = (posted.outgoing.size(), posted.outgoing.group());
        outbox.push(posted, size, group, now);
    }

    /// Makes the calls whose time has come.
    fn hand_over(&mut self, now: Instant, flush: bool) {
        for (color, outbox) in &mut self.outboxes {
            while self.calls.len() < PARALLEL
                && let Some(messages) = outbox.take(now, flush)
            {
                let (messages, late): (Vec<_>, Vec<_>) =
                    messages.into_iter().partition(|posted| posted.is_timely(now));
                self.report.failed += number(late.len());
                for posted in late {
                    outbox.settled(posted.outgoing.group().as_ref());
                    let source = "its turn did not come in time".into();
                    let _unheard =
                        posted.answer.send(Err(SendError::Failed { source, retryable: true }));
                }
                if messages.is_empty() {
                    continue;
                }
                self.report.calls += 1;
                self.under_way += number(messages.len());
                let (sqs, color) = (self.sqs.clone(), *color);
                let url = self.queues.url(color).to_owned();
                self.calls.push(Box::pin(async move {
                    let outgoing = messages.iter().map(|posted| &posted.outgoing);
                    let result = sqs.send_batch(&url, outgoing).await;
                    Delivered { color, messages, result }
                }));
            }
        }
    }

    fn delivered(&mut self, Delivered { color, messages, result }: Delivered) {
        self.under_way -= number(messages.len());
        let now = Instant::now();
        let told = |error: &CallError| SendError::Failed {
            source: error.told().into(),
            retryable: error.is_retryable(),
        };
        for (place, posted) in messages.into_iter().enumerate() {
            let answer = match &result {
                Err(error) => Err(told(error)),
                Ok(SentBatch { sent, refusals }) => match sent.get(&place) {
                    Some(id) => Ok(id.clone()),
                    None => {
                        let refusal = refusals.iter().find(|(refused, _)| *refused == place);
                        let is_final = refusal.is_some_and(|(_, refusal)| refusal.is_final);
                        if !is_final && now < posted.until {
                            self.retry(color, posted, now);
                            continue;
                        }
                        let code = refusal.map_or("no answer", |(_, refusal)| &refusal.code);
                        let source = format!("SQS refused it: {code}").into();
                        Err(SendError::Failed { source, retryable: !is_final })
                    }
                },
            };
            self.settle(color, posted, answer);
        }
    }

    fn retry(&mut self, color: Option<Color>, mut posted: Posted, now: Instant) {
        self.report.retried += 1;
        let floor = Duration::from_millis(20);
        let pause = Backoff::default().delay(posted.tries, self.random.u64(..)).max(floor);
        posted.tries += 1;
        let size = posted.outgoing.size();
        if let Some(outbox) = self.outboxes.get_mut(&color) {
            outbox.again(posted, size, now + pause);
        }
    }

    fn settle(&mut self, color: Option<Color>, posted: Posted, answer: Result<String, SendError>) {
        match answer {
            Ok(_) => self.report.sent += 1,
            Err(_) => self.report.failed += 1,
        }
        if let Some(outbox) = self.outboxes.get_mut(&color) {
            outbox.settled(posted.outgoing.group().as_ref());
        }
        // Whoever does not wait any more does not want to know.
        let _unheard = posted.answer.send(answer);
    }

    /// Tells who still waits; the calls under way may yet arrive.
    fn give_up(&mut self) {
        self.report.failed += self.under_way;
        let posts = std::iter::from_fn(|| self.posts.try_recv().ok());
        for posted in self.outboxes.values_mut().flat_map(Outbox::empty).chain(posts) {
            self.report.failed += 1;
            let _unheard = posted.answer.send(Err(SendError::Stopped));
        }
    }
}

fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

async fn until(next: Option<Instant>) {
    match next {
        Some(next) => sleep_until(next).await,
        None => std::future::pending().await,
    }
}

/// A message group, as the order of an outbox wants it.
impl Outgoing {
    fn group(&self) -> Option<Arc<str>> {
        self.fifo.as_ref().map(|(group, _)| group.as_str().into())
    }
}
