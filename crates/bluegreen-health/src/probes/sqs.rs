use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Config;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::get_queue_attributes::GetQueueAttributesError;
use aws_sdk_sqs::types::QueueAttributeName::{
    ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible,
};

use super::aws;
use crate::{Fault, FaultKind, Pass, Probe};

/// Asks for the attributes of the queue that the service uses, and shows its depth.
///
/// It needs the permission `sqs:GetQueueAttributes`. A throttled queue is degraded; a denied or
/// missing one is unhealthy.
#[derive(Clone, Debug)]
#[must_use = "a probe asks nothing before a health runs it"]
pub struct SqsProbe {
    client: Client,
    queue_url: String,
}

impl SqsProbe {
    /// A probe of this queue.
    pub fn new(client: Client, queue_url: impl Into<String>) -> Self {
        Self { client, queue_url: queue_url.into() }
    }

    async fn ask(self) -> Result<Pass, Fault> {
        // The next run is the retry.
        let once = Config::builder().retry_config(RetryConfig::disabled());
        let request = self.client.get_queue_attributes().queue_url(self.queue_url);
        let request = request.attribute_names(ApproximateNumberOfMessages);
        let request = request.attribute_names(ApproximateNumberOfMessagesNotVisible);
        let answer = request.customize().config_override(once).send().await.map_err(fault)?;
        let numbers = [
            ("visible_messages", ApproximateNumberOfMessages),
            ("messages_under_way", ApproximateNumberOfMessagesNotVisible),
        ];
        let mut pass = Pass::new();
        for (name, attribute) in numbers {
            let value = answer.attributes().and_then(|attributes| attributes.get(&attribute));
            if let Some(value) = value.and_then(|value| value.parse().ok()) {
                pass = pass.observing(name, value);
            }
        }
        Ok(pass)
    }
}

impl From<SqsProbe> for Probe {
    fn from(probe: SqsProbe) -> Self {
        Self::new(move || probe.clone().ask())
    }
}

fn fault<R>(error: SdkError<GetQueueAttributesError, R>) -> Fault
where
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let kind = match &error {
        SdkError::ServiceError(answer) => aws::kind(answer.err().code()),
        SdkError::TimeoutError(_) => FaultKind::TimedOut,
        SdkError::DispatchFailure(_) => FaultKind::Unreachable,
        SdkError::ConstructionFailure(_) => FaultKind::Misconfigured,
        _ => FaultKind::Failed,
    };
    Fault::new(kind).caused_by(error)
}
