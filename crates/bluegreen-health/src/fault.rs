mod cause;
mod failure;
mod kind;

use std::borrow::Cow;
use std::error::Error;

pub use kind::FaultKind;

pub(crate) use cause::{has_system_error, kind_of};
pub(crate) use failure::Failure;

/// Why a probe failed: a kind and a message that anybody may read, and a cause that only the log
/// and those whom you authorize get to see.
///
/// Any error becomes one with `?`, others with [`because`](Self::because); what it says never shows in a public answer. Where a system
/// error is among its causes, it decides the kind: a refused connection is
/// [`Unreachable`](FaultKind::Unreachable), one that broke off
/// [`Disconnected`](FaultKind::Disconnected). It is no [`Error`](std::error::Error) itself, which
/// is what makes that conversion possible.
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

    /// The fault that an error stands for, as `?` makes it: for errors that `?` does not take, a
    /// boxed one, an `anyhow::Error` or a plain text.
    ///
    /// ```
    /// # use bluegreen_health::{Fault, Probe};
    /// # async fn ping() -> Result<(), Box<dyn std::error::Error + Send + Sync>> { Ok(()) }
    /// let probe = Probe::new(|| async { ping().await.map_err(Fault::because) });
    /// ```
    #[must_use]
    pub fn because(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let cause = cause.into();
        Self::new(kind_of(cause.as_ref()).unwrap_or(FaultKind::Failed)).caused_by(cause)
    }

    /// In which way it failed.
    #[must_use]
    pub const fn kind(&self) -> FaultKind {
        self.kind
    }

    /// What everybody may read.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn what_an_error_says_never_becomes_the_public_message() {
        let fault = Fault::from(io::Error::other("password authentication for admin failed"));
        assert_eq!(fault.message, "the check failed");
        assert!(fault.cause.is_some());
    }

    #[test]
    fn an_error_of_the_system_gives_the_fault_its_kind() {
        let fault = Fault::from(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!((fault.kind, &*fault.message), (FaultKind::Unreachable, "cannot be reached"));
    }
}
