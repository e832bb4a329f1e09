//! What goes wrong in a world, and when.

mod answer;
mod hold;
mod rule;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Response;

pub use hold::Hold;
pub use rule::{Fault, Rule};

use crate::Calls;
use crate::service::Call;
use hold::{Barrier, Moment};
use rule::ActiveRule;

/// The faults of a world. Clones share them.
///
/// ```
/// # use bluegreen_local::{Calls, Fault, Rule, Service, World};
/// let world = World::new();
/// let sends = Calls::to(Service::Sqs).operation("SendMessage").access_key("blue");
/// let throttled = world.faults().inject(Rule::new(sends, Fault::Throttle).first(2));
/// // … blue's first two sends are throttled …
/// assert_eq!(throttled.count(), 0);
/// drop(throttled); // and no more
/// ```
#[derive(Clone, Debug, Default)]
pub struct Faults {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    next_id: AtomicU64,
    rules: Mutex<Vec<ActiveRule>>,
    barriers: Mutex<Vec<Arc<Barrier>>>,
}

/// What to do with a call.
#[derive(Debug)]
pub(crate) enum Verdict {
    Execute,
    Answer(Response<Bytes>),
    Break,
    ExecuteAndBreak,
    ExecuteInPart,
}

impl Faults {
    /// Puts a rule in force until the returned guard is dropped. Of several rules that strike the
    /// same call, delays add up and the first other fault wins.
    pub fn inject(&self, rule: Rule) -> Injected {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let struck = Arc::new(AtomicU64::new(0));
        self.rules().push(ActiveRule::new(id, rule, Arc::clone(&struck)));
        Injected { faults: self.clone(), id, struck, kept: false }
    }

    /// Holds the `n`th matching call from now (1 is the next) before it is executed.
    pub fn hold(&self, calls: Calls, n: u64) -> Hold {
        self.barrier(calls, n, Moment::Arrival)
    }

    /// Holds the reply to the `n`th matching call from now (1 is the next): it is executed and
    /// others see its effect, but its caller does not know yet.
    pub fn hold_reply(&self, calls: Calls, n: u64) -> Hold {
        self.barrier(calls, n, Moment::Reply)
    }

    fn barrier(&self, calls: Calls, n: u64, moment: Moment) -> Hold {
        let barrier = Arc::new(Barrier::new(calls, n, moment));
        self.barriers().push(Arc::clone(&barrier));
        Hold::new(self.clone(), barrier)
    }

    /// Decides about a call that arrived. Waits through holds and delays; a hang never ends.
    pub(crate) async fn before(&self, call: &Call) -> Verdict {
        self.wait_at(Moment::Arrival, call).await;
        let (delay, fault) = self.strikes(call);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let Some(fault) = fault else {
            return Verdict::Execute;
        };
        match fault {
            Fault::Hang => std::future::pending().await,
            Fault::Reset => Verdict::Break,
            Fault::LostReply => Verdict::ExecuteAndBreak,
            Fault::PartialFailure => Verdict::ExecuteInPart,
            Fault::Delay(_) => Verdict::Execute,
            Fault::Throttle | Fault::InternalError | Fault::Unavailable | Fault::AccessDenied => {
                Verdict::Answer(answer::of(call.service, fault))
            }
        }
    }

    /// Waits through holds of the reply.
    pub(crate) async fn before_reply(&self, call: &Call) {
        self.wait_at(Moment::Reply, call).await;
    }

    /// The sum of the delays, and the first other fault, that strike this call.
    fn strikes(&self, call: &Call) -> (Duration, Option<Fault>) {
        let mut delay = Duration::ZERO;
        for rule in self.rules().iter_mut() {
            match rule.strikes(call) {
                None => {}
                Some(Fault::Delay(more)) => delay += more,
                Some(fault) => return (delay, Some(fault)),
            }
        }
        (delay, None)
    }

    async fn wait_at(&self, moment: Moment, call: &Call) {
        // The list is copied out only when a hold catches the call: the lock must not be awaited on.
        let caught: Vec<_> = {
            let barriers = self.barriers();
            barriers.iter().filter(|barrier| barrier.catches(moment, call)).cloned().collect()
        };
        for barrier in caught {
            barrier.wait().await;
        }
    }

    fn remove_barrier(&self, barrier: &Arc<Barrier>) {
        self.barriers().retain(|present| !Arc::ptr_eq(present, barrier));
    }

    fn rules(&self) -> MutexGuard<'_, Vec<ActiveRule>> {
        self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn barriers(&self) -> MutexGuard<'_, Vec<Arc<Barrier>>> {
        self.shared.barriers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A rule in force. Dropping it takes the rule away.
#[derive(Debug)]
#[must_use = "dropping it takes the fault away at once"]
pub struct Injected {
    faults: Faults,
    id: u64,
    struck: Arc<AtomicU64>,
    kept: bool,
}

impl Injected {
    /// How often the fault has struck.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.struck.load(Ordering::Relaxed)
    }

    /// Leaves the rule in force for as long as the world lasts.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Injected {
    fn drop(&mut self) {
        if !self.kept {
            self.faults.rules().retain(|rule| rule.id() != self.id);
        }
    }
}
