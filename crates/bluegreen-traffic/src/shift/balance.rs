use bluegreen_core::{ByColor, Phase, Share, Store};
use tokio::time::{sleep, timeout};

use super::{End, LOOK_LIMIT, Run, unless_stopped};
use crate::error::BalanceError;
use crate::event::chain;
use crate::{CandidateHealth, Event, Notify, Observe, SourceError, Weights};

impl<S, O, W, H, N> Run<S, O, W, H, N>
where
    S: Store,
    O: Observe,
    W: Weights,
    H: CandidateHealth,
    N: Notify,
{
    /// Gives the candidate its share at the balancer, reads it back, and tries again for a bounded
    /// time while that fails or differs.
    pub(super) async fn balance(&mut self, share: Share) -> Result<(), BalanceError> {
        let limit = self.shift.config.weights_timeout;
        let mut last = None;
        let tried = timeout(limit, self.balance_until_done(share, &mut last)).await;
        match tried {
            Ok(done) => done,
            Err(_) => Err(last.unwrap_or(BalanceError::TimedOut)),
        }
    }

    async fn balance_until_done(
        &mut self,
        share: Share,
        last: &mut Option<BalanceError>,
    ) -> Result<(), BalanceError> {
        let mut tries = 0;
        loop {
            match self.balance_once(share).await {
                Err(BalanceError::Source(error)) if !error.is_retryable() => {
                    return Err(BalanceError::Source(error));
                }
                Err(error) => *last = Some(error),
                Ok(()) => return Ok(()),
            }
            sleep(self.shift.config.backoff.bound(tries)).await;
            tries = tries.saturating_add(1);
        }
    }

    /// One try.
    pub(super) async fn balance_once(&mut self, share: Share) -> Result<(), BalanceError> {
        let wanted = self.shares(share);
        let weights = &self.shift.sources.weights;
        let found = match weights.set(wanted).await {
            Ok(()) => weights.read().await,
            Err(error) => Err(error),
        };
        match found {
            Ok(found) if found == wanted => Ok(()),
            Ok(found) => {
                self.notify(&Event::Drift { wanted, found });
                Err(BalanceError::Differs { found })
            }
            Err(error) => {
                self.notify(&Event::WeightsFailed { error: chain(&error) });
                Err(BalanceError::Source(error))
            }
        }
    }

    /// What the balancer has instead of what it should have.
    pub(super) async fn drifted(&mut self) -> Result<Option<ByColor<Share>>, End> {
        let wanted = self.shares(self.share);
        let reading = timeout(LOOK_LIMIT, self.shift.sources.weights.read());
        let found = unless_stopped(&self.stop, reading).await?.unwrap_or_else(|elapsed| {
            Err(SourceError::passing("the weights were not read in time", elapsed))
        });
        match found {
            Ok(found) if found == wanted => Ok(None),
            Ok(found) => {
                self.notify(&Event::Drift { wanted, found });
                Ok(Some(found))
            }
            // Nothing is known to have changed; the next look asks again.
            Err(error) => {
                self.notify(&Event::WeightsFailed { error: chain(&error) });
                Ok(None)
            }
        }
    }

    /// Leaves the balancer as the record of whoever took over says: a late write of this run must
    /// not be what stays.
    pub(super) async fn let_go(&mut self, phase: Phase) {
        let (stop, limit) = (self.stop.clone(), self.shift.config.weights_timeout);
        tokio::select! {
            _ = timeout(limit, self.balance_as(phase)) => {}
            () = stop.expired() => {}
        }
    }

    /// Tries until the balancer has taken it; what then differs is written by whoever took over.
    async fn balance_as(&mut self, mut phase: Phase) {
        let mut tries = 0;
        while let Err(BalanceError::Source(error)) = self.balance_once(phase.weight(self.to)).await
            && error.is_retryable()
        {
            sleep(self.shift.config.backoff.bound(tries)).await;
            tries = tries.saturating_add(1);
            if let Ok(Some(now)) = self.shift.store.load(&self.shift.key).await
                && now.revision() > self.written
            {
                phase = now.phase();
            }
        }
    }
}
