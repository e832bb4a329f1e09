use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::{Fault, FaultKind, Pass, Probe};

/// What the server at the other end has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpectedRole {
    /// It takes writes. After a failover or a switchover a connection may find itself at a server
    /// that answers `SELECT 1` and refuses every write.
    #[default]
    Writer,
    /// It is a replica. A writer instead only degrades: Aurora's reader endpoint leads there when
    /// there is no replica.
    Reader,
    /// It answers.
    Any,
}

/// Asks a PostgreSQL server, Aurora included, whether it is what it is expected to be.
///
/// It takes a closure that gives a client, and one that looks at it, so that any pool fits:
///
/// ```no_run
/// # use bluegreen_health::{Fault, FaultKind, PostgresProbe};
/// # use deadpool_postgres::{Pool, PoolError};
/// # fn probe(pool: Pool) -> PostgresProbe {
/// PostgresProbe::new(
///     move || {
///         let pool = pool.clone();
///         async move {
///             pool.get().await.map_err(|error| match error {
///                 // A pool without a free connection is busy, not down.
///                 PoolError::Timeout(_) => Fault::new(FaultKind::Saturated).caused_by(error),
///                 error => error.into(),
///             })
///         }
///     },
///     |client| client,
/// )
/// # }
/// ```
///
/// With a pool of its own, of one connection, the probe neither waits for a connection nor takes
/// one away.
#[derive(Clone)]
#[must_use = "a probe asks nothing before a health runs it"]
pub struct PostgresProbe {
    check: Arc<dyn Fn(ExpectedRole) -> Probe + Send + Sync>,
    role: ExpectedRole,
}

impl PostgresProbe {
    /// A probe that expects the writer, on a client that `connect` gives and `client` looks at.
    /// Known errors of the server in the cause of a fault make it a fault of their kind.
    pub fn new<C, F, G, E, V>(connect: C, client: V) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<G, E>> + Send + 'static,
        G: Send + Sync + 'static,
        E: Into<Fault>,
        V: for<'a> Fn(&'a G) -> &'a Client + Send + Sync + 'static,
    {
        let (connect, client) = (Arc::new(connect), Arc::new(client));
        let check = move |role| {
            let (connect, client) = (Arc::clone(&connect), Arc::clone(&client));
            Probe::new(move || {
                let (connection, client) = (connect(), Arc::clone(&client));
                async move {
                    let connection = connection.await.map_err(|error| unconnected(error.into()))?;
                    ask(client(&connection), role).await
                }
            })
        };
        Self { check: Arc::new(check), role: ExpectedRole::default() }
    }

    /// The same with another expected role.
    pub const fn expecting(mut self, role: ExpectedRole) -> Self {
        self.role = role;
        self
    }
}

impl From<PostgresProbe> for Probe {
    fn from(probe: PostgresProbe) -> Self {
        (probe.check)(probe.role)
    }
}

impl fmt::Debug for PostgresProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresProbe").field("role", &self.role).finish_non_exhaustive()
    }
}

async fn ask(client: &Client, role: ExpectedRole) -> Result<Pass, Fault> {
    // The simple protocol: no prepared statement, so that it also passes through a proxy.
    const QUESTION: &str = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')";
    let answer = client.simple_query(QUESTION).await;
    let answer = answer.map_err(|error| {
        let kind = error.code().map_or(FaultKind::Unreachable, |code| kind(code.code()));
        Fault::new(kind).caused_by(error)
    })?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((row.get(0) == Some("t"), row.get(1) == Some("on"))),
        _ => None,
    });
    let (in_recovery, read_only) = row.ok_or_else(|| Fault::new(FaultKind::Failed))?;
    judge(role, in_recovery, read_only)
}

fn judge(expected: ExpectedRole, in_recovery: bool, read_only: bool) -> Result<Pass, Fault> {
    let wrong = Fault::new(FaultKind::WrongRole);
    match expected {
        ExpectedRole::Writer if in_recovery => {
            Err(wrong.with_message("a reader answers where the writer is expected"))
        }
        ExpectedRole::Writer if read_only => Err(wrong.with_message("the writer is read-only")),
        ExpectedRole::Reader if !in_recovery => {
            Err(wrong.with_message("the writer answers where a reader is expected").partial())
        }
        ExpectedRole::Writer | ExpectedRole::Reader | ExpectedRole::Any => Ok(Pass::new()),
    }
}

/// A fault without a kind of its own gets the one that the server's error in its cause has.
fn unconnected(mut fault: Fault) -> Fault {
    if fault.kind != FaultKind::Failed {
        return fault;
    }
    let mut cause: Option<&(dyn Error + 'static)> =
        fault.cause.as_ref().map(|cause| -> &(dyn Error + 'static) { cause.as_ref() });
    let mut kind_of_cause = FaultKind::Unreachable;
    while let Some(error) = cause {
        let code = error.downcast_ref::<tokio_postgres::Error>().and_then(|error| error.code());
        if let Some(code) = code {
            kind_of_cause = kind(code.code());
            break;
        }
        cause = error.source();
    }
    let cause = fault.cause.take();
    Fault { cause, ..Fault::new(kind_of_cause) }
}

/// The kind of a server's error, by its SQLSTATE.
fn kind(code: &str) -> FaultKind {
    match code {
        // No such database, schema or setting.
        "3D000" | "3F000" | "42704" => FaultKind::Misconfigured,
        "42501" => FaultKind::Denied,
        "25006" => FaultKind::WrongRole,
        "53300" => FaultKind::Saturated,
        // Shutting down, crashed, starting up.
        "57P01" | "57P02" | "57P03" => FaultKind::Unreachable,
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
    fn a_server_in_the_wrong_role_fails_however_well_it_answers() {
        use ExpectedRole::{Any, Reader, Writer};
        let cases = [
            (Writer, false, false, None),
            (Writer, true, true, Some("a reader answers where the writer is expected")),
            (Writer, false, true, Some("the writer is read-only")),
            (Reader, true, true, None),
            (Reader, false, false, Some("the writer answers where a reader is expected")),
            (Any, true, true, None),
            (Any, false, false, None),
        ];
        for (role, in_recovery, read_only, expected) in cases {
            let message = judge(role, in_recovery, read_only).err().map(|fault| fault.message);
            assert_eq!(message.as_deref(), expected, "{role:?}");
        }
        assert!(judge(Reader, false, false).unwrap_err().partial);
    }

    #[test]
    fn sqlstates_have_their_kind() {
        let cases = [
            ("28P01", FaultKind::Denied),
            ("53300", FaultKind::Saturated),
            ("57P03", FaultKind::Unreachable),
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
        let fault = unconnected(std::io::Error::other("refused").into());
        assert!(fault.kind == FaultKind::Unreachable && fault.cause.is_some());
    }
}
