use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::sqlstate;
use crate::{Fault, FaultKind};

/// Where a probe's client comes from: a new one for each run, or one that is kept.
pub(super) struct Connection<G> {
    /// The one kept from an earlier run. A run takes it out and puts it back when all went well,
    /// so that one which failed, hung or answered in the wrong role is never used again.
    kept: Option<Mutex<Option<G>>>,
}

impl<G> Connection<G> {
    pub(super) const fn taken_anew() -> Self {
        Self { kept: None }
    }

    pub(super) fn kept() -> Self {
        Self { kept: Some(Mutex::default()) }
    }

    pub(super) async fn take<F, E>(
        &self,
        connect: impl Fn() -> F,
        within: Duration,
        pool_is_full: impl Fn() -> bool,
    ) -> Result<G, Fault>
    where
        F: Future<Output = Result<G, E>>,
        E: Into<Fault>,
    {
        let kept = self.kept.as_ref().and_then(|kept| slot(kept).take());
        if let Some(connection) = kept {
            return Ok(connection);
        }
        match timeout(within, connect()).await {
            Ok(connected) => connected.map_err(|error| sqlstate::unconnected(error.into())),
            Err(_) if pool_is_full() => Err(Fault::new(FaultKind::Saturated)),
            Err(_) => {
                let fault = Fault::new(FaultKind::Unreachable);
                Err(fault.with_message(format!("no connection within {within:?}")))
            }
        }
    }

    pub(super) fn keep(&self, connection: G) {
        if let Some(kept) = &self.kept {
            *slot(kept) = Some(connection);
        }
    }
}

fn slot<G>(kept: &Mutex<Option<G>>) -> std::sync::MutexGuard<'_, Option<G>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
