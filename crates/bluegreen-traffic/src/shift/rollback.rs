use std::error::Error;

use bluegreen_core::{Deployment, Phase, Share, Store, UpdateError};
use tokio::time::{Instant, sleep, timeout_at};

use super::Run;
use crate::event::chain;
use crate::{CandidateHealth, Cause, Event, Notify, Observe, Outcome, ShiftError, Weights};

/// What of a rollback is done.
#[derive(Default)]
struct Done {
    store: bool,
    weights: bool,
    last: Option<Box<dyn Error + Send + Sync>>,
}

impl<S, O, W, H, N> Run<S, O, W, H, N>
where
    S: Store,
    O: Observe,
    W: Weights,
    H: CandidateHealth,
    N: Notify,
{
    /// Takes the candidate's share away, in the store and then at the balancer, waits until that is
    /// followed, and gives the shift up. Where one of the two cannot be reached the other is done
    /// all the same: each of them alone takes traffic away.
    pub(super) async fn roll_back(mut self, cause: Cause) -> Result<Outcome, ShiftError> {
        self.notify(&Event::RollingBack { cause: cause.clone() });
        let mut done = Done::default();
        let deadline = Instant::now() + self.shift.config.rollback_timeout;
        let stop = self.stop.clone();
        tokio::select! {
            tried = timeout_at(deadline, self.take_away(&mut done)) => {
                if let Ok(tried) = tried { tried?; }
            }
            () = stop.expired() => {}
        }
        if !done.store || !done.weights {
            let left = match (done.store, done.weights) {
                (true, _) => "the balancer still sends requests to the candidate",
                (false, true) => "the record still gives the candidate a share",
                (false, false) => "neither record nor balancer were changed",
            };
            return Err(ShiftError::RollbackUnfinished { left, source: done.last });
        }
        self.abandon().await?;
        self.notify(&Event::RolledBack { color: self.to.other() });
        Ok(Outcome::RolledBack { cause, record: self.record })
    }

    async fn take_away(&mut self, done: &mut Done) -> Result<(), ShiftError> {
        let mut tries = 0;
        loop {
            if !done.store {
                match self.zero_in_store().await {
                    Ok(()) => done.store = true,
                    Err(error @ ShiftError::Superseded { .. }) => return Err(error),
                    Err(error) => {
                        self.notify(&Event::StoreFailed { error: chain(&error) });
                        done.last = Some(error.into());
                    }
                }
            }
            if !done.weights {
                match self.balance_once(Share::ZERO).await {
                    Ok(()) => done.weights = true,
                    Err(error) => done.last = Some(error.into()),
                }
            }
            if done.store && done.weights {
                return Ok(());
            }
            sleep(self.shift.config.backoff.bound(tries)).await;
            tries = tries.saturating_add(1);
        }
    }

    /// Whatever share this shift has now, by whoever's hand: it goes to 0.
    async fn zero_in_store(&mut self) -> Result<(), ShiftError> {
        let to = self.to;
        let mut superseded = None;
        let written = bluegreen_core::update(&self.shift.store, &self.shift.key, |now| {
            let now = now.ok_or(UpdateError::NoRecord)?;
            match now.phase().candidate() {
                Some(candidate) if candidate == to && now.phase().weight(to).is_zero() => {
                    Ok(now.clone())
                }
                Some(candidate) if candidate == to => Ok(now.shift(Share::ZERO)?),
                Some(_) | None => {
                    superseded = Some(now.phase());
                    Err(UpdateError::Refused("no such shift".to_owned()))
                }
            }
        });
        let written = written.await;
        let written = written.map_err(|error| match superseded {
            Some(phase) => ShiftError::Superseded { phase },
            None => ShiftError::Store(error),
        })?;
        self.share = Share::ZERO;
        self.written = written.revision();
        Ok(())
    }

    async fn abandon(&mut self) -> Result<(), ShiftError> {
        // The candidate's consumers hand over first; who has not followed in time is named.
        let stop = self.stop.clone();
        tokio::select! {
            settled = self.settle(self.written) => drop(settled),
            () = stop.expired() => {}
        }
        let (to, only) = (self.to, Phase::Only(self.to.other()));
        let zero = Phase::Shift { to, share: Share::ZERO };
        self.change(zero, only, Deployment::abandon).await?;
        Ok(())
    }
}
