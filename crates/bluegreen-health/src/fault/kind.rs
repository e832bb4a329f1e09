use std::fmt;

/// In which way a probe failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// In a way that is not known any closer.
    Failed,
    /// It did not answer in time.
    TimedOut,
    /// The probe itself panicked.
    Panicked,
    /// No connection came about: nobody listens there, or there is no such host.
    Unreachable,
    /// A connection broke off before the answer.
    Disconnected,
    /// The credentials or permissions are not enough: a kind of misconfiguration.
    Denied,
    /// What was asked for does not exist, or is not what it was taken for.
    Misconfigured,
    /// It answers, and asks for fewer requests.
    Throttled,
    /// It works, and has no room for one more.
    Saturated,
    /// A reader answered where the writer was expected, or the other way round.
    WrongRole,
    /// What is known is too old.
    Outdated,
}

impl FaultKind {
    /// The kind's name in answers, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Panicked => "panicked",
            Self::Unreachable => "unreachable",
            Self::Disconnected => "disconnected",
            Self::Denied => "denied",
            Self::Misconfigured => "misconfigured",
            Self::Throttled => "throttled",
            Self::Saturated => "saturated",
            Self::WrongRole => "wrong-role",
            Self::Outdated => "outdated",
        }
    }

    /// Whether the thing probed still works, if badly: taking the process out of service would
    /// only move its load to others.
    #[must_use]
    pub const fn is_partial(self) -> bool {
        matches!(self, Self::Throttled | Self::Saturated | Self::Outdated)
    }

    /// Whether waiting does not help: somebody has to mend a setting or a permission. Such a fault
    /// is logged as an error.
    #[must_use]
    pub const fn is_misconfiguration(self) -> bool {
        matches!(self, Self::Denied | Self::Misconfigured)
    }

    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Failed => "the check failed",
            Self::TimedOut => "timed out",
            Self::Panicked => "the check panicked",
            Self::Unreachable => "cannot be reached",
            Self::Disconnected => "disconnected before it answered",
            Self::Denied => "access denied",
            Self::Misconfigured => "not set up as expected",
            Self::Throttled => "throttled",
            Self::Saturated => "no room for one more",
            Self::WrongRole => "in the wrong role",
            Self::Outdated => "out of date",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
