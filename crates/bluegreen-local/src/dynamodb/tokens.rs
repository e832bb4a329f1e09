//! How long a client request token is remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bluegreen_core::Clock;

/// "A client request token is valid for 10 minutes after the first request that uses it is
/// completed" (`TransactWriteItems` in DynamoDB's API reference).
const LIFE: Duration = Duration::from_secs(10 * 60);

/// The tokens of a world, by its clock. Clones share them.
///
/// dynoxide remembers tokens by the machine's clock. So it is asked under a name for the token, and
/// under another one once the token is to be forgotten.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    clock: Clock,
    known: Arc<Mutex<HashMap<String, Known>>>,
}

#[derive(Debug)]
struct Known {
    /// When a request with it was completed first.
    since: Option<SystemTime>,
    /// The name that dynoxide knows it by.
    name: String,
}

impl Tokens {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, known: Arc::default() }
    }

    /// The name under which dynoxide knows the token in this life.
    pub(super) fn name(&self, token: &str) -> String {
        let now = self.clock.now();
        let is_over = |since: SystemTime| now.duration_since(since).is_ok_and(|age| age > LIFE);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = known.get_mut(token) else { return token.to_owned() };
        if known.since.is_some_and(is_over) {
            *known = Known { since: None, name: format!("{:032x}", fastrand::u128(..)) };
        }
        known.name.clone()
    }

    /// A request with the token was completed.
    pub(super) fn completed(&self, token: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let first = || Known { since: None, name: token.to_owned() };
        let known = known.entry(token.to_owned()).or_insert_with(first);
        known.since.get_or_insert_with(|| self.clock.now());
    }
}
