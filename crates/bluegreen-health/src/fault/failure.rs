use std::any::Any;
use std::borrow::Cow;
use std::time::Duration;

use super::cause::chain;
use crate::{Fault, FaultKind};

/// A [`Fault`] in plain words: nothing in it runs foreign code any more.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: FaultKind,
    pub(crate) message: Cow<'static, str>,
    pub(crate) partial: bool,
    pub(crate) cause: Option<String>,
}

impl Failure {
    pub(crate) fn timed_out(after: Duration) -> Self {
        Self::saying(FaultKind::TimedOut, format!("timed out after {after:?}"))
    }

    pub(crate) fn saying(kind: FaultKind, message: impl Into<Cow<'static, str>>) -> Self {
        Fault::new(kind).with_message(message).into()
    }

    /// A probe that panicked, with what the panic said.
    pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let cause = text.map(|text| format!("panicked: {text}"));
        Self { cause, ..Fault::new(FaultKind::Panicked).into() }
    }
}

impl From<Fault> for Failure {
    fn from(Fault { kind, message, partial, cause }: Fault) -> Self {
        let cause = cause.map(|cause| chain(cause.as_ref()));
        Self { kind, message, partial, cause }
    }
}
