use std::time::Duration;

use tokio::time::sleep;

use super::{Change, Decision, Outcome, Store, StoreError};
use crate::{Backoff, Deployment, Revision, ServiceKey, TransitionError, WriteId};

/// How often an update reads and writes again before it gives up.
const TRIES: u32 = 12;

/// Changes a deployment: reads it, asks `transition` for the next, writes that, and begins again
/// from the new record where another change came first.
///
/// The answer is the deployment that this call wrote, at its own revision; others may have written
/// since. Where `transition` answers the very record it was given, nothing is written: that, like a
/// refusal of its own, rests on [`Store::load`] alone, so let the store read consistently where
/// stale reads matter. Cancel safety: dropped, the change has happened or not. A store that never
/// answers is waited for; put a time limit around it.
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
/// What `transition` answers; [`UpdateError::NotNext`] when what it made does not follow the record;
/// what the store answers, once it has been tried again 12 times where that makes sense.
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
        if !matches!(change.decide(current.as_ref()), Ok(Decision::Write)) {
            let current = current.map(|current| current.revision());
            return Err(UpdateError::NotNext { next: change.next().revision(), current });
        }
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
    /// What the transition made can never be written: a first record where there is one, or one
    /// that was not made from the record given.
    #[error("revision {next} does not follow the record, which is at revision {}", current.unwrap_or_default())]
    NotNext {
        /// The revision of what the transition made.
        next: Revision,
        /// The revision of the record; nothing where there is none.
        current: Option<Revision>,
    },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Color, MemoryStore, Release};
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_transition_that_does_not_follow_the_record_is_refused_at_once() {
        let key = ServiceKey::new("orders").unwrap();
        let first = Deployment::first(key.clone(), Color::Blue, Release::new("1").unwrap());
        let store = MemoryStore::new();
        update(&store, &key, |_| Ok(first.clone())).await.unwrap();
        let before = Instant::now();
        let error = update(&store, &key, |_| Ok(first.clone())).await.unwrap_err();
        assert_eq!(before.elapsed(), Duration::ZERO, "{error}");
        assert_eq!(store.load(&key).await.unwrap().unwrap().revision(), Revision::FIRST);

        let second = update(&store, &key, |now| Ok(now.unwrap().taken_over())).await.unwrap();
        let empty = MemoryStore::new();
        let error = update(&empty, &key, |_| Ok(second.clone())).await.unwrap_err();
        assert_eq!(before.elapsed(), Duration::ZERO, "{error}");
    }
}
