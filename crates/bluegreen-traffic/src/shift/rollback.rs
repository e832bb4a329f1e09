use std::error::Error;
use std::time::Duration;

use bluegreen_core::{Deployment, Phase, Share, Store};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{LOOK_LIMIT, Run};
use crate::error::BalanceError;
use crate::event::chain;
use crate::{CandidateHealth, Cause, Event, Notify, Observe, Outcome, ShiftError, Weights};

/// How long the balancer waits for the store, which is written first, before it is written all the
/// same: a store answers within tens of milliseconds, and meanwhile a bad candidate has requests.
const HEAD_START: Duration = Duration::from_secs(2);

const BALANCER_LEFT: &str = "the balancer still sends requests to the candidate";

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
    pub(super) async fn roll_back(&mut self, cause: Cause) -> Result<Outcome, ShiftError> {
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
                (true, _) => BALANCER_LEFT,
                (false, true) => "the record still gives the candidate a share",
                (false, false) => "neither record nor balancer were changed",
            };
            return Err(ShiftError::RollbackUnfinished { left, source: done.last });
        }
        self.abandon(deadline).await?;
        self.notify(&Event::RolledBack { color: self.to.other() });
        Ok(Outcome::RolledBack { cause, record: self.record.clone() })
    }

    /// The balancer's part alone, for a record that gives the candidate nothing any more.
    pub(super) async fn put_away(&mut self) -> Result<Outcome, ShiftError> {
        match self.balance(Share::ZERO).await {
            Ok(()) => Ok(Outcome::RolledBack { cause: Cause::Asked, record: self.record.clone() }),
            Err(error) => {
                let source = Some(error.into());
                Err(ShiftError::RollbackUnfinished { left: BALANCER_LEFT, source })
            }
        }
    }

    async fn take_away(&mut self, done: &mut Done) -> Result<(), ShiftError> {
        let mut tries = 0;
        loop {
            if !done.store {
                self.take_from_store(done).await?;
            }
            if !done.weights {
                let balanced = timeout(LOOK_LIMIT, self.balance_once(Share::ZERO)).await;
                match balanced.unwrap_or(Err(BalanceError::TimedOut)) {
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

    async fn take_from_store(&mut self, done: &mut Done) -> Result<(), ShiftError> {
        let limit = if done.weights { LOOK_LIMIT } else { HEAD_START };
        match timeout(limit, self.zero_in_store()).await {
            Ok(Ok(())) => done.store = true,
            Ok(Err(error @ ShiftError::Superseded { .. })) => return Err(error),
            Ok(Err(error)) => {
                self.notify(&Event::StoreFailed { error: chain(&error) });
                done.last = Some(error.into());
            }
            Err(elapsed) => {
                self.notify(&Event::StoreFailed { error: "it does not answer yet".to_owned() });
                done.last = Some(elapsed.into());
            }
        }
        Ok(())
    }

    /// Whatever share this shift has now, by whoever's hand: it goes to 0.
    async fn zero_in_store(&mut self) -> Result<(), ShiftError> {
        let to = self.to;
        let next = |now: &Deployment| match now.phase().candidate() {
            Some(candidate) if candidate != to => None,
            Some(_) if now.phase().weight(to).is_zero() => Some(Ok(now.clone())),
            Some(_) => Some(now.shift(Share::ZERO)),
            None => None,
        };
        let written = self.write(next).await?;
        self.share = Share::ZERO;
        self.written = written.revision();
        Ok(())
    }

    async fn abandon(&mut self, deadline: Instant) -> Result<(), ShiftError> {
        // The candidate's consumers hand over first; who has not followed in time is named.
        let stop = self.stop.clone();
        tokio::select! {
            settled = self.settle(self.written) => drop(settled),
            () = stop.expired() => {}
        }
        let (to, only) = (self.to, Phase::Only(self.to.other()));
        let zero = Phase::Shift { to, share: Share::ZERO };
        let mut tries = 0;
        loop {
            let abandoned = self.change(zero, only, Deployment::abandon).await;
            let is_over = Instant::now() >= deadline || stop.time_left() == Some(Duration::ZERO);
            match abandoned {
                Err(error) if error.is_retryable() && !is_over => {
                    self.notify(&Event::StoreFailed { error: chain(&error) });
                }
                abandoned => return abandoned.map(drop),
            }
            sleep(self.shift.config.backoff.bound(tries)).await;
            tries += 1;
        }
    }
}
