//! The loop that brings a release from one color to the other, and back when it is bad.
//!
//! The store is written before the balancer, in both directions: all processes follow the store, so
//! what it says is what will be. Invariants, tested by a crash before each call to either:
//! 1. A shift that is begun again goes on where the record is, with a step begun anew.
//! 2. The candidate gets no share before it was asked, in this run, whether it is healthy.
//! 3. `commit` follows only on a healthy verdict over a whole step at the full share; `abandon`
//!    only on weights read back as nothing for the candidate.
//! 4. Whoever changes the deployment otherwise has the last word: the shift lets go.

mod balance;
mod begin;
mod follow;
mod rollback;
mod watch;

use std::future::Future;
use std::time::Duration;

use bluegreen_core::{
    ByColor, Color, Deployment, Phase, Release, Revision, ServiceKey, Share, Stop, Store,
    UpdateError, update,
};
use tokio::time::sleep;

use crate::event::Frost;
use crate::{
    CandidateHealth, Cause, ConfigError, DecisionRecord, Event, Notify, Observe, Outcome, Plan,
    ShiftConfig, ShiftError, Sources, Step, Tally, Thresholds, Weights,
};
use begin::Begun;

/// A shift to be made. See the crate's page for an example.
#[derive(Debug)]
#[must_use = "nothing shifts before it runs"]
pub struct Shift<S, O, W, H, N> {
    store: S,
    key: ServiceKey,
    plan: Plan,
    thresholds: Thresholds,
    config: ShiftConfig,
    sources: Sources<O, W, H, N>,
}

/// How a run leaves its steps early.
enum End {
    RollBack(Cause),
    Frozen(Frost),
    Stopped,
    Failed(ShiftError),
}

impl From<ShiftError> for End {
    fn from(error: ShiftError) -> Self {
        Self::Failed(error)
    }
}

/// A shift under way.
struct Run<S, O, W, H, N> {
    shift: Shift<S, O, W, H, N>,
    to: Color,
    stop: Stop,
    record: DecisionRecord,
    /// What the candidate has, by the last write of this run.
    share: Share,
    /// The revision of that write.
    written: Revision,
    /// What was seen of the stable color in the last step in which it had requests.
    baseline: Option<Tally>,
}

impl<S, O, W, H, N> Shift<S, O, W, H, N>
where
    S: Store,
    O: Observe,
    W: Weights,
    H: CandidateHealth,
    N: Notify,
{
    /// A shift of a service by a plan, judged by thresholds.
    ///
    /// # Errors
    /// When a field of the plan or of the thresholds does not fit.
    pub fn new(
        store: S,
        key: ServiceKey,
        plan: Plan,
        thresholds: Thresholds,
        sources: Sources<O, W, H, N>,
    ) -> Result<Self, ConfigError> {
        plan.check()?;
        thresholds.check()?;
        let config = ShiftConfig::default();
        Ok(Self { store, key, plan, thresholds, config, sources })
    }

    /// The same with another configuration.
    ///
    /// # Errors
    /// When a field of it does not fit.
    pub fn with_config(mut self, config: ShiftConfig) -> Result<Self, ConfigError> {
        config.check()?;
        self.config = config;
        Ok(self)
    }

    /// Shifts to `release` on the color `to`, or goes on with that shift where the record says that
    /// it is under way. One that is found at share 0 begins from the start, also when a rollback of
    /// it had come so far and then crashed: it is judged anew.
    ///
    /// Told to stop, it holds both colors where they are and answers; a rollback under way is
    /// finished first, as far as the deadline allows. Dropped at any point, it leaves a record that
    /// the same call goes on from.
    ///
    /// # Errors
    /// When another shift is under way, somebody else changes the deployment meanwhile, the store
    /// does not answer, or a rollback cannot be finished.
    pub async fn run(self, to: Color, release: Release, stop: Stop) -> Result<Outcome, ShiftError> {
        let mut run = Run::new(self, to, Some(release.clone()), stop);
        match run.begin(&release).await? {
            Begun::Already => Ok(Outcome::Promoted { record: run.record }),
            Begun::At(deployment) => {
                let end = run.all_steps(&deployment).await;
                run.finish(end).await
            }
        }
    }

    /// Asks the stable color back, whatever the figures: traffic first, then the record. Where no
    /// shift is under way there is nothing to do. It needs no metrics.
    ///
    /// # Errors
    /// When the rollback cannot be finished, or somebody else changes the deployment meanwhile.
    pub async fn revert(self, stop: Stop) -> Result<Outcome, ShiftError> {
        let deployment = self.store.load(&self.key).await?;
        let phase = deployment.map(|deployment| deployment.phase());
        let phase = phase.ok_or(ShiftError::Store(UpdateError::NoRecord))?;
        let mut run = Run::new(self, phase.candidate().unwrap_or(phase.stable()), None, stop);
        if phase.candidate().is_none() {
            return Ok(Outcome::RolledBack { cause: Cause::Asked, record: run.record });
        }
        run.share = phase.weight(run.to);
        run.roll_back(Cause::Asked).await
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
    fn new(shift: Shift<S, O, W, H, N>, to: Color, release: Option<Release>, stop: Stop) -> Self {
        let record = DecisionRecord::new(to, release);
        Self {
            shift,
            to,
            stop,
            record,
            share: Share::ZERO,
            written: Revision::default(),
            baseline: None,
        }
    }

    async fn all_steps(&mut self, begun: &Deployment) -> Result<(), End> {
        if self.share.is_zero() {
            // Says so where the balancer is not as it is left after a shift.
            self.drifted().await;
        }
        self.followed(begun.revision()).await?;
        self.candidate_is_healthy().await?;
        for step in self.shift.plan.steps_from(self.share) {
            self.take_step(step).await?;
            self.watch(step).await?;
        }
        Ok(())
    }

    async fn take_step(&mut self, step: Step) -> Result<(), End> {
        let deployment = self.write_share(step.share).await?;
        self.balance(step.share)
            .await
            .map_err(|error| End::RollBack(Cause::Weights(crate::event::chain(&error))))?;
        self.followed(deployment.revision()).await?;
        self.notify(&Event::Shifted { share: step.share });
        Ok(())
    }

    async fn finish(self, end: Result<(), End>) -> Result<Outcome, ShiftError> {
        match end {
            Ok(()) => self.commit().await,
            Err(End::RollBack(cause)) => self.roll_back(cause).await,
            Err(End::Frozen(why)) => {
                Ok(Outcome::Frozen { why, share: self.share, record: self.record })
            }
            Err(End::Stopped) => Ok(Outcome::Stopped { share: self.share, record: self.record }),
            Err(End::Failed(error)) => {
                self.let_go(&error).await;
                Err(error)
            }
        }
    }

    /// Leaves the balancer as the record of whoever took over says: a late write of this run must
    /// not be what stays.
    async fn let_go(&self, error: &ShiftError) {
        if let ShiftError::Superseded { phase } = error {
            let shares = ByColor::from_fn(|color| phase.weight(color));
            if let Err(error) = self.shift.sources.weights.set(shares).await {
                tracing::warn!(error = crate::event::chain(&error), "the weights may be of before");
            }
        }
    }

    async fn commit(mut self) -> Result<Outcome, ShiftError> {
        let (to, only) = (self.to, Phase::Only(self.to));
        let full = Phase::Shift { to, share: Share::FULL };
        let committed = self.change(full, only, Deployment::commit).await?;
        // Whether it is followed changes nothing any more: what it says was so before.
        drop(self.settle(committed.revision()).await);
        self.notify(&Event::Promoted { color: to });
        Ok(Outcome::Promoted { record: self.record })
    }

    async fn write_share(&mut self, share: Share) -> Result<Deployment, ShiftError> {
        let to = self.to;
        let (from, target) = (Phase::Shift { to, share: self.share }, Phase::Shift { to, share });
        let written = self.change(from, target, |now| now.shift(share)).await?;
        self.share = share;
        self.written = written.revision();
        Ok(written)
    }

    /// Brings the deployment from one phase to the next. It may be there already: a try before may
    /// have been cut off after its write.
    async fn change(
        &self,
        from: Phase,
        target: Phase,
        transition: impl Fn(&Deployment) -> Result<Deployment, bluegreen_core::TransitionError>,
    ) -> Result<Deployment, ShiftError> {
        let mut superseded = None;
        let written = update(&self.shift.store, &self.shift.key, |now| {
            let now = now.ok_or(UpdateError::NoRecord)?;
            if now.phase() == target {
                Ok(now.clone())
            } else if now.phase() == from {
                Ok(transition(now)?)
            } else {
                superseded = Some(now.phase());
                Err(UpdateError::Refused("the phase has changed".to_owned()))
            }
        });
        let written = written.await;
        written.map_err(|error| match superseded {
            Some(phase) => ShiftError::Superseded { phase },
            None => ShiftError::Store(error),
        })
    }

    fn shares(&self, share: Share) -> ByColor<Share> {
        let phase = Phase::Shift { to: self.to, share };
        ByColor::from_fn(|color| phase.weight(color))
    }

    fn notify(&mut self, event: &Event) {
        tracing::info!(service = %self.shift.key, %event, "shift");
        self.shift.sources.notify.notify(event);
    }

    /// Waits, unless told to stop.
    async fn pause(&self, time: Duration) -> Result<(), End> {
        unless_stopped(&self.stop, sleep(time)).await
    }
}

/// Does what takes time, unless told to stop.
async fn unless_stopped<T>(stop: &Stop, work: impl Future<Output = T>) -> Result<T, End> {
    tokio::select! {
        _ = stop.requested() => Err(End::Stopped),
        done = work => Ok(done),
    }
}
