//! Sending messages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::backlog::Life;
use super::errors::{Kind, Result, SqsError};
use super::fifo::{Accepted, DeduplicationKey};
use super::message::{
    Attribute, Message, Value, check_attributes, check_body, check_fifo_id,
    check_system_attributes, new_id, size,
};
use super::protocol::{Batch, BatchResult, Sending, Sent};
use super::queue::{Queue, State};
use super::{Caller, Sqs, batch, digest};

/// The limit of a batch as a whole: 1 MiB since August 2025.
const MAX_BATCH_BYTES: usize = 1_048_576;

/// A message that passed the checks, before the queue has taken it.
#[derive(Debug)]
struct Draft {
    body: String,
    attributes: BTreeMap<String, Attribute>,
    system_attributes: BTreeMap<String, Attribute>,
    group: Option<String>,
    deduplication_id: Option<String>,
    delay: Option<Duration>,
}

impl Sqs {
    pub(super) fn send(&self, caller: &Caller, sending: Sending, now: Instant) -> Result<Sent> {
        let queue = self.directory.by_url(sending.queue_url.as_deref())?;
        let draft = Draft::check(sending, queue.fifo)?;
        queue.at(now, |state| self.accept(caller, &queue, state, draft, now))
    }

    pub(super) fn send_batch(
        &self,
        caller: &Caller,
        sendings: Batch<Sending>,
        now: Instant,
    ) -> Result<BatchResult<Sent>> {
        let queue = self.directory.by_url(sendings.queue_url.as_deref())?;
        batch::check(sendings.entries.iter().map(|entry| entry.id.as_str()))?;
        let drafts: Vec<_> = sendings
            .entries
            .into_iter()
            .map(|mut entry| {
                let id = std::mem::take(&mut entry.id);
                (id, Draft::check(entry, queue.fifo))
            })
            .collect();
        let bytes = drafts.iter().filter_map(|(_, draft)| Some(draft.as_ref().ok()?.size())).sum();
        check_batch_size(bytes)?;
        Ok(queue.at(now, |state| {
            batch::collect(drafts.into_iter().map(|(id, draft)| {
                let sent = draft.and_then(|draft| self.accept(caller, &queue, state, draft, now));
                let sent = sent.map(|sent| Sent { id: Some(id.clone()), ..sent });
                (id, sent)
            }))
        }))
    }

    fn accept(
        &self,
        caller: &Caller,
        queue: &Queue,
        state: &mut State,
        draft: Draft,
        now: Instant,
    ) -> Result<Sent> {
        if state.deleted {
            return Err(SqsError::no_such_queue());
        }
        let limit = state.config.maximum_message_size;
        if draft.size() > limit {
            let message = format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {limit} \
                 bytes."
            );
            return Err(SqsError::new(Kind::InvalidParameterValue, message));
        }
        let mut sent = Sent {
            message_id: new_id(),
            md5_of_message_body: digest::of_body(&draft.body),
            md5_of_message_attributes: digest::of_attributes(&draft.attributes),
            md5_of_message_system_attributes: digest::of_attributes(&draft.system_attributes),
            ..Sent::default()
        };
        let deduplication_id = match queue.fifo {
            false => None,
            true => {
                let key = draft.deduplication_key(state)?;
                if let Some(earlier) = state.deduplication.earlier(&key, now) {
                    sent.message_id.clone_from(&earlier.message_id);
                    sent.sequence_number = Some(earlier.sequence_number.clone());
                    return Ok(sent);
                }
                let sequence_number = next_sequence_number(state);
                sent.sequence_number = Some(sequence_number.clone());
                let id = key.id.clone();
                let message_id = sent.message_id.clone();
                let accepted = Accepted { message_id, sequence_number };
                state.deduplication.remember(key, accepted, now);
                Some(id)
            }
        };
        let delay = draft.delay.unwrap_or(state.config.delay);
        let message = Message {
            id: sent.message_id.clone(),
            md5_of_body: sent.md5_of_message_body.clone(),
            sequence_number: sent.sequence_number.clone(),
            deduplication_id,
            trace_header: draft.trace_header(),
            body: draft.body,
            attributes: draft.attributes,
            group: draft.group,
            sender: caller.access_key.clone(),
            sent_millis: self.clock.now_millis(),
            died_on: None,
        };
        let delayed_until = (!delay.is_zero()).then(|| now + delay);
        state.backlog.push(Arc::new(message), Life::default(), now, delayed_until);
        Ok(sent)
    }
}

impl Draft {
    fn check(sending: Sending, fifo: bool) -> Result<Self> {
        check_body(sending.message_body.as_deref())?;
        let attributes = check_attributes(&sending.message_attributes)?;
        let system_attributes = check_system_attributes(&sending.message_system_attributes)?;
        if let Some(group) = &sending.message_group_id {
            check_fifo_id("MessageGroupId", group)?;
        } else if fifo {
            return Err(SqsError::missing("MessageGroupId"));
        }
        if let Some(id) = &sending.message_deduplication_id {
            check_fifo_id("MessageDeduplicationId", id)?;
            if !fifo {
                return Err(SqsError::invalid("MessageDeduplicationId", id, WRONG_QUEUE_TYPE));
            }
        }
        Ok(Self {
            delay: check_delay(sending.delay_seconds, fifo)?,
            body: sending.message_body.unwrap_or_default(),
            attributes,
            system_attributes,
            group: sending.message_group_id,
            deduplication_id: sending.message_deduplication_id,
        })
    }

    fn size(&self) -> usize {
        size(&self.body, &self.attributes)
    }

    fn trace_header(&self) -> Option<String> {
        self.system_attributes.values().find_map(|attribute| match &attribute.value {
            Value::Text(text) => Some(text.clone()),
            Value::Binary(_) => None,
        })
    }

    fn deduplication_key(&self, state: &State) -> Result<DeduplicationKey> {
        let id = match &self.deduplication_id {
            Some(id) => id.clone(),
            None if state.config.content_based_deduplication => {
                digest::deduplication_id(&self.body)
            }
            None => {
                let message = "The queue should either have ContentBasedDeduplication enabled or \
                               MessageDeduplicationId provided explicitly";
                return Err(SqsError::new(Kind::InvalidParameterValue, message));
            }
        };
        let scope = self.group.clone().filter(|_| state.config.deduplicates_by_group);
        Ok(DeduplicationKey { scope, id })
    }
}

const WRONG_QUEUE_TYPE: &str =
    "The request includes a parameter that is not valid for this queue type.";

const MAX_DELAY_SECONDS: u64 = 900;

/// A delay of its own is for messages on standard queues only.
fn check_delay(seconds: Option<i64>, fifo: bool) -> Result<Option<Duration>> {
    let Some(given) = seconds else {
        return Ok(None);
    };
    if fifo && given != 0 {
        return Err(SqsError::invalid("DelaySeconds", given, WRONG_QUEUE_TYPE));
    }
    match u64::try_from(given) {
        Ok(_) if fifo => Ok(None),
        Ok(seconds) if seconds <= MAX_DELAY_SECONDS => Ok(Some(Duration::from_secs(seconds))),
        _ => {
            let reason = "DelaySeconds must be >= 0 and <= 900.";
            Err(SqsError::invalid("DelaySeconds", given, reason))
        }
    }
}

fn check_batch_size(bytes: usize) -> Result<()> {
    if bytes <= MAX_BATCH_BYTES {
        return Ok(());
    }
    let message = format!(
        "Batch requests cannot be longer than {MAX_BATCH_BYTES} bytes. You have sent {bytes} bytes."
    );
    Err(SqsError::new(Kind::BatchRequestTooLong, message))
}

/// 20 digits that grow with each message, as AWS's do.
fn next_sequence_number(state: &mut State) -> String {
    const FIRST: u128 = 18_849_496_460_467_696_128;
    state.sent += 1;
    (FIRST + u128::from(state.sent) * 256).to_string()
}
