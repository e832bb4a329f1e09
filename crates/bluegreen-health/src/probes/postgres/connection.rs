use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::{PoolState, Terms, role, sqlstate};
use crate::{Fault, FaultKind};

/// A client by `connect`, or why there is none in time.
pub(super) async fn open<G, F, E>(connect: impl Fn() -> F, terms: &Terms) -> Result<G, Fault>
where
    F: Future<Output = Result<G, E>>,
    E: Into<Fault>,
{
    let within = terms.connect_within;
    let pool_is_full = || terms.pool.as_ref().is_some_and(|pool| PoolState::is_full(pool()));
    match timeout(within, connect()).await {
        Ok(connected) => connected.map_err(|error| sqlstate::unconnected(error.into())),
        Err(_) if pool_is_full() => {
            Err(Fault::new(FaultKind::Saturated).with_message("no free connection"))
        }
        Err(_) => {
            let fault = Fault::new(FaultKind::Unreachable);
            Err(fault.with_message(format!("no connection within {within:?}")))
        }
    }
}

/// The connection that a probe keeps from run to run, one at most.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// A run takes it out and puts it back when all went well, so that one which failed, hung or
    /// answered in the wrong role is closed with its run.
    connection: Mutex<Option<Driven>>,
}

/// A client, and what drives it: dropped together. The driving end by itself would wait for ever
/// for the answer of a server that hangs.
#[derive(Debug)]
struct Driven {
    client: Client,
    _driver: JoinSet<()>,
}

impl Kept {
    /// Asks for the role on the connection kept, or on a new one.
    pub(super) async fn ask<F, D, E>(
        &self,
        connect: impl Fn() -> F,
        terms: &Terms,
    ) -> Result<(), Fault>
    where
        F: Future<Output = Result<(Client, D), E>>,
        D: Future + Send + 'static,
        E: Into<Fault>,
    {
        let kept = self.slot().take();
        if let Some(kept) = kept {
            match role::ask(&kept.client, terms.role).await {
                // Closed while nobody used it, as servers and proxies do with idle connections.
                Err(fault) if fault.kind == FaultKind::Disconnected => {}
                answer => return self.keep_if_well(kept, answer),
            }
        }
        let (client, connection) = open(connect, terms).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move { drop(connection.await) });
        let answer = role::ask(&client, terms.role).await;
        self.keep_if_well(Driven { client, _driver: driver }, answer)
    }

    fn keep_if_well(&self, connection: Driven, answer: Result<(), Fault>) -> Result<(), Fault> {
        if answer.is_ok() {
            *self.slot() = Some(connection);
        }
        answer
    }

    fn slot(&self) -> MutexGuard<'_, Option<Driven>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
