//! What changes of a check are worth telling, and how loud.

use crate::{Check, FaultKind, HealthEvent, Status};

/// What a check was before a result came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    status: Status,
    kind: Option<FaultKind>,
}

impl State {
    pub(super) const fn of(check: &Check) -> Self {
        Self { status: check.status, kind: check.kind }
    }
}

/// Logs a result, with the cause that no public answer shows; answers the event that it is.
pub(super) fn change(before: State, after: &Check) -> Option<HealthEvent> {
    let Check { name: check, status, kind, .. } = after;
    let (message, cause) = (after.message.as_deref(), after.cause.as_deref());
    let class = kind.map(FaultKind::as_str);
    if before == State::of(after) {
        tracing::debug!(check, %status, class, message, cause, "a check's result");
        return None;
    }
    if *status == Status::Healthy {
        tracing::info!(check, %status, "a check has changed");
    } else if kind.is_some_and(FaultKind::is_misconfiguration) {
        tracing::error!(check, %status, class, message, cause, "a check has changed");
    } else {
        tracing::warn!(check, %status, class, message, cause, "a check has changed");
    }
    let (name, from, to, kind) = (check.clone(), before.status, *status, *kind);
    Some(HealthEvent::Check { name, from, to, kind })
}
