//! One registered target and what its health reads as.

use std::time::SystemTime;

use super::xml::Element;

/// The health of a target, where its group is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetState {
    /// Registered, not yet checked often enough: where each target begins.
    Initial,
    /// Takes requests.
    Healthy,
    /// Failed its checks.
    Unhealthy,
    /// Its health cannot be told.
    Unavailable,
}

impl TargetState {
    const fn name(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Unavailable => "unavailable",
        }
    }

    /// The reason where none is given; a healthy target has none.
    const fn usual_reason(self) -> Option<&'static str> {
        match self {
            Self::Healthy => None,
            Self::Initial => Some("Elb.RegistrationInProgress"),
            Self::Unhealthy => Some("Target.FailedHealthChecks"),
            Self::Unavailable => Some("Elb.InternalError"),
        }
    }
}

/// What a target is known by within its group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TargetId {
    pub(crate) id: String,
    pub(crate) port: u16,
}

#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) state: TargetState,
    pub(crate) reason: Option<String>,
    /// Until when a deregistered target drains.
    pub(crate) draining_until: Option<SystemTime>,
}

impl Target {
    pub(crate) fn registered() -> Self {
        Self { state: TargetState::Initial, reason: None, draining_until: None }
    }

    pub(crate) fn is_gone(&self, now: SystemTime) -> bool {
        self.draining_until.is_some_and(|until| until <= now)
    }

    /// State and reason as `DescribeTargetHealth` answers them.
    fn health(&self, in_use: bool) -> (&str, Option<&str>) {
        if self.draining_until.is_some() {
            ("draining", Some("Target.DeregistrationInProgress"))
        } else if in_use {
            (self.state.name(), self.reason.as_deref().or(self.state.usual_reason()))
        } else {
            ("unused", Some("Target.NotInUse"))
        }
    }
}

/// A description; `None` stands for a target that is not registered.
pub(crate) fn to_element(id: &TargetId, target: Option<&Target>, in_use: bool) -> Element {
    let unknown = ("unused", Some("Target.NotRegistered"));
    let (state, reason) = target.map_or(unknown, |target| target.health(in_use));
    let mut health = vec![Element::text("State", state)];
    health.extend(reason.map(|reason| Element::text("Reason", reason)));
    let target = [Element::text("Id", &id.id), Element::text("Port", id.port)];
    Element::list(
        "member",
        [
            Element::list("Target", target),
            Element::text("HealthCheckPort", id.port),
            Element::list("TargetHealth", health),
        ],
    )
}
