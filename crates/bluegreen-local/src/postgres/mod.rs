//! A real PostgreSQL server, found on the machine, started for the caller and gone with it.
//!
//! Each server has fresh data and a free port on 127.0.0.1; its only user, `postgres`, needs no
//! password. Started by root it runs as `postgres` or `nobody`, as PostgreSQL refuses root.
//! Durability is switched off.
//!
//! ```no_run
//! # async fn example() -> Result<(), bluegreen_local::postgres::PostgresError> {
//! use bluegreen_local::postgres::Postgres;
//!
//! let postgres = Postgres::from_env_or_start().await?;
//! println!("{}", postgres.url("postgres"));
//! postgres.stop().await;
//! # Ok(())
//! # }
//! ```

mod account;
mod binaries;
mod error;
mod install;
mod process;
mod server;
mod template;

use url::Url;

pub use self::error::PostgresError;
pub use self::install::install_command;
use self::server::Server;

/// PostgreSQL's own port, where a URL names none.
const DEFAULT_PORT: u16 = 5432;

/// A server to use: started here, or given by `DATABASE_URL`.
///
/// One that was started ends with the value, at once and without saving anything, which blocks for
/// some 10 ms; [`stop`](Self::stop) is the orderly way. It outlives a process that is killed or
/// calls `std::process::exit`; an interrupt from the terminal reaches it too.
#[derive(Debug)]
#[must_use = "a server ends with its value"]
pub struct Postgres {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Started(Box<Server>),
    Given(Url),
}

impl Postgres {
    /// Starts a server with fresh data. The first start of a version on a machine takes about a
    /// second, every other one about a fifth of that. Not for a paused clock.
    ///
    /// Programs are looked for in `$PG_BIN`, `PATH`, `/usr/lib/postgresql/*/bin` and where
    /// `pg_config` points. Cancel safe: dropped, it leaves no server behind.
    ///
    /// # Errors
    /// When none is found, or it does not start; see [`PostgresError`].
    pub async fn start() -> Result<Self, PostgresError> {
        Ok(Self { source: Source::Started(Box::new(Server::start().await?)) })
    }

    /// The server that `DATABASE_URL` names, else one started here. The one named is not contacted.
    ///
    /// # Errors
    /// When `DATABASE_URL` is no URL of a PostgreSQL server; else those of [`start`](Self::start).
    pub async fn from_env_or_start() -> Result<Self, PostgresError> {
        match std::env::var("DATABASE_URL") {
            Ok(url) if !url.is_empty() => Self::given(&url),
            _ => Self::start().await,
        }
    }

    fn given(url: &str) -> Result<Self, PostgresError> {
        let url = Url::parse(url).map_err(|error| PostgresError::Url(Some(error)))?;
        let postgres = matches!(url.scheme(), "postgres" | "postgresql") && url.has_host();
        if postgres {
            Ok(Self { source: Source::Given(url) })
        } else {
            Err(PostgresError::Url(None))
        }
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        match &self.source {
            Source::Started(server) => server.port,
            Source::Given(url) => url.port().unwrap_or(DEFAULT_PORT),
        }
    }

    /// How to reach a database of this server, as libpq and its like read it. A fresh server has
    /// the database `postgres`. Of a given server's URL everything but the database stays.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        match &self.source {
            Source::Started(server) => {
                format!("postgresql://postgres@127.0.0.1:{}/{database}", server.port)
            }
            Source::Given(url) => {
                let mut url = url.clone();
                url.set_path(database);
                url.into()
            }
        }
    }

    /// Whether it was started here, rather than given by `DATABASE_URL`.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(self.source, Source::Started(_))
    }

    /// Makes a server that was started here one that takes no writes, as Aurora does with a writer
    /// at a failover: all connections end, and at the same address a standby answers. A given
    /// server is left alone.
    ///
    /// # Errors
    /// When it does not start again.
    pub async fn demoted(self) -> Result<Self, PostgresError> {
        let source = match self.source {
            Source::Started(server) => Source::Started(Box::new(server.demoted().await?)),
            given @ Source::Given(_) => given,
        };
        Ok(Self { source })
    }

    /// Makes a [`demoted`](Self::demoted) server take writes again; its connections go on. Others
    /// and given ones are left alone.
    ///
    /// # Errors
    /// When it does not within a minute.
    pub async fn promote(&self) -> Result<(), PostgresError> {
        match &self.source {
            Source::Started(server) => server.promote().await,
            Source::Given(_) => Ok(()),
        }
    }

    /// Ends a server that was started here: clients are disconnected and told why. A given one is
    /// left alone. After 10 s, or dropped half-way, it ends as if this value were dropped.
    pub async fn stop(self) {
        match self.source {
            Source::Started(server) => server.stop().await,
            Source::Given(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_url_keeps_everything_but_its_database() {
        let given =
            Postgres::given("postgres://me:secret@db.internal/app?sslmode=require").unwrap();
        assert_eq!(given.port(), 5432);
        assert!(!given.is_own());
        let url = given.url("orders");
        assert_eq!(url, "postgres://me:secret@db.internal/orders?sslmode=require");
    }

    #[test]
    fn what_is_no_url_of_a_server_is_refused() {
        for url in ["host=localhost dbname=x", "mysql://h/db", "postgres:app", ""] {
            let error = Postgres::given(url).unwrap_err();
            assert!(error.to_string().contains("DATABASE_URL"), "{url}");
        }
    }
}
