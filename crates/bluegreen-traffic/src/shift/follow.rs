use std::time::Duration;

use bluegreen_core::{Revision, Store, settled};
use tokio::time::timeout;

use super::{End, Run, unless_stopped};
use crate::event::chain;
use crate::{CandidateHealth, Cause, Event, Notify, Observe, Weights};

/// How often to look at the members: they announce themselves every few seconds.
const LOOK: Duration = Duration::from_millis(500);

impl<S, O, W, H, N> Run<S, O, W, H, N>
where
    S: Store,
    O: Observe,
    W: Weights,
    H: CandidateHealth,
    N: Notify,
{
    /// Waits until every living process follows a revision, for a bounded time, unless told to stop.
    pub(super) async fn followed(&mut self, revision: Revision) -> Result<(), End> {
        let stop = self.stop.clone();
        unless_stopped(&stop, self.settle(revision)).await?
    }

    /// The same, also when told to stop.
    pub(super) async fn settle(&mut self, revision: Revision) -> Result<(), End> {
        let (shift, limit) = (&self.shift, self.shift.config.follow_timeout);
        let settling = settled(&shift.store, &shift.key, revision, LOOK, shift.config.clock);
        match timeout(limit, settling).await {
            Ok(Ok(settled)) => {
                let (followed, expired) = (settled.followed.len(), settled.expired);
                self.notify(&Event::Followed { revision, followed, expired });
                Ok(())
            }
            Ok(Err(error)) => {
                self.notify(&Event::StoreFailed { error: chain(&error) });
                Err(End::Failed(error.into()))
            }
            Err(_) => {
                self.notify(&Event::NotFollowed { revision });
                Err(End::RollBack(Cause::NotFollowed(revision)))
            }
        }
    }
}
