use bluegreen_core::{ByColor, Share, Store};
use tokio::time::{sleep, timeout};

use super::Run;
use crate::error::BalanceError;
use crate::event::chain;
use crate::{CandidateHealth, Event, Notify, Observe, Weights};

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
    pub(super) async fn drifted(&mut self) -> Option<ByColor<Share>> {
        let wanted = self.shares(self.share);
        match self.shift.sources.weights.read().await {
            Ok(found) if found == wanted => None,
            Ok(found) => {
                self.notify(&Event::Drift { wanted, found });
                Some(found)
            }
            // Nothing is known to have changed; the next look asks again.
            Err(error) => {
                self.notify(&Event::WeightsFailed { error: chain(&error) });
                None
            }
        }
    }
}
