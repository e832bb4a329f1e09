use std::time::Duration;

use tokio::time::sleep;

use super::{Change, Outcome, Store, StoreError};
use crate::{Backoff, Deployment, ServiceKey, TransitionError, WriteId};

/// How often an update reads and writes again before it gives up.
const TRIES: u32 = 12;

/// Changes a deployment: reads it, asks `transition` for the next, writes that, and begins again
/// from the new record where another change came first.
///
/// The answer is the deployment that this call wrote, at its own revision; others may have written
/// since. Cancel safety: dropped, the change has happened or not.
///
/// ```
/// # use bluegreen_core::{update, Color, Deployment, MemoryStore, Release, ServiceKey, UpdateError};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let orders = ServiceKey::new("orders")?;
/// let (one, two) = (Release::new("1")?, Release::new("2")?);
/// update(&store, &orders, |current| match current {
///     None => Ok(Deployment::first(orders.clone(), Color::Blue, one.clone())),
///     Some(current) => Ok(current.clone()),
/// }).await?;
/// let deployment = update(&store, &orders, |current| {
///     let current = current.ok_or(UpdateError::NoRecord)?;
///     Ok(current.begin(Color::Green, two.clone())?)
/// }).await?;
/// assert_eq!(deployment.phase().to_string(), "shift to green at 0 %");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// What `transition` answers; what the store answers, once it has been tried 12 times where trying
/// again makes sense.
pub async fn update<S: Store>(
    store: &S,
    service: &ServiceKey,
    mut transition: impl FnMut(Option<&Deployment>) -> Result<Deployment, UpdateError>,
) -> Result<Deployment, UpdateError> {
    let mut current = with_retries(|| store.load(service)).await?;
    for try_number in 0..TRIES {
        let next = transition(current.as_ref())?;
        if Some(&next) == current.as_ref() {
            return Ok(next);
        }
        let change = Change::new(next, WriteId::new(fastrand::u128(..)));
        match with_retries(|| store.compare_and_set(&change)).await? {
            Outcome::Won => return Ok(change.next().clone()),
            Outcome::Lost(found) => current = found.map(|found| *found),
        }
        sleep(Backoff::default().delay(try_number, fastrand::u64(..))).await;
    }
    Err(UpdateError::Contended { tries: TRIES })
}

async fn with_retries<T, F>(mut call: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let backoff =
        Backoff::new(Duration::from_millis(20), Duration::from_secs(1)).unwrap_or_default();
    let mut try_number = 0;
    loop {
        match call().await {
            Err(error) if error.is_retryable() && try_number < TRIES => {
                tracing::warn!(%error, try_number, "the store did not answer, trying again");
                sleep(backoff.delay(try_number, fastrand::u64(..))).await;
                try_number += 1;
            }
            answer => return answer,
        }
    }
}

/// A deployment was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The service has no deployment yet.
    #[error("the service has no deployment record")]
    NoRecord,
    /// The deployment's phase does not allow the change.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// The store did not do it.
    #[error("the deployment could not be written")]
    Store(#[from] StoreError),
    /// Others were first each time.
    #[error("others changed the deployment first, {tries} times in a row")]
    Contended {
        /// How often it was tried.
        tries: u32,
    },
    /// The caller's own reason against the change.
    #[error("{0}")]
    Refused(String),
}
