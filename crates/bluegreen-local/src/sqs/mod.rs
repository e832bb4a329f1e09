//! A stand-in for SQS: standard and FIFO queues, over the JSON 1.0 protocol.
//!
//! Strict where AWS is strict. Where AWS leaves things open, this queue does the same thing every
//! time: a standard queue delivers in order of age and only once per visibility, a purge is done
//! when it returns, and counts are right unless [`Sqs::stale_counts`] says otherwise.

mod attributes;
mod backlog;
mod batch;
mod digest;
mod directory;
mod errors;
mod fifo;
mod handles;
mod in_part;
mod journal;
mod message;
mod protocol;
mod queue;
mod receive;
mod send;

use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::Clock;
use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response};
use tokio::time::Instant;

use directory::Directory;
use errors::{Kind, Result, SqsError};
pub use journal::{Event, Happening};
use protocol::{Batch, Handling, QueueRequest, Receiving, Sending, read, write};

use crate::World;

/// The queues of a world. Clones share them.
#[derive(Clone, Debug)]
pub struct Sqs {
    clock: Clock,
    directory: Arc<Directory>,
}

/// Who calls, and by which address.
#[derive(Clone, Debug)]
struct Caller {
    access_key: String,
    /// The address that the caller reached this world by: queue URLs begin with it, so that a
    /// client that posts to them comes back here.
    base_url: String,
}

impl Sqs {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, directory: Arc::default() }
    }

    /// Lets the counts of all present and future queues lag by up to this time, as AWS's may by a
    /// minute; zero makes them exact again. They are those of the last of the moments now,
    /// now + `lag`, now + 2 × `lag`, …
    pub fn stale_counts(&self, lag: Duration) {
        self.directory.set_stale_counts(Instant::now(), lag);
    }

    /// Writes down what happens to the messages of a queue from now on.
    pub fn keep_journal(&self, queue_name: &str) {
        if let Some(queue) = self.directory.by_name(queue_name) {
            queue.at(Instant::now(), |state| state.backlog.journal.keep());
        }
    }

    /// What happened to the messages of a queue since [`keep_journal`](Self::keep_journal), in
    /// order.
    #[must_use]
    pub fn journal(&self, queue_name: &str) -> Vec<Happening> {
        let queue = self.directory.by_name(queue_name);
        let read = |state: &mut queue::State| state.backlog.journal.read();
        queue.map(|queue| queue.at(Instant::now(), read)).unwrap_or_default()
    }

    pub(crate) async fn handle(
        &self,
        operation: &str,
        access_key: &str,
        request: &Request<Bytes>,
    ) -> Response<Bytes> {
        let base_url = base_url(request);
        let caller = Caller { access_key: access_key.to_owned(), base_url };
        let result = self.dispatch(operation, &caller, request.body()).await;
        result.unwrap_or_else(SqsError::into_response)
    }

    async fn dispatch(
        &self,
        operation: &str,
        caller: &Caller,
        body: &Bytes,
    ) -> Result<Response<Bytes>> {
        let now = Instant::now();
        match operation {
            "SendMessage" => write(&self.send(caller, read::<Sending>(body)?, now)?),
            "SendMessageBatch" => {
                write(&self.send_batch(caller, read::<Batch<Sending>>(body)?, now)?)
            }
            "ReceiveMessage" => write(&self.receive(caller, read::<Receiving>(body)?).await?),
            "DeleteMessage" => write(&self.delete(&read::<Handling>(body)?, now)?),
            "DeleteMessageBatch" => {
                write(&self.delete_batch(&read::<Batch<Handling>>(body)?, now)?)
            }
            "ChangeMessageVisibility" => write(&self.change(&read::<Handling>(body)?, now)?),
            "ChangeMessageVisibilityBatch" => {
                write(&self.change_batch(&read::<Batch<Handling>>(body)?, now)?)
            }
            _ => self.dispatch_to_directory(operation, caller, body, now),
        }
    }

    fn dispatch_to_directory(
        &self,
        operation: &str,
        caller: &Caller,
        body: &Bytes,
        now: Instant,
    ) -> Result<Response<Bytes>> {
        let request = || read::<QueueRequest>(body);
        match operation {
            "CreateQueue" => write(&self.create_queue(caller, &request()?, now)?),
            "GetQueueUrl" => write(&self.queue_url(caller, &request()?)?),
            "ListQueues" => write(&self.list_queues(caller, &request()?)?),
            "DeleteQueue" => write(&self.delete_queue(&request()?, now)?),
            "PurgeQueue" => write(&self.purge_queue(&request()?, now)?),
            "GetQueueAttributes" => write(&self.queue_attributes(&request()?, now)?),
            "SetQueueAttributes" => write(&self.set_queue_attributes(&request()?, now)?),
            _ => {
                let message = format!("The stand-in for SQS does not know {operation}.");
                Err(SqsError::new(Kind::UnknownOperation, message))
            }
        }
    }
}

fn base_url(request: &Request<Bytes>) -> String {
    let uri = request.uri();
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme), Some(authority)) => format!("{scheme}://{authority}"),
        _ => {
            let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
            match host {
                Some(host) => format!("http://{host}"),
                None => format!("https://sqs.{}.amazonaws.com", World::REGION),
            }
        }
    }
}
