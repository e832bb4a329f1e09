mod class;
mod counts;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::{Backoff, Stop};
use tokio::time::{Instant, sleep, timeout_at};

pub use class::{Classify, RetryClass};
pub use counts::RetryCounts;

pub(crate) use counts::Counters;

/// Repeats calls of an AWS SDK that fail for a reason that passes: with full jitter, up to a number
/// of tries and a deadline, and no longer than the process lives. Clones share their counts.
///
/// The SDK repeats calls itself, in its modes *standard* (3 tries, 4 for DynamoDB under the newer
/// rules) and *adaptive* (the same, and slower for the whole client once it is throttled: use one
/// client for each table then). For most calls one of these is all it takes, and a second loop
/// around it would multiply the tries. This is for calls whose tries are to be counted and bounded
/// here instead: give their client `RetryConfig::disabled()`, or override it for the call as below.
///
/// A call may be applied more often than once: an answer can be lost. It must bear that, as reads
/// and conditional writes do.
///
/// ```no_run
/// # use std::time::Duration;
/// # use aws_sdk_dynamodb::Client;
/// # use aws_sdk_dynamodb::config::{Config, retry::RetryConfig};
/// # use bluegreen_core::Stop;
/// # use bluegreen_items::RetryPolicy;
/// # async fn example(client: Client, stop: Stop) -> Result<(), Box<dyn std::error::Error>> {
/// let policy = RetryPolicy::default().with_tries(8).with_budget(Duration::from_secs(20));
/// let once = || Config::builder().retry_config(RetryConfig::disabled());
/// let call = || {
///     client.describe_table().table_name("orders").customize().config_override(once()).send()
/// };
/// let table = policy.run(&stop, call).await?;
/// println!("{:?}, throttled {} times", table.table(), policy.counts().throttling);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    tries: u32,
    backoff: Backoff,
    budget: Duration,
    counters: Arc<Counters>,
}

impl Default for RetryPolicy {
    /// 10 tries, with pauses from 25 milliseconds to 20 seconds, within a minute.
    fn default() -> Self {
        let backoff = Backoff::new(Duration::from_millis(25), Duration::from_secs(20));
        Self {
            tries: 10,
            backoff: backoff.unwrap_or_default(),
            budget: Duration::from_secs(60),
            counters: Arc::default(),
        }
    }
}

/// A call that failed for good.
#[derive(Debug, thiserror::Error)]
#[error("{gave_up} (try {tries})")]
#[non_exhaustive]
pub struct Failed<E: std::error::Error + 'static> {
    /// What the last try that was answered said; nothing when the first was cut off.
    #[source]
    pub error: Option<E>,
    /// How often it was tried.
    pub tries: u32,
    /// Why it was not tried again.
    pub gave_up: GaveUp,
}

/// Why a call is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GaveUp {
    /// Its error does not pass.
    Permanent,
    /// It was tried as often as it may be.
    Tries,
    /// Its time is over.
    Budget,
    /// The process stops.
    Stopped,
}

impl RetryPolicy {
    /// So many tries in all, the first included; 0 counts as 1.
    #[must_use]
    pub const fn with_tries(mut self, tries: u32) -> Self {
        self.tries = tries;
        self
    }

    /// The pauses between tries, under full jitter.
    #[must_use]
    pub const fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// The time that all tries may take together; a try under way is cut off at its end.
    #[must_use]
    pub const fn with_budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    pub(crate) const fn backoff(&self) -> Backoff {
        self.backoff
    }

    pub(crate) const fn budget(&self) -> Duration {
        self.budget
    }

    /// What was repeated so far, by this policy and its clones.
    #[must_use]
    pub fn counts(&self) -> RetryCounts {
        self.counters.read()
    }

    /// Calls until an answer is good, or until it is time to give up.
    ///
    /// When `stop` is requested no further try begins, and one under way has until the stop's
    /// deadline. Cancel safety: dropped, the try under way has happened or not.
    ///
    /// # Errors
    /// With the last answer, and why no further try was made.
    pub async fn run<O, E, F>(
        &self,
        stop: &Stop,
        mut call: impl FnMut() -> F,
    ) -> Result<O, Failed<E>>
    where
        E: Classify + std::error::Error + 'static,
        F: Future<Output = Result<O, E>>,
    {
        let deadline = Instant::now() + self.budget.min(crate::config::LONGEST_BUDGET);
        let mut error = None;
        for tries in 1.. {
            let answer = tokio::select! {
                biased;
                answer = timeout_at(deadline, call()) => answer,
                () = stop.expired() => return Err(self.failed(error, tries, GaveUp::Stopped)),
            };
            let failure = match answer {
                Ok(Ok(output)) => return Ok(output),
                Ok(Err(failure)) => failure,
                Err(_) => return Err(self.failed(error, tries, GaveUp::Budget)),
            };
            let Some(class) = failure.retry_class() else {
                return Err(self.failed(Some(failure), tries, GaveUp::Permanent));
            };
            let pause = self.backoff.delay(tries - 1, fastrand::u64(..));
            let pause = failure.retry_after().map_or(pause, |asked| pause.max(asked));
            error = Some(failure);
            if tries >= self.tries {
                return Err(self.failed(error, tries, GaveUp::Tries));
            }
            if Instant::now() + pause >= deadline {
                return Err(self.failed(error, tries, GaveUp::Budget));
            }
            tokio::select! {
                biased;
                _ = stop.requested() => return Err(self.failed(error, tries, GaveUp::Stopped)),
                () = sleep(pause) => self.counters.retried(class),
            }
        }
        Err(self.failed(error, self.tries, GaveUp::Tries))
    }

    fn failed<E: std::error::Error>(
        &self,
        error: Option<E>,
        tries: u32,
        gave_up: GaveUp,
    ) -> Failed<E> {
        if gave_up != GaveUp::Permanent {
            self.counters.gave_up();
        }
        Failed { error, tries, gave_up }
    }
}

impl std::fmt::Display for GaveUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Permanent => "the call failed for good",
            Self::Tries => "the call failed too often",
            Self::Budget => "the time for the call is over",
            Self::Stopped => "the call was given up because the process stops",
        })
    }
}

#[cfg(test)]
mod tests;
