//! The queues by name, and the operations on a queue as a whole.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::attributes::{QueueConfig, check_names};
use super::errors::{Kind, Result, SqsError};
use super::protocol::{Attributes, Done, QueueRequest, QueueUrl, QueueUrls};
use super::queue::{Queue, arn, check_name, is_fifo_name};
use super::{Caller, Sqs};
use crate::World;

/// A name is taken for so long after its queue was deleted, and a purge for so long after another.
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Directory(Mutex<Queues>);

#[derive(Debug, Default)]
struct Queues {
    by_name: BTreeMap<String, Arc<Queue>>,
    deleted: HashMap<String, Instant>,
    /// The lag of counts and since when, for queues to come.
    stale: Option<(Instant, Duration)>,
}

impl Directory {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn by_name(&self, name: &str) -> Option<Arc<Queue>> {
        self.queues().by_name.get(name).cloned()
    }

    pub(super) fn by_arn(&self, queue_arn: &str) -> Option<Arc<Queue>> {
        let (_, name) = queue_arn.rsplit_once(':')?;
        self.by_name(name).filter(|queue| queue.arn() == queue_arn)
    }

    /// The queue of a URL: whatever its host, the last part of the path is the name.
    pub(super) fn by_url(&self, url: Option<&str>) -> Result<Arc<Queue>> {
        let url = url.ok_or_else(|| SqsError::missing("QueueUrl"))?;
        let Some((_, name)) = url.rsplit_once('/') else {
            let message = format!("The address {url} is not valid for this endpoint.");
            return Err(SqsError::new(Kind::InvalidAddress, message));
        };
        self.by_name(name).ok_or_else(SqsError::no_such_queue)
    }

    pub(super) fn set_stale_counts(&self, now: Instant, lag: Duration) {
        let mut queues = self.queues();
        queues.stale = (!lag.is_zero()).then_some((now, lag));
        for queue in queues.by_name.values() {
            queue.set_stale_counts(now, lag);
        }
    }
}

impl Sqs {
    /// Creates a queue; one that exists with these attributes is left as it is.
    pub(super) fn create_queue(
        &self,
        caller: &Caller,
        request: &QueueRequest,
        now: Instant,
    ) -> Result<QueueUrl> {
        let name = queue_name(request)?;
        check_name(name)?;
        let fifo = is_fifo_name(name);
        if fifo != request.attributes.contains_key("FifoQueue") {
            return Err(name_and_kind_differ(fifo));
        }
        let config = QueueConfig::default().with(&request.attributes, fifo)?;
        self.check_dead_letter_queue(&config, fifo)?;
        let mut queues = self.directory.queues();
        if let Some(present) = queues.by_name.get(name) {
            let shown = present.attributes(now);
            let asked = config.shown(fifo);
            let same = request
                .attributes
                .keys()
                .all(|attribute| shown.get(attribute.as_str()) == asked.get(attribute.as_str()));
            return if same { Ok(url(caller, name)) } else { Err(exists_with_others()) };
        }
        queues.deleted.retain(|_, at| now.saturating_duration_since(*at) < MINUTE);
        if queues.deleted.contains_key(name) {
            let message = "You must wait 60 seconds after deleting a queue before you can create \
                           another with the same name.";
            return Err(SqsError::new(Kind::QueueDeletedRecently, message));
        }
        let queue = Queue::new(name, config, self.clock.now_millis());
        if let Some((_, lag)) = queues.stale {
            queue.set_stale_counts(now, lag);
        }
        queues.by_name.insert(name.to_owned(), Arc::new(queue));
        Ok(url(caller, name))
    }

    fn check_dead_letter_queue(&self, config: &QueueConfig, fifo: bool) -> Result<()> {
        let Some(redrive) = &config.redrive else {
            return Ok(());
        };
        // One of the other kind does not count: the target of a FIFO queue is a FIFO queue.
        let target = self.directory.by_arn(&redrive.target);
        if target.is_some_and(|target| target.fifo == fifo) {
            return Ok(());
        }
        let reason = "Dead letter target does not exist.";
        Err(SqsError::invalid("RedrivePolicy", &redrive.target, reason))
    }

    pub(super) fn queue_url(&self, caller: &Caller, request: &QueueRequest) -> Result<QueueUrl> {
        let name = queue_name(request)?;
        let queue = self.directory.by_name(name).ok_or_else(SqsError::no_such_queue)?;
        Ok(url(caller, &queue.name))
    }

    /// The queues by name; a page only where `MaxResults` asks for one.
    pub(super) fn list_queues(&self, caller: &Caller, request: &QueueRequest) -> Result<QueueUrls> {
        let limit = match request.max_results {
            None => 1_000,
            Some(max) => usize::try_from(max)
                .ok()
                .filter(|max| (1..=1_000).contains(max))
                .ok_or_else(|| SqsError::invalid("MaxResults", max, "Must be from 1 to 1000."))?,
        };
        let prefix = request.queue_name_prefix.as_deref().unwrap_or_default();
        let after = request.next_token.as_deref().unwrap_or_default();
        let queues = self.directory.queues();
        let mut matching =
            queues.by_name.keys().filter(|name| name.starts_with(prefix) && name.as_str() > after);
        let page: Vec<_> = matching.by_ref().take(limit).collect();
        let more = request.max_results.is_some() && matching.next().is_some();
        let next_token = page.last().filter(|_| more).map(|name| (*name).clone());
        let queue_urls = page.iter().map(|name| url(caller, name).queue_url).collect();
        Ok(QueueUrls { queue_urls, next_token })
    }

    pub(super) fn delete_queue(&self, request: &QueueRequest, now: Instant) -> Result<Done> {
        let queue = self.directory.by_url(request.queue_url.as_deref())?;
        let mut queues = self.directory.queues();
        queues.by_name.remove(&queue.name);
        queues.deleted.insert(queue.name.clone(), now);
        drop(queues);
        queue.at(now, |state| state.deleted = true);
        Ok(Done {})
    }

    pub(super) fn purge_queue(&self, request: &QueueRequest, now: Instant) -> Result<Done> {
        let queue = self.directory.by_url(request.queue_url.as_deref())?;
        queue.at(now, |state| {
            let since = state.purged.map(|at| now.saturating_duration_since(at));
            if since.is_some_and(|since| since < MINUTE) {
                let message = format!(
                    "Only one PurgeQueue operation on {} is allowed every 60 seconds.",
                    queue.name
                );
                return Err(SqsError::new(Kind::PurgeQueueInProgress, message));
            }
            state.purged = Some(now);
            state.backlog.clear();
            Ok(Done {})
        })
    }

    pub(super) fn queue_attributes(
        &self,
        request: &QueueRequest,
        now: Instant,
    ) -> Result<Attributes> {
        let queue = self.directory.by_url(request.queue_url.as_deref())?;
        let names = &request.attribute_names;
        check_names(names)?;
        let mut attributes = queue.attributes(now);
        if !names.iter().any(|name| name == "All") {
            attributes.retain(|shown, _| names.iter().any(|name| name == shown));
        }
        Ok(Attributes { attributes })
    }

    pub(super) fn set_queue_attributes(
        &self,
        request: &QueueRequest,
        now: Instant,
    ) -> Result<Done> {
        let queue = self.directory.by_url(request.queue_url.as_deref())?;
        let config = queue.at(now, |state| state.config.clone());
        let config = config.with(&request.attributes, queue.fifo)?;
        self.check_dead_letter_queue(&config, queue.fifo)?;
        queue.at(now, |state| {
            state.config = config;
            state.modified_millis = self.clock.now_millis();
        });
        Ok(Done {})
    }

    /// Where the dead messages of a queue go, and after how many receives. A target that was
    /// deleted leaves them where they are.
    pub(super) fn dead_letter_queue(&self, config: &QueueConfig) -> Option<(Arc<Queue>, u32)> {
        let redrive = config.redrive.as_ref()?;
        let target = self.directory.by_arn(&redrive.target)?;
        Some((target, redrive.max_receives))
    }
}

fn queue_name(request: &QueueRequest) -> Result<&str> {
    request.queue_name.as_deref().ok_or_else(|| SqsError::missing("QueueName"))
}

fn url(caller: &Caller, name: &str) -> QueueUrl {
    QueueUrl { queue_url: format!("{}/{}/{name}", caller.base_url, World::ACCOUNT_ID) }
}

fn name_and_kind_differ(fifo: bool) -> SqsError {
    let message = if fifo {
        "The name of a queue ends with .fifo only where the attribute FifoQueue is true."
    } else {
        "The name of a FIFO queue can only include alphanumeric characters, hyphens, or \
         underscores, must end with .fifo suffix and be 1 to 80 in length."
    };
    SqsError::new(Kind::InvalidParameterValue, message)
}

fn exists_with_others() -> SqsError {
    let message = "A queue already exists with the same name and a different value for an \
                   attribute.";
    SqsError::new(Kind::QueueNameExists, message)
}

/// Names the source of dead messages.
pub(super) fn source_arn(queue: &Queue) -> String {
    arn(&queue.name)
}
