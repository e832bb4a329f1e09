//! Sets of calls, and the count of those that came.

use std::sync::{Mutex, PoisonError};

use crate::Service;
use crate::service::Call;

/// A set of calls: all of a service, or narrowed to an operation, a caller, or both.
///
/// ```
/// # use bluegreen_local::{Calls, Service};
/// let blues_updates = Calls::to(Service::DynamoDb).operation("UpdateItem").access_key("blue");
/// # let _ = blues_updates;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    service: Option<Service>,
    operation: Option<String>,
    access_key: Option<String>,
}

impl Calls {
    /// Every call to every service.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Every call to one service.
    #[must_use]
    pub fn to(service: Service) -> Self {
        Self { service: Some(service), ..Self::default() }
    }

    /// Only those to this operation, spelled as AWS does (`SendMessageBatch`).
    #[must_use]
    pub fn operation(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Only those signed with this access key, so that one color can be singled out.
    #[must_use]
    pub fn access_key(mut self, access_key: impl Into<String>) -> Self {
        self.access_key = Some(access_key.into());
        self
    }

    pub(crate) fn contains(&self, call: &Call) -> bool {
        self.service.is_none_or(|service| service == call.service)
            && self.operation.as_ref().is_none_or(|operation| *operation == call.operation)
            && self.access_key.as_ref().is_none_or(|key| *key == call.access_key)
    }
}

/// How often each call came. There are few kinds, so a list is the fastest map.
#[derive(Debug, Default)]
pub(crate) struct CallLog(Mutex<Vec<(Call, u64)>>);

impl CallLog {
    pub(crate) fn record(&self, call: &Call) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match log.iter_mut().find(|(known, _)| known == call) {
            Some((_, count)) => *count += 1,
            None => log.push((call.clone(), 1)),
        }
    }

    pub(crate) fn count(&self, calls: &Calls) -> u64 {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().filter(|(call, _)| calls.contains(call)).map(|(_, count)| count).sum()
    }
}
