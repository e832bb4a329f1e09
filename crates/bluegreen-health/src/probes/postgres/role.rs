use tokio_postgres::{Client, SimpleQueryMessage};

use super::sqlstate;
use crate::{Fault, FaultKind};

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

/// Asks a server for its role.
pub(super) async fn ask(client: &Client, role: ExpectedRole) -> Result<(), Fault> {
    // The simple protocol: no prepared statement, so that it also passes through a proxy.
    const QUESTION: &str = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')";
    let answer = client.simple_query(QUESTION).await.map_err(sqlstate::unanswered)?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((row.get(0) == Some("t"), row.get(1) == Some("on"))),
        _ => None,
    });
    let (in_recovery, read_only) = row.ok_or_else(|| Fault::new(FaultKind::Failed))?;
    judge(role, in_recovery, read_only)
}

fn judge(expected: ExpectedRole, in_recovery: bool, read_only: bool) -> Result<(), Fault> {
    let wrong = Fault::new(FaultKind::WrongRole);
    match expected {
        ExpectedRole::Writer if in_recovery => {
            Err(wrong.with_message("a reader answers where the writer is expected"))
        }
        ExpectedRole::Writer if read_only => Err(wrong.with_message("the writer is read-only")),
        ExpectedRole::Reader if !in_recovery => {
            Err(wrong.with_message("the writer answers where a reader is expected").partial())
        }
        ExpectedRole::Writer | ExpectedRole::Reader | ExpectedRole::Any => Ok(()),
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
}
