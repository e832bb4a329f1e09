//! What the errors of a PostgreSQL server and of the way to it mean to a probe.

use std::error::Error;

use crate::fault::kind_of;
use crate::{Fault, FaultKind};

/// A fault while connecting: one without a kind of its own gets that of the server's error, or of
/// the system's, in its cause. Whatever else it is, no connection came about.
pub(super) fn unconnected(mut fault: Fault) -> Fault {
    if fault.kind != FaultKind::Failed {
        return fault;
    }
    let kind = fault.cause.as_ref().and_then(|cause| of_server(cause.as_ref()));
    let cause = fault.cause.take();
    Fault { cause, ..Fault::new(kind.unwrap_or(FaultKind::Unreachable)) }
}

/// A fault while the server was asked: there was a connection.
pub(super) fn unanswered(error: tokio_postgres::Error) -> Fault {
    let kind = of_server(&error).or_else(|| kind_of(&error));
    Fault::new(kind.unwrap_or(FaultKind::Disconnected)).caused_by(error)
}

/// The kind of the first error among the causes that a server sent.
fn of_server(error: &(dyn Error + 'static)) -> Option<FaultKind> {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.find_map(|cause| {
        let error = cause.downcast_ref::<tokio_postgres::Error>()?;
        error.code().map(|code| kind(code.code()))
    })
}

/// The kind of a server's error, by its SQLSTATE.
fn kind(code: &str) -> FaultKind {
    match code {
        // No such database, schema or setting.
        "3D000" | "3F000" | "42704" => FaultKind::Misconfigured,
        "42501" => FaultKind::Denied,
        "25006" => FaultKind::WrongRole,
        "53300" => FaultKind::Saturated,
        // Canceled, by the server's own time-out of statements for one.
        "57014" => FaultKind::TimedOut,
        // Shutting down, crashed: whoever was connected is no longer.
        "57P01" | "57P02" => FaultKind::Disconnected,
        // Starting up.
        "57P03" => FaultKind::Unreachable,
        // Invalid authorization of any kind.
        code if code.starts_with("28") => FaultKind::Denied,
        code if code.starts_with("08") => FaultKind::Unreachable,
        _ => FaultKind::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_have_their_kind() {
        let cases = [
            ("28P01", FaultKind::Denied),
            ("53300", FaultKind::Saturated),
            ("57P01", FaultKind::Disconnected),
            ("57P03", FaultKind::Unreachable),
            ("08006", FaultKind::Unreachable),
            ("57014", FaultKind::TimedOut),
            ("3D000", FaultKind::Misconfigured),
            ("25006", FaultKind::WrongRole),
            ("XX000", FaultKind::Failed),
        ];
        for (code, expected) in cases {
            assert_eq!(kind(code), expected, "{code}");
        }
    }

    #[test]
    fn a_fault_that_the_closure_named_keeps_its_name() {
        let fault = unconnected(Fault::new(FaultKind::Saturated).caused_by("pool timed out"));
        assert!(fault.kind == FaultKind::Saturated && fault.partial && fault.cause.is_some());
        let fault = unconnected(std::io::Error::other("no such host").into());
        assert!(fault.kind == FaultKind::Unreachable && fault.cause.is_some());
    }
}
