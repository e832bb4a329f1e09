//! The loop that brings a release from one color to the other, and back when it is bad.
//!
//! The store is written before the balancer, in both directions: all processes follow the store, so
//! what it says is what will be. Invariants, tested by a crash before each call to either:
//! 1. A shift that is begun again goes on where the record is, with a step begun anew.
//! 2. The candidate gets no share before it was asked, in this run, whether it is healthy.
//! 3. `commit` follows only on a healthy verdict over a whole step at the full share; `abandon`
//!    only on weights read back as nothing for the candidate.
//! 4. Whoever changes the deployment otherwise has the last word: the shift lets go, and leaves the
//!    balancer as the record says.
//! 5. A candidate that has a share is watched, and nothing else is waited for without a limit.

mod balance;
mod begin;
mod calm;
mod follow;
mod rollback;
mod watch;
mod write;

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
use calm::Calm;
use write::in_time;

/// How long the store, the balancer or the metrics may take to answer once.
const LOOK_LIMIT: Duration = Duration::from_secs(30);

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
    /// What it may have by a write whose answer was lost; else the same.
    tried: Share,
    /// The revision of the last write that was answered.
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
                run.end(end).await
            }
        }
    }

    /// Asks the stable color back, whatever the figures. Where no shift is under way it only sees
    /// to it that the balancer is as the record says. It needs no metrics, and the store only to
    /// tell which color is the stable one.
    ///
    /// # Errors
    /// When the record cannot be read, the rollback cannot be finished, or somebody else changes
    /// the deployment meanwhile.
    pub async fn revert(self, stop: Stop) -> Result<Outcome, ShiftError> {
        // An update that changes nothing: it reads again where that makes sense.
        let read = |now: Option<&Deployment>| now.cloned().ok_or(UpdateError::NoRecord);
        let deployment = in_time(update(&self.store, &self.key, read)).await?;
        let phase = deployment.phase();
        let mut run = Run::new(self, phase.stable().other(), None, stop);
        run.written = deployment.revision();
        if phase.candidate().is_none() {
            return run.put_away().await;
        }
        run.share = phase.weight(run.to);
        run.end(Err(End::RollBack(Cause::Asked))).await
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
            tried: Share::ZERO,
            written: Revision::default(),
            baseline: None,
        }
    }

    async fn all_steps(&mut self, begun: &Deployment) -> Result<(), End> {
        if self.share.is_zero() {
            // Says so where the balancer is not as it is left after a shift.
            self.drifted().await?;
            self.followed(begun.revision()).await?;
        }
        self.candidate_is_healthy().await?;
        for step in self.shift.plan.steps_from(self.share) {
            self.reach(step).await?;
            self.watch(step).await?;
        }
        Ok(())
    }

    /// Takes a step; while the store does not let it, watches the candidate at what it has.
    async fn reach(&mut self, step: Step) -> Result<(), End> {
        let mut calm = Calm::now();
        loop {
            match self.take_step(step).await {
                Err(End::Failed(ShiftError::Store(_))) if !self.share.is_zero() => {}
                Ok(()) => {
                    self.thaw(&mut calm);
                    return Ok(());
                }
                end => return end,
            }
            self.hold(&mut calm, Frost::Store);
            self.not_frozen_for_too_long(&calm)?;
            self.watch(Step::new(self.share, Duration::ZERO)).await?;
        }
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

    async fn end(mut self, end: Result<(), End>) -> Result<Outcome, ShiftError> {
        let finished = self.finish(end).await;
        if let Err(ShiftError::Superseded { phase }) = &finished {
            self.let_go(*phase).await;
        }
        finished
    }

    async fn finish(&mut self, end: Result<(), End>) -> Result<Outcome, ShiftError> {
        let (share, record) = (self.share, self.record.clone());
        match end {
            Ok(()) => self.commit().await,
            Err(End::RollBack(cause)) => self.roll_back(cause).await,
            Err(End::Frozen(why)) => Ok(Outcome::Frozen { why, share, record }),
            Err(End::Stopped) => Ok(Outcome::Stopped { share, record }),
            Err(End::Failed(error)) => Err(error),
        }
    }

    async fn commit(&mut self) -> Result<Outcome, ShiftError> {
        let (to, only) = (self.to, Phase::Only(self.to));
        let full = Phase::Shift { to, share: Share::FULL };
        let committed = self.change(full, only, Deployment::commit).await?;
        // Whether it is followed changes nothing any more: what it says was so before.
        drop(self.settle(committed.revision()).await);
        self.notify(&Event::Promoted { color: to });
        Ok(Outcome::Promoted { record: self.record.clone() })
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
