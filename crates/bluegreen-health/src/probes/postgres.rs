mod connection;
mod pool_state;
mod role;
mod sqlstate;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Client;

use crate::{ComponentType, Fault, Pass, Probe};
use connection::Kept;

pub use pool_state::PoolState;
pub use role::ExpectedRole;

/// How long it may take to get a client, before the time-out of the run: so that a probe can say
/// which of the two was slow.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Asks a PostgreSQL server, Aurora included, whether it is what it is expected to be.
///
/// [`own`](Self::own) keeps one connection for the probe: it neither waits for one of the pool's
/// nor takes one away. One that the server or a proxy has closed is opened anew within the same
/// run; one that hung, failed or found the server in another role is closed, so that the next run
/// follows the name to where it leads by then. With [`pool`](Self::pool) it also looks at the
/// numbers of the service's pool, and a full one reads as *saturated*, not as down:
///
/// ```no_run
/// # use bluegreen_health::{PoolState, PostgresProbe};
/// # use tokio_postgres::NoTls;
/// # fn probe(config: tokio_postgres::Config, pool: deadpool_postgres::Pool) -> PostgresProbe {
/// let connect = move || {
///     let config = config.clone();
///     async move { config.connect(NoTls).await }
/// };
/// PostgresProbe::own(connect).pool(move || {
///     let status = pool.status();
///     PoolState::new(status.max_size, status.size, status.available).waiting(status.waiting)
/// })
/// # }
/// ```
///
/// [`new`](Self::new) takes a client anew at each run, from any pool:
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
/// A run whose time is over gives such a client back as it is, in mid-query; a pool that does not
/// look at what comes back hands it to somebody else. `own` has no such effect.
#[derive(Clone)]
#[must_use = "a probe asks nothing before a health runs it"]
pub struct PostgresProbe {
    /// Makes the probe that asks for a role, given the rest.
    make: Arc<dyn Fn(Terms) -> Probe + Send + Sync>,
    terms: Terms,
}

/// What a probe demands, besides a client.
#[derive(Clone)]
struct Terms {
    role: ExpectedRole,
    connect_within: Duration,
    pool: Option<Arc<dyn Fn() -> PoolState + Send + Sync>>,
}

impl PostgresProbe {
    /// A probe that expects the writer, on a client that `connect` gives at each run and `client`
    /// looks at. Known errors of the server in the cause of a fault make it a fault of their kind.
    pub fn new<C, F, G, E, V>(connect: C, client: V) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<G, E>> + Send + 'static,
        G: Send + Sync + 'static,
        E: Into<Fault>,
        V: for<'a> Fn(&'a G) -> &'a Client + Send + Sync + 'static,
    {
        let (connect, client) = (Arc::new(connect), Arc::new(client));
        Self::by(move |terms| {
            let (connect, client) = (Arc::clone(&connect), Arc::clone(&client));
            async move {
                let taken = connection::open(&*connect, &terms).await?;
                role::ask(client(&taken), terms.role).await
            }
        })
    }

    /// A probe that expects the writer, on one connection of its own. `connect` opens it: it answers
    /// what [`tokio_postgres::Config::connect`] does, a client and the connection that has to be
    /// driven for it, which the probe does.
    pub fn own<C, F, D, E>(connect: C) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(Client, D), E>> + Send + 'static,
        D: Future + Send + 'static,
        E: Into<Fault>,
    {
        let connect = Arc::new(connect);
        let kept = Arc::new(Kept::default());
        Self::by(move |terms| {
            let (connect, kept) = (Arc::clone(&connect), Arc::clone(&kept));
            async move { kept.ask(&*connect, &terms).await }
        })
    }

    fn by<F>(ask: impl Fn(Terms) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        let ask = Arc::new(ask);
        let make = move |terms: Terms| {
            let ask = Arc::clone(&ask);
            Probe::new(move || {
                // Before a client is taken, which may be one of the pool's.
                let pool = terms.pool.as_ref().map(|pool| pool());
                let asked = ask(terms.clone());
                async move {
                    asked.await?;
                    pool.map_or_else(|| Ok(Pass::new()), PoolState::judge)
                }
            })
            .of_type(ComponentType::Datastore)
        };
        let (role, connect_within) = (ExpectedRole::default(), CONNECT_WITHIN);
        Self { make: Arc::new(make), terms: Terms { role, connect_within, pool: None } }
    }

    /// The same with another expected role.
    pub const fn expecting(mut self, role: ExpectedRole) -> Self {
        self.terms.role = role;
        self
    }

    /// The same with another time for getting a client; by default 2 s, below the time-out of a
    /// run. Beyond it the server is unreachable, or the pool saturated if it is known to be full.
    pub const fn connect_within(mut self, within: Duration) -> Self {
        self.terms.connect_within = within;
        self
    }

    /// The same looking at the numbers of the service's pool: they are shown, and a full pool that
    /// others wait for is saturated, which degrades.
    pub fn pool(mut self, state: impl Fn() -> PoolState + Send + Sync + 'static) -> Self {
        self.terms.pool = Some(Arc::new(state));
        self
    }
}

impl From<PostgresProbe> for Probe {
    fn from(probe: PostgresProbe) -> Self {
        (probe.make)(probe.terms)
    }
}

impl fmt::Debug for PostgresProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresProbe").field("role", &self.terms.role).finish_non_exhaustive()
    }
}
