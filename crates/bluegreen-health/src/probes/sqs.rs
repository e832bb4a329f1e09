use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Config;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::types::QueueAttributeName::{
    ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed,
    ApproximateNumberOfMessagesNotVisible,
};
use tokio::time::{Instant, timeout};

use super::aws;
use crate::{Fault, Pass, Probe};

/// How long the age of the oldest message may take, which is less than a run.
const AGE_WITHIN: Duration = Duration::from_secs(1);

type Age = Pin<Box<dyn Future<Output = Option<Duration>> + Send>>;

/// Asks for the attributes of the queue that the service uses, and shows its depth.
///
/// It needs the permission `sqs:GetQueueAttributes`. A throttled queue is degraded; a denied or
/// missing one is misconfigured, and unhealthy. The numbers are SQS's own approximations: they may
/// lag by about a minute.
///
/// SQS itself tells no message's age. What is shown is how long ago this process last saw the queue
/// empty (`seconds_since_seen_empty`), once it has: about as old the oldest message may be. The age
/// itself (`oldest_message_seconds`) is CloudWatch's metric `ApproximateAgeOfOldestMessage`, by
/// [`oldest_message`](Self::oldest_message):
///
/// ```
/// # use std::time::Duration;
/// # use bluegreen_health::SqsProbe;
/// # async fn from_cloudwatch() -> Option<Duration> { None }
/// # fn probe(client: aws_sdk_sqs::Client) -> SqsProbe {
/// SqsProbe::new(client, "https://sqs.eu-west-1.amazonaws.com/123456789012/orders")
///     .oldest_message(|| from_cloudwatch())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a probe asks nothing before a health runs it"]
pub struct SqsProbe {
    client: Client,
    queue_url: String,
    age: Option<Arc<dyn Fn() -> Age + Send + Sync>>,
}

impl SqsProbe {
    /// A probe of this queue.
    pub fn new(client: Client, queue_url: impl Into<String>) -> Self {
        Self { client, queue_url: queue_url.into(), age: None }
    }

    /// The same showing the age of the oldest message, by a closure that answers nothing when it
    /// does not know: that is no failure of the queue. It is asked beside the queue, and given up
    /// after a second.
    pub fn oldest_message<F>(mut self, age: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Option<Duration>> + Send + 'static,
    {
        self.age = Some(Arc::new(move || Box::pin(age())));
        self
    }

    async fn ask(self, empty: Arc<LastEmpty>) -> Result<Pass, Fault> {
        // The next run is the retry.
        let once = Config::builder().retry_config(RetryConfig::disabled());
        let numbers = [
            ("visible_messages", ApproximateNumberOfMessages),
            ("messages_under_way", ApproximateNumberOfMessagesNotVisible),
            ("delayed_messages", ApproximateNumberOfMessagesDelayed),
        ];
        let mut request = self.client.get_queue_attributes().queue_url(self.queue_url);
        for (_, attribute) in &numbers {
            request = request.attribute_names(attribute.clone());
        }
        let answer = request.customize().config_override(once).send();
        let (answer, oldest) = tokio::join!(answer, oldest(self.age));
        let answer = answer.map_err(aws::fault)?;
        let (mut pass, mut messages) = (Pass::new(), Some(0_u64));
        for (name, attribute) in numbers {
            let value = answer.attributes().and_then(|attributes| attributes.get(&attribute));
            let value = value.and_then(|value| value.parse().ok());
            messages = messages.zip(value).map(|(sum, value)| sum.saturating_add(value));
            if let Some(value) = value {
                pass = pass.observing(name, value);
            }
        }
        if let Some(seconds) = empty.seconds(messages == Some(0), Instant::now()) {
            pass = pass.observing("seconds_since_seen_empty", seconds);
        }
        if let Some(oldest) = oldest {
            pass = pass.observing("oldest_message_seconds", oldest.as_secs());
        }
        Ok(pass)
    }
}

async fn oldest(age: Option<Arc<dyn Fn() -> Age + Send + Sync>>) -> Option<Duration> {
    timeout(AGE_WITHIN, age?()).await.ok().flatten()
}

/// When the queue was last seen empty.
#[derive(Debug, Default)]
struct LastEmpty(Mutex<Option<Instant>>);

impl LastEmpty {
    fn seconds(&self, empty: bool, now: Instant) -> Option<u64> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if empty {
            *last = Some(now);
        }
        last.map(|last| now.saturating_duration_since(last).as_secs())
    }
}

impl From<SqsProbe> for Probe {
    fn from(probe: SqsProbe) -> Self {
        let empty = Arc::new(LastEmpty::default());
        Self::new(move || probe.clone().ask(Arc::clone(&empty)))
    }
}

impl std::fmt::Debug for SqsProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqsProbe").field("queue_url", &self.queue_url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_counts_from_when_the_queue_was_seen_empty_and_not_before() {
        let (empty, start) = (LastEmpty::default(), Instant::now());
        let at = |secs| start + Duration::from_secs(secs);
        let looks = [(false, 0, None), (true, 50, Some(0)), (false, 65, Some(15))];
        for (is_empty, secs, expected) in looks {
            assert_eq!(empty.seconds(is_empty, at(secs)), expected, "at {secs}");
        }
    }
}
