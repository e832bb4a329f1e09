use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A time to live: the moment after which DynamoDB may delete the item, in whole seconds since
/// 1970, stored as a number.
///
/// The table must name the attribute that holds it (`UpdateTimeToLive`); it has to be a top-level
/// one. DynamoDB deletes expired items within a few days, not at once, and answers with them until
/// then: ask [`has_passed`](Self::has_passed). A moment more than five years back is not acted on
/// at all. A deletion by DynamoDB looks like any other to a writer: the item is
/// [gone](crate::ItemError::Gone).
///
/// ```
/// # use std::time::Duration;
/// # use bluegreen_core::Clock;
/// # use bluegreen_items::Ttl;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Session {
///     user: u64,
///     ttl: Option<Ttl>,
/// }
///
/// let now = Clock::system().now();
/// let session = Session { user: 17, ttl: Some(Ttl::after(now, Duration::from_secs(3_600))) };
/// assert!(!session.ttl.is_some_and(|ttl| ttl.has_passed(now)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ttl(u64);

impl Ttl {
    /// The item lives until this moment; a fraction of a second rounds up, and a moment before
    /// 1970 counts as 1970.
    #[must_use]
    pub fn at(moment: SystemTime) -> Self {
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(whole_seconds(since))
    }

    /// The item lives this long from `now` on.
    #[must_use]
    pub fn after(now: SystemTime, life: Duration) -> Self {
        Self(Self::at(now).0.saturating_add(whole_seconds(life)))
    }

    /// The seconds since 1970.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// Whether the moment has passed, so that DynamoDB may delete the item or has.
    #[must_use]
    pub fn has_passed(self, now: SystemTime) -> bool {
        now.duration_since(UNIX_EPOCH).is_ok_and(|since| since.as_secs() > self.0)
    }
}

/// Rounded up.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_a_number_of_seconds_and_never_cut_short() {
        let moment = UNIX_EPOCH + Duration::from_millis(10_400);
        assert_eq!(Ttl::at(moment).as_secs(), 11);
        let ttl = Ttl::after(moment, Duration::from_millis(4_500));
        assert_eq!(ttl.as_secs(), 16);
        assert!(!ttl.has_passed(UNIX_EPOCH + Duration::from_secs(16)));
        assert!(ttl.has_passed(UNIX_EPOCH + Duration::from_secs(17)));
        assert_eq!(Ttl::at(UNIX_EPOCH - Duration::from_secs(5)).as_secs(), 0);
        assert_eq!(Ttl::after(moment, Duration::MAX).as_secs(), u64::MAX);
        assert_eq!(serde_dynamo::to_attribute_value(ttl).ok(), Some(n("16")));
    }

    fn n(text: &str) -> aws_sdk_dynamodb::types::AttributeValue {
        aws_sdk_dynamodb::types::AttributeValue::N(text.to_owned())
    }
}
