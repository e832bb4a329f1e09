use bluegreen_core::{Color, Deployment, Phase, Release, Store, UpdateError, update};
use tokio::time::{Instant, timeout};

use super::write::in_time;
use super::{End, Run};
use crate::{CandidateHealth, Cause, Event, Notify, Observe, ShiftError, Weights};

/// Where a shift stands as it begins.
pub(super) enum Begun {
    /// It was committed before.
    Already,
    /// It is under way, now or from before.
    At(Box<Deployment>),
}

impl<S, O, W, H, N> Run<S, O, W, H, N>
where
    S: Store,
    O: Observe,
    W: Weights,
    H: CandidateHealth,
    N: Notify,
{
    pub(super) async fn begin(&mut self, release: &Release) -> Result<Begun, ShiftError> {
        let to = self.to;
        let mut refused = None;
        let begun = update(&self.shift.store, &self.shift.key, |now| {
            let now = now.ok_or(UpdateError::NoRecord)?;
            if now.phase() == Phase::Only(to.other()) {
                return Ok(now.begin(to, release.clone())?);
            }
            refused = refusal(now, to, release);
            match refused {
                Some(_) => Err(UpdateError::Refused("it cannot begin".to_owned())),
                None => Ok(now.clone()),
            }
        });
        let begun = in_time(begun).await;
        if let Some(refused) = refused {
            return Err(refused);
        }
        let deployment = begun?;
        if deployment.phase().candidate().is_none() {
            return Ok(Begun::Already);
        }
        self.share = deployment.phase().weight(to);
        self.tried = self.share;
        self.written = deployment.revision();
        self.notify(&Event::Began { to, release: release.clone(), share: self.share });
        Ok(Begun::At(Box::new(deployment)))
    }

    /// Asks the candidate until it is healthy, for a bounded time.
    pub(super) async fn candidate_is_healthy(&mut self) -> Result<(), End> {
        let until = Instant::now() + self.shift.config.health_timeout;
        let mut tries = 0;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let asked = self.shift.sources.candidate_health.check(self.to);
            let asked = super::unless_stopped(&self.stop, timeout(left, asked)).await?;
            let reason = match asked {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(reason)) => reason,
                Err(_) => "it did not answer in time".to_owned(),
            };
            if Instant::now() >= until {
                return Err(End::RollBack(Cause::NotHealthy(reason)));
            }
            self.notify(&Event::NotHealthy { reason });
            let delay = self.shift.config.backoff.bound(tries);
            self.pause(delay.min(until.saturating_duration_since(Instant::now()))).await?;
            tries = tries.saturating_add(1);
        }
    }
}

/// Why a shift to `release` on `to` cannot begin or go on from this deployment.
fn refusal(now: &Deployment, to: Color, release: &Release) -> Option<ShiftError> {
    let phase = now.phase();
    let ours = phase == Phase::Only(to) || phase.candidate() == Some(to);
    if !ours {
        return Some(ShiftError::Busy { phase });
    }
    if now.release(to) != Some(release) {
        let found = now.release(to).cloned();
        return Some(ShiftError::OtherRelease { wanted: release.clone(), found });
    }
    None
}
