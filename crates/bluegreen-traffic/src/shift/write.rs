use bluegreen_core::{
    Deployment, Phase, Share, Store, StoreError, TransitionError, UpdateError, update,
};
use tokio::time::{sleep, timeout};

use super::{LOOK_LIMIT, Run};
use crate::event::chain;
use crate::{CandidateHealth, Event, Notify, Observe, ShiftError, Weights};

/// How often a record older than what this run has written is read again. An eventually consistent
/// read shows one, usually for well below a second; these tries take almost half a minute.
const STALE_READS: u32 = 8;

impl<S, O, W, H, N> Run<S, O, W, H, N>
where
    S: Store,
    O: Observe,
    W: Weights,
    H: CandidateHealth,
    N: Notify,
{
    pub(super) async fn write_share(&mut self, share: Share) -> Result<Deployment, ShiftError> {
        let to = self.to;
        let (from, target) = (Phase::Shift { to, share: self.share }, Phase::Shift { to, share });
        self.tried = share;
        let written = self.change(from, target, |now| now.shift(share)).await;
        if let Err(ShiftError::Store(error)) = &written {
            self.notify(&Event::StoreFailed { error: chain(error) });
        }
        let written = written?;
        self.share = share;
        self.written = written.revision();
        Ok(written)
    }

    /// Brings the deployment from one phase to the next. It may be there already: a try before may
    /// have been cut off after its write.
    pub(super) async fn change(
        &self,
        from: Phase,
        target: Phase,
        transition: impl Fn(&Deployment) -> Result<Deployment, TransitionError>,
    ) -> Result<Deployment, ShiftError> {
        let next = |now: &Deployment| match now.phase() {
            phase if phase == target => Some(Ok(now.clone())),
            phase if phase == from => Some(transition(now)),
            _ => None,
        };
        self.write(next).await
    }

    /// Writes what comes next; where that is nothing, the phase is somebody else's.
    pub(super) async fn write(
        &self,
        next: impl Fn(&Deployment) -> Option<Result<Deployment, TransitionError>>,
    ) -> Result<Deployment, ShiftError> {
        let mut tries = 0;
        loop {
            let mut refused = None;
            let written = update(&self.shift.store, &self.shift.key, |now| {
                let now = now.ok_or(UpdateError::NoRecord)?;
                let is_stale = now.revision() < self.written;
                match next(now).filter(|_| !is_stale) {
                    Some(next) => Ok(next?),
                    None => {
                        refused = Some((now.phase(), is_stale));
                        Err(UpdateError::Refused("the phase has changed".to_owned()))
                    }
                }
            });
            let written = in_time(written).await;
            match refused {
                None => return written,
                Some((phase, is_stale)) if !is_stale || tries >= STALE_READS => {
                    return Err(ShiftError::Superseded { phase });
                }
                Some(_) => sleep(self.shift.config.backoff.bound(tries)).await,
            }
            tries += 1;
        }
    }
}

/// What the store makes of a change, within the time it has. Cut off, it has happened or not.
pub(super) async fn in_time(
    update: impl Future<Output = Result<Deployment, UpdateError>>,
) -> Result<Deployment, ShiftError> {
    let silent = || StoreError::Unavailable { source: "it did not answer in time".into() };
    let updated = timeout(LOOK_LIMIT, update).await;
    updated.unwrap_or_else(|_| Err(silent().into())).map_err(ShiftError::Store)
}
