//! Receiving messages, at once or by a long poll.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::backlog::{Dead, Received, Take, Taken};
use super::directory::source_arn;
use super::errors::{Kind, Result, SqsError};
use super::message::Message;
use super::protocol::{ReceivedMessage, ReceivedMessages, Receiving};
use super::queue::{Queue, State};
use super::{Caller, Sqs, digest};

const MAX_VISIBILITY: u64 = 43_200;
const MAX_WAIT: u64 = 20;

/// What one look at the queue found, and when a delay or visibility ends next.
type Look = (Taken, Option<Instant>);

impl Sqs {
    /// Waits until something is there or the wait is over. Cancel safe: messages are taken only
    /// in the step that returns them.
    pub(super) async fn receive(
        &self,
        caller: &Caller,
        request: Receiving,
    ) -> Result<ReceivedMessages> {
        let queue = self.directory.by_url(request.queue_url.as_deref())?;
        let max = max_messages(request.max_number_of_messages)?;
        check_system_names(&request.message_system_attribute_names)?;
        let visibility = duration("VisibilityTimeout", request.visibility_timeout, MAX_VISIBILITY)?;
        let wait = duration("WaitTimeSeconds", request.wait_time_seconds, MAX_WAIT)?;
        let started = Instant::now();
        let wait = wait.unwrap_or_else(|| queue.at(started, |state| state.config.receive_wait));
        let deadline = started + wait;
        loop {
            let mut woken = pin!(queue.woken.notified());
            // Registered before the look, so that a change in between is not missed.
            woken.as_mut().enable();
            let now = Instant::now();
            let (taken, next_timer) = self.look(&queue, caller, max, visibility, now)?;
            if !taken.received.is_empty() || now >= deadline {
                let selection = Selection::of(&request);
                let messages =
                    taken.received.iter().map(|received| selection.show(&queue, received));
                return Ok(ReceivedMessages { messages: messages.collect() });
            }
            let until = next_timer.map_or(deadline, |timer| timer.min(deadline));
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    fn look(
        &self,
        queue: &Arc<Queue>,
        caller: &Caller,
        max: usize,
        visibility: Option<Duration>,
        now: Instant,
    ) -> Result<Look> {
        let dead_letters = queue.at(now, |state| self.dead_letter_queue(&state.config));
        let take = |state: &mut State| {
            if state.deleted {
                return Err(SqsError::no_such_queue());
            }
            if state.backlog.is_at_limit() && !queue.fifo {
                let message = "Too many messages in flight: a queue has at most 120000.";
                return Err(SqsError::new(Kind::OverLimit, message));
            }
            let take = Take {
                by: &caller.access_key,
                max,
                visibility: visibility.unwrap_or(state.config.visibility),
                max_receives: dead_letters.as_ref().map(|(_, max_receives)| *max_receives),
                now_millis: self.clock.now_millis(),
            };
            Ok((state.backlog.take(now, take), state.backlog.next_timer()))
        };
        let (mut taken, next_timer) = queue.at(now, take)?;
        if let Some((target, _)) = &dead_letters
            && !taken.dead.is_empty()
        {
            self.bury(queue, target, std::mem::take(&mut taken.dead), now);
        }
        Ok((taken, next_timer))
    }

    /// Moves messages to their dead-letter queue as they are. On a standard queue they keep their
    /// age, on a FIFO queue it begins anew.
    fn bury(&self, from: &Queue, target: &Queue, dead: Vec<Dead>, now: Instant) {
        target.at(now, |state| {
            for Dead { message, life, enqueued } in dead {
                let mut message = Arc::unwrap_or_clone(message);
                message.died_on = Some(source_arn(from));
                let enqueued = if target.fifo { now } else { enqueued };
                if target.fifo {
                    message.sent_millis = self.clock.now_millis();
                }
                state.backlog.push(Arc::new(message), life, enqueued, None);
            }
        });
    }
}

fn max_messages(given: Option<i64>) -> Result<usize> {
    let given = given.unwrap_or(1);
    usize::try_from(given).ok().filter(|max| (1..=10).contains(max)).ok_or_else(|| {
        let reason = "Must be between 1 and 10, if provided.";
        SqsError::invalid("MaxNumberOfMessages", given, reason)
    })
}

/// Refuses names of attributes that no message has.
fn check_system_names(names: &[String]) -> Result<()> {
    const KNOWN: [&str; 10] = [
        "All",
        "AWSTraceHeader",
        "ApproximateFirstReceiveTimestamp",
        "ApproximateReceiveCount",
        "DeadLetterQueueSourceArn",
        "MessageDeduplicationId",
        "MessageGroupId",
        "SenderId",
        "SentTimestamp",
        "SequenceNumber",
    ];
    match names.iter().find(|name| !KNOWN.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let message = format!("Unknown Attribute {name}.");
            Err(SqsError::new(Kind::InvalidAttributeName, message))
        }
    }
}

/// A parameter in seconds, up to a maximum.
pub(super) fn duration(name: &str, given: Option<i64>, max: u64) -> Result<Option<Duration>> {
    let Some(given) = given else { return Ok(None) };
    match u64::try_from(given) {
        Ok(seconds) if seconds <= max => Ok(Some(Duration::from_secs(seconds))),
        _ => {
            let reason = format!("Must be >= 0 and <= {max}, if provided.");
            Err(SqsError::invalid(name, given, &reason))
        }
    }
}

/// Which attributes a receive asked for.
#[derive(Debug)]
struct Selection<'a> {
    system: [&'a [String]; 2],
    own: &'a [String],
}

impl<'a> Selection<'a> {
    fn of(request: &'a Receiving) -> Self {
        Self {
            system: [&request.attribute_names, &request.message_system_attribute_names],
            own: &request.message_attribute_names,
        }
    }

    fn show(&self, queue: &Queue, received: &Received) -> ReceivedMessage {
        let message = &received.message;
        let attributes: BTreeMap<_, _> =
            message.attributes.iter().filter(|(name, _)| self.wants_own(name)).collect();
        ReceivedMessage {
            message_id: message.id.clone(),
            receipt_handle: queue.handle(received.receipt),
            md5_of_body: message.md5_of_body.clone(),
            body: message.body.clone(),
            attributes: self.system_attributes(message, received),
            md5_of_message_attributes: digest::of_attributes(
                attributes.iter().map(|(name, attribute)| (*name, *attribute)),
            ),
            message_attributes: attributes
                .into_iter()
                .map(|(name, attribute)| (name.clone(), attribute.to_wire()))
                .collect(),
        }
    }

    fn system_attributes(
        &self,
        message: &Message,
        received: &Received,
    ) -> BTreeMap<&'static str, String> {
        let life = received.life;
        let all = [
            ("SenderId", Some(message.sender.clone())),
            ("SentTimestamp", Some(message.sent_millis.to_string())),
            ("ApproximateReceiveCount", Some(life.receives.to_string())),
            (
                "ApproximateFirstReceiveTimestamp",
                life.first_received_millis.map(|millis| millis.to_string()),
            ),
            ("SequenceNumber", message.sequence_number.clone()),
            ("MessageGroupId", message.group.clone()),
            ("MessageDeduplicationId", message.deduplication_id.clone()),
            ("AWSTraceHeader", message.trace_header.clone()),
            ("DeadLetterQueueSourceArn", message.died_on.clone()),
        ];
        all.into_iter()
            .filter(|(name, _)| self.wants_system(name))
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }

    fn wants_system(&self, name: &str) -> bool {
        self.system.iter().any(|list| list.iter().any(|asked| asked == "All" || asked == name))
    }

    /// By name, by prefix (`color.*`), or all (`All`, `.*`).
    fn wants_own(&self, name: &str) -> bool {
        self.own.iter().any(|asked| match asked.as_str() {
            "All" | ".*" => true,
            asked => match asked.strip_suffix(".*") {
                Some(prefix) => name.starts_with(prefix),
                None => asked == name,
            },
        })
    }
}
