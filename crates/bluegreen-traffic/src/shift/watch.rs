use std::time::Duration;

use bluegreen_core::{Phase, Store};
use tokio::time::{Instant, timeout};

use super::calm::Calm;
use super::{End, LOOK_LIMIT, Run};
use crate::attempt::Attempt;
use crate::event::{Frost, chain};
use crate::judge::{Baseline, judge};
use crate::window::millis;
use crate::{
    CandidateHealth, Cause, Event, Evidence, Look, Missing, Notify, Observe, ShiftError, Step,
    Tally, Verdict, Weights,
};

impl<S, O, W, H, N> Run<S, O, W, H, N>
where
    S: Store,
    O: Observe,
    W: Weights,
    H: CandidateHealth,
    N: Notify,
{
    /// Looks at a step until the candidate was healthy over all of it.
    pub(super) async fn watch(&mut self, step: Step) -> Result<(), End> {
        let mut attempt = self.attempt(step);
        let mut calm = Calm::now();
        loop {
            self.pause(self.next_look(&attempt)).await?;
            self.still_ours().await?;
            let verdict = if self.put_right(step).await? {
                // What was seen may be of another share.
                attempt = self.attempt(step);
                self.hold(&mut calm, Frost::NoEvidence(Missing::Drift));
                None
            } else {
                self.look(&mut attempt).await?
            };
            match verdict {
                None => {}
                Some(Verdict::Healthy { .. }) => {
                    self.thaw(&mut calm);
                    if attempt.is_covered() {
                        return Ok(());
                    }
                }
                Some(verdict @ Verdict::Unhealthy { .. }) => {
                    return Err(End::RollBack(Cause::Unhealthy(verdict)));
                }
                Some(Verdict::BothUnhealthy { .. }) => {
                    self.freeze(&mut calm, Frost::BothUnhealthy);
                    calm.since = Instant::now();
                    // What was bad must not weigh on what comes after it.
                    attempt = self.attempt(step);
                }
                Some(Verdict::NoEvidence { why, .. }) => {
                    self.hold(&mut calm, Frost::NoEvidence(why));
                }
            }
            self.not_frozen_for_too_long(&calm)?;
        }
    }

    /// Whether the balancer had other weights, which it then has no more.
    async fn put_right(&mut self, step: Step) -> Result<bool, End> {
        if self.drifted().await?.is_none() {
            return Ok(false);
        }
        let balanced = self.balance(step.share).await;
        balanced.map_err(|error| End::RollBack(Cause::Weights(chain(&error))))?;
        Ok(true)
    }

    fn attempt(&mut self, step: Step) -> Attempt {
        self.record.begin_step(step.share);
        Attempt::starting(self.shift.config.clock.now(), step, self.shift.config.period)
    }

    /// The interval, or less where the step can be over sooner.
    fn next_look(&self, attempt: &Attempt) -> Duration {
        let config = &self.shift.config;
        let left = attempt.until_covered(config.clock.now(), config.settle_lag);
        let interval = self.shift.plan.interval;
        if left.is_zero() { interval } else { left.min(interval) }
    }

    /// Judges what there is by now; nothing while no period is whole.
    async fn look(&mut self, attempt: &mut Attempt) -> Result<Option<Verdict>, End> {
        let now = self.shift.config.clock.now();
        let Some((start, end)) = attempt.ask(now, self.shift.config.settle_lag) else {
            return Ok(None);
        };
        let asked = self.shift.sources.observe.observe(start, end);
        let asked = super::unless_stopped(&self.stop, timeout(LOOK_LIMIT, asked)).await?;
        let unreadable = match asked {
            Ok(Ok(answered)) => {
                attempt.take(answered);
                false
            }
            Ok(Err(error)) => {
                tracing::warn!(error = chain(&error), "the metrics cannot be read");
                true
            }
            Err(_) => true,
        };
        let seen = attempt.observations();
        let mut verdict = judge(&self.shift.thresholds, self.to, &seen, self.baseline());
        if unreadable && !matches!(verdict, Verdict::Unhealthy { .. }) {
            let evidence: Evidence = *verdict.evidence();
            verdict = Verdict::NoEvidence { why: Missing::Unreadable, evidence };
        }
        let seen = seen.map(|_, observations| Tally::of(&observations));
        if !self.share.is_full() && matches!(verdict, Verdict::Healthy { .. }) {
            self.baseline = Some(*seen.get(self.to.other()));
        }
        let (share, window) = (self.share, attempt.window());
        self.record.look(Look { at_ms: millis(now), window, seen, verdict: verdict.clone() });
        self.notify(&Event::Looked { share, window, verdict: verdict.clone() });
        Ok(Some(verdict))
    }

    fn baseline(&self) -> Baseline {
        match self.baseline {
            _ if !self.share.is_full() => Baseline::Live,
            Some(earlier) => Baseline::Earlier(earlier),
            None => Baseline::Nothing,
        }
    }

    /// Lets go where somebody else has changed the deployment. An old record says nothing.
    async fn still_ours(&mut self) -> Result<(), End> {
        let ours = [self.share, self.tried].map(|share| Phase::Shift { to: self.to, share });
        let loading = self.shift.store.load(&self.shift.key);
        let loaded = super::unless_stopped(&self.stop, timeout(LOOK_LIMIT, loading)).await?;
        match loaded {
            Ok(Ok(Some(found)))
                if !ours.contains(&found.phase()) && found.revision() > self.written =>
            {
                Err(ShiftError::Superseded { phase: found.phase() }.into())
            }
            Ok(Err(error)) => {
                self.notify(&Event::StoreFailed { error: chain(&error) });
                Ok(())
            }
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }
}
