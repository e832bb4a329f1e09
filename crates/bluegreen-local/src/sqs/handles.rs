//! What is done with a receipt handle: deleting its message, and changing its visibility.

use std::time::Duration;

use tokio::time::Instant;

use super::backlog::{Backlog, Receipt, Standing};
use super::errors::{Kind, Result, SqsError};
use super::protocol::{Batch, BatchResult, Done, DoneEntry, Handling};
use super::queue::Queue;
use super::receive::duration;
use super::{Sqs, batch};

/// A message can stay in flight for so long after its receive, however often that is extended.
const MAX_IN_FLIGHT: Duration = Duration::from_secs(43_200);

impl Sqs {
    pub(super) fn delete(&self, request: &Handling, now: Instant) -> Result<Done> {
        let queue = self.directory.by_url(request.queue_url.as_deref())?;
        delete(&queue, request, now)?;
        Ok(Done {})
    }

    pub(super) fn delete_batch(
        &self,
        request: &Batch<Handling>,
        now: Instant,
    ) -> Result<BatchResult<DoneEntry>> {
        self.for_each_entry(request, |queue, entry| delete(queue, entry, now))
    }

    pub(super) fn change(&self, request: &Handling, now: Instant) -> Result<Done> {
        let queue = self.directory.by_url(request.queue_url.as_deref())?;
        change_visibility(&queue, request, now)?;
        Ok(Done {})
    }

    pub(super) fn change_batch(
        &self,
        request: &Batch<Handling>,
        now: Instant,
    ) -> Result<BatchResult<DoneEntry>> {
        self.for_each_entry(request, |queue, entry| change_visibility(queue, entry, now))
    }

    fn for_each_entry(
        &self,
        request: &Batch<Handling>,
        act: impl Fn(&Queue, &Handling) -> Result<()>,
    ) -> Result<BatchResult<DoneEntry>> {
        let queue = self.directory.by_url(request.queue_url.as_deref())?;
        batch::check(request.entries.iter().map(|entry| entry.id.as_str()))?;
        Ok(batch::collect(request.entries.iter().map(|entry| {
            let done = act(&queue, entry).map(|()| DoneEntry { id: entry.id.clone() });
            (entry.id.clone(), done)
        })))
    }
}

/// On a standard queue any handle that was ever given out will do, but one that is not the newest
/// leaves the message alone. A FIFO queue refuses a handle that has expired.
fn delete(queue: &Queue, request: &Handling, now: Instant) -> Result<()> {
    let handle = request.receipt_handle.as_deref();
    let receipt = queue.receipt(handle)?;
    queue.at(now, |state| match state.backlog.standing(receipt) {
        Standing::InFlight => {
            state.backlog.delete(receipt);
            Ok(())
        }
        Standing::Gone => Ok(()),
        Standing::Expired | Standing::Superseded if queue.fifo => {
            let reason = "The receipt handle has expired.";
            Err(SqsError::invalid("ReceiptHandle", handle.unwrap_or_default(), reason))
        }
        Standing::Expired => {
            state.backlog.delete(receipt);
            Ok(())
        }
        Standing::Superseded => {
            state.backlog.miss(receipt);
            Ok(())
        }
    })
}

fn change_visibility(queue: &Queue, request: &Handling, now: Instant) -> Result<()> {
    let handle = request.receipt_handle.as_deref();
    let receipt = queue.receipt(handle)?;
    let visibility =
        duration("VisibilityTimeout", request.visibility_timeout, MAX_IN_FLIGHT.as_secs())?
            .ok_or_else(|| SqsError::missing("VisibilityTimeout"))?;
    queue.at(now, |state| {
        check_changeable(&state.backlog, receipt, handle.unwrap_or_default())?;
        if state.backlog.since_receive(receipt, now) + visibility > MAX_IN_FLIGHT {
            let reason = "Total VisibilityTimeout for the message is beyond the limit [43200 \
                          seconds].";
            let seconds = visibility.as_secs();
            return Err(SqsError::invalid("VisibilityTimeout", seconds, reason));
        }
        state.backlog.set_visibility(receipt, now, visibility);
        Ok(())
    })
}

fn check_changeable(backlog: &Backlog, receipt: Receipt, handle: &str) -> Result<()> {
    match backlog.standing(receipt) {
        Standing::InFlight => Ok(()),
        Standing::Expired => {
            let message = "The message is not in flight: its visibility timeout has ended.";
            Err(SqsError::new(Kind::MessageNotInflight, message))
        }
        Standing::Superseded | Standing::Gone => {
            let reason =
                "Message does not exist or is not available for visibility timeout change.";
            Err(SqsError::invalid("ReceiptHandle", handle, reason))
        }
    }
}
