use bluegreen_core::Store;
use tokio::time::Instant;

use super::{End, Run};
use crate::event::Frost;
use crate::{CandidateHealth, Cause, Event, FreezeEnd, Notify, Observe, Weights};

/// Since when the shift goes on as it should, or why it does not.
pub(super) struct Calm {
    pub(super) since: Instant,
    frozen: Option<(Instant, Frost)>,
}

impl Calm {
    pub(super) fn now() -> Self {
        Self { since: Instant::now(), frozen: None }
    }
}

impl<S, O, W, H, N> Run<S, O, W, H, N>
where
    S: Store,
    O: Observe,
    W: Weights,
    H: CandidateHealth,
    N: Notify,
{
    pub(super) fn freeze(&mut self, calm: &mut Calm, why: Frost) {
        if calm.frozen.as_ref().is_some_and(|(_, before)| *before == why) {
            return;
        }
        let since = calm.frozen.take().map_or_else(Instant::now, |(since, _)| since);
        calm.frozen = Some((since, why.clone()));
        self.notify(&Event::Frozen { share: self.share, why });
    }

    /// The share is held from the first moment; it is said once that lasts.
    pub(super) fn hold(&mut self, calm: &mut Calm, why: Frost) {
        if calm.since.elapsed() >= self.shift.config.patience {
            self.freeze(calm, why);
        }
    }

    pub(super) fn thaw(&mut self, calm: &mut Calm) {
        calm.since = Instant::now();
        if calm.frozen.take().is_some() {
            self.notify(&Event::Thawed { share: self.share });
        }
    }

    pub(super) fn not_frozen_for_too_long(&self, calm: &Calm) -> Result<(), End> {
        let config = &self.shift.config;
        let Some((since, why)) = &calm.frozen else { return Ok(()) };
        if since.elapsed() < config.freeze_limit {
            return Ok(());
        }
        Err(match config.freeze_end {
            FreezeEnd::Hold => End::Frozen(why.clone()),
            FreezeEnd::RollBack => End::RollBack(Cause::Frozen(why.clone())),
        })
    }
}
