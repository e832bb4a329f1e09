use std::io;
use std::path::PathBuf;

/// Why no PostgreSQL server could be had. The message names what to do where that is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// No server's programs are on this machine.
    #[error(
        "no PostgreSQL server found: {install}, or point PG_BIN at the folder with its programs"
    )]
    NotFound {
        /// What to do, with the exact command where the package manager is known.
        install: String,
    },
    /// `PG_BIN` is set, and `postgres` and `initdb` are not in that folder.
    #[error("PG_BIN is {}, which has no postgres and initdb in it", .0.display())]
    PgBin(PathBuf),
    /// PostgreSQL refuses to run as root, and no other account is there to run it.
    #[error("run by root, and neither the user postgres nor nobody exists to run PostgreSQL as")]
    NoAccount,
    /// `DATABASE_URL` is no URL of a PostgreSQL server.
    #[error("DATABASE_URL is not of the form postgresql://user@host:port/database")]
    Url(#[source] Option<url::ParseError>),
    /// A file or a process could not be dealt with.
    #[error("{doing} failed")]
    Io {
        /// What was being done.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A program of PostgreSQL ended with an error.
    #[error("{program} failed: {log}")]
    Failed {
        /// Which one.
        program: &'static str,
        /// The end of what it wrote.
        log: String,
    },
    /// The server runs but accepts no connections in time.
    #[error("postgres did not accept connections within {seconds} s: {log}")]
    NotReady {
        /// How long it was given.
        seconds: u64,
        /// The end of what it wrote.
        log: String,
    },
}

impl PostgresError {
    /// Whether installing a server would help.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}
