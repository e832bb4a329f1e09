use std::time::Duration;

use bluegreen_core::Following;

use crate::{Fault, FaultKind, Pass, Probe};

/// Shows how long ago the store confirmed the deployment that this process follows.
///
/// Informational unless it is made more, [`degrading`](Probe::degrading) say: a process keeps working
/// on the last known deployment, so that it never takes a running one out of service.
#[derive(Clone, Debug)]
pub struct FollowingProbe {
    following: Following,
    at_most: Duration,
}

impl FollowingProbe {
    /// Fails once the deployment is older than 30 seconds, fifteen looks at the store.
    #[must_use]
    pub const fn new(following: Following) -> Self {
        Self { following, at_most: Duration::from_secs(30) }
    }

    /// The same with another age.
    #[must_use]
    pub const fn at_most(mut self, age: Duration) -> Self {
        self.at_most = age;
        self
    }
}

impl From<FollowingProbe> for Probe {
    fn from(FollowingProbe { following, at_most }: FollowingProbe) -> Self {
        let check = move || {
            let judged = judge(following.age(), following.frozen().is_some(), at_most);
            async move { judged }
        };
        Self::new(check).informational()
    }
}

fn judge(age: Option<Duration>, frozen: bool, at_most: Duration) -> Result<Pass, Fault> {
    let outdated = Fault::new(FaultKind::Outdated);
    match age {
        _ if frozen => {
            Err(outdated.with_message("the store has a record that this process cannot follow"))
        }
        None => Err(outdated.with_message("the store has not confirmed the deployment yet")),
        Some(age) if age > at_most => {
            let age = age.as_secs();
            Err(outdated
                .with_message(format!("the store last confirmed the deployment {age}s ago")))
        }
        Some(age) => Ok(Pass::new().observing("age_seconds", age.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_unknown_or_frozen_deployment_is_told() {
        let at_most = Duration::from_secs(30);
        let message = |age, frozen| judge(age, frozen, at_most).unwrap_err().message;
        assert!(judge(Some(at_most), false, at_most).is_ok());
        let old = Some(Duration::from_secs(31));
        assert_eq!(message(old, false), "the store last confirmed the deployment 31s ago");
        assert_eq!(message(None, false), "the store has not confirmed the deployment yet");
        assert_eq!(
            message(Some(at_most), true),
            "the store has a record that this process cannot follow"
        );
    }
}
