use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What a probe that passed has to say.
///
/// `()` is a pass without more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    pub(crate) observed: Vec<Observed>,
}

/// A number that a probe has seen, shown with its check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observed {
    /// What was counted or measured, with its unit: `visible_messages`, `age_seconds`.
    pub name: Cow<'static, str>,
    /// The number.
    pub value: u64,
}

impl Pass {
    /// A pass without more.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a number to show.
    #[must_use]
    pub fn observing(mut self, name: impl Into<Cow<'static, str>>, value: u64) -> Self {
        self.observed.push(Observed { name: name.into(), value });
        self
    }
}

impl From<()> for Pass {
    fn from((): ()) -> Self {
        Self::new()
    }
}

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
    /// Nobody answered.
    Unreachable,
    /// The credentials or permissions are not enough.
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
    /// The kind's name in answers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Panicked => "panicked",
            Self::Unreachable => "unreachable",
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

    const fn message(self) -> &'static str {
        match self {
            Self::Failed => "the check failed",
            Self::TimedOut => "timed out",
            Self::Panicked => "the check panicked",
            Self::Unreachable => "cannot be reached",
            Self::Denied => "access denied",
            Self::Misconfigured => "not set up as expected",
            Self::Throttled => "throttled",
            Self::Saturated => "no free connection",
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

/// Why a probe failed: a kind and a message that anybody may read, and a cause that goes to the log
/// only.
///
/// Any error becomes one with `?`; what it says never shows in an answer. It is no
/// [`Error`](std::error::Error) itself, which is what makes that conversion possible.
#[derive(Debug)]
pub struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) message: Cow<'static, str>,
    pub(crate) partial: bool,
    pub(crate) cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    /// A fault with the words for its kind.
    #[must_use]
    pub const fn new(kind: FaultKind) -> Self {
        let message = Cow::Borrowed(kind.message());
        Self { kind, message, partial: kind.is_partial(), cause: None }
    }

    /// The same with words of your own, which everybody may read.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// The same with its cause, for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The same as a fault with which the thing probed still works: a degraded service at worst.
    #[must_use]
    pub const fn partial(mut self) -> Self {
        self.partial = true;
        self
    }

    /// In which way it failed.
    #[must_use]
    pub const fn kind(&self) -> FaultKind {
        self.kind
    }

    pub(crate) fn timed_out(after: Duration) -> Self {
        Self::new(FaultKind::TimedOut).with_message(format!("timed out after {after:?}"))
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::new(FaultKind::Failed).caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_says_never_becomes_the_public_message() {
        let fault = Fault::from(std::io::Error::other("password authentication for admin failed"));
        assert_eq!(fault.message, "the check failed");
        assert!(fault.cause.is_some());
    }
}
