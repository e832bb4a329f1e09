//! A service on blue, release 2 on green, a balancer, metrics by script, and points to crash at.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bluegreen_core::{
    ByColor, Change, Clock, Color, Deployment, Figures, Member, MemoryStore, Observation,
    Outcome as Written, Phase, Reading, Release, ServiceKey, Share, Stop, Store, StoreError,
    UpdateError, update,
};
use bluegreen_traffic::{
    CandidateHealth, Event, Notify as Notified, Observe, Outcome, Plan, Shift, ShiftConfig,
    ShiftError, SourceError, Sources, Thresholds, Weights,
};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

pub const PERIOD: Duration = Duration::from_secs(60);

/// Counts the calls to store and balancer, before and after each, and stops the world at one.
#[derive(Debug, Default)]
pub struct Tripwire {
    passed: AtomicU32,
    at: Option<u32>,
    tripped: Notify,
}

impl Tripwire {
    async fn pass(&self) {
        if Some(self.passed.fetch_add(1, Ordering::SeqCst)) == self.at {
            self.tripped.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

/// What is wrong with the store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    Unavailable,
    Misconfigured,
    /// Calls do not return before it is over.
    Silent,
    /// Reads show what was there so long ago, as eventually consistent ones do.
    Stale(Duration),
    /// Writes happen, and say that they may not have.
    LostReplies,
}

/// The store's trouble, and what it had when.
#[derive(Debug, Default)]
pub struct Troubled {
    now: Mutex<Option<Trouble>>,
    history: Mutex<Vec<(Instant, Deployment)>>,
}

impl Troubled {
    pub fn set(&self, trouble: Option<Trouble>) {
        *self.now.lock().unwrap() = trouble;
    }

    fn is(&self) -> Option<Trouble> {
        *self.now.lock().unwrap()
    }

    async fn call(&self) -> Result<(), StoreError> {
        while self.is() == Some(Trouble::Silent) {
            sleep(Duration::from_millis(100)).await;
        }
        match self.is() {
            Some(Trouble::Unavailable) => Err(StoreError::Unavailable { source: "down".into() }),
            Some(Trouble::Misconfigured) => {
                let reason = "a permission is missing".to_owned();
                Err(StoreError::Misconfigured { reason, source: "denied".into() })
            }
            Some(Trouble::Silent | Trouble::Stale(_) | Trouble::LostReplies) | None => Ok(()),
        }
    }

    fn seen(&self, present: Option<Deployment>) -> Option<Deployment> {
        let Some(Trouble::Stale(lag)) = self.is() else { return present };
        let history = self.history.lock().unwrap();
        let old = history.iter().rev().find(|(written, _)| written.elapsed() >= lag);
        old.or(history.first()).map(|(_, deployment)| deployment.clone()).or(present)
    }
}

#[derive(Debug)]
pub struct WiredStore {
    store: Arc<MemoryStore>,
    wire: Arc<Tripwire>,
    troubled: Arc<Troubled>,
}

impl Store for WiredStore {
    async fn load(&self, service: &ServiceKey) -> Result<Option<Deployment>, StoreError> {
        self.troubled.call().await?;
        Ok(self.troubled.seen(self.store.load(service).await?))
    }

    async fn compare_and_set(&self, change: &Change) -> Result<Written, StoreError> {
        self.wire.pass().await;
        self.troubled.call().await?;
        let outcome = self.store.compare_and_set(change).await;
        if let Ok(Written::Won) = outcome {
            let won = (Instant::now(), change.next().clone());
            self.troubled.history.lock().unwrap().push(won);
        }
        self.wire.pass().await;
        match self.troubled.is() {
            Some(Trouble::LostReplies) => Err(StoreError::Unavailable { source: "lost".into() }),
            _ => outcome,
        }
    }

    async fn announce(&self, service: &ServiceKey, member: &Member) -> Result<(), StoreError> {
        self.store.announce(service, member).await
    }

    async fn withdraw(&self, service: &ServiceKey, instance: &str) -> Result<(), StoreError> {
        self.store.withdraw(service, instance).await
    }

    async fn members(&self, service: &ServiceKey) -> Result<Vec<Member>, StoreError> {
        self.wire.pass().await;
        self.troubled.call().await?;
        self.store.members(service).await
    }
}

#[derive(Debug, Default)]
pub struct Balancer {
    pub shares: Mutex<ByColor<Share>>,
    pub writes: AtomicU32,
    /// How many of the next writes fail.
    pub failing: AtomicU32,
    /// Whether failures last.
    pub lasting: bool,
    /// Whether reads do not return for now.
    pub silent: AtomicBool,
}

#[derive(Debug)]
pub struct WiredWeights {
    balancer: Arc<Balancer>,
    wire: Arc<Tripwire>,
}

impl Weights for WiredWeights {
    async fn set(&self, shares: ByColor<Share>) -> Result<(), SourceError> {
        self.wire.pass().await;
        let failing = &self.balancer.failing;
        if failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return Err(if self.balancer.lasting {
                SourceError::lasting("writing failed", "denied")
            } else {
                SourceError::passing("writing failed", "throttled")
            });
        }
        *self.balancer.shares.lock().unwrap() = shares;
        self.balancer.writes.fetch_add(1, Ordering::SeqCst);
        self.wire.pass().await;
        Ok(())
    }

    async fn read(&self) -> Result<ByColor<Share>, SourceError> {
        self.wire.pass().await;
        while self.balancer.silent.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(100)).await;
        }
        Ok(*self.balancer.shares.lock().unwrap())
    }
}

/// What a color shows in the period that begins so long after the scene did.
pub type Script = Arc<dyn Fn(Color, Duration) -> Reading + Send + Sync>;

pub struct Scene {
    pub store: Arc<MemoryStore>,
    pub troubled: Arc<Troubled>,
    pub key: ServiceKey,
    pub balancer: Arc<Balancer>,
    pub wire: Arc<Tripwire>,
    pub clock: Clock,
    pub origin: SystemTime,
    pub events: Arc<Mutex<Vec<Event>>>,
    pub asked: Arc<Mutex<Vec<(Duration, Duration)>>>,
    pub plan: Plan,
    pub config: ShiftConfig,
    pub thresholds: Thresholds,
    pub health: Arc<Mutex<Result<(), String>>>,
    pub script: Script,
    /// How long a look at the metrics takes.
    pub look_takes: Duration,
}

pub fn counted(requests: u64, errors: u64) -> Reading {
    Reading::Counted(Figures::new(requests, errors, Duration::from_millis(20 * requests)))
}

pub fn good() -> Script {
    Arc::new(|_, _| counted(1_000, 1))
}

/// Green fails a third of its requests from so long after the beginning on.
pub fn green_bad_from(from: Duration) -> Script {
    Arc::new(move |color, at| {
        counted(1_000, if color == Color::Green && at >= from { 300 } else { 1 })
    })
}

pub fn release(name: &str) -> Release {
    Release::new(name).unwrap()
}

impl Scene {
    pub async fn new(script: Script) -> Self {
        let store = Arc::new(MemoryStore::new());
        let key = ServiceKey::new("orders").unwrap();
        let first = Deployment::first(key.clone(), Color::Blue, release("1"));
        let first = update(&*store, &key, |_| Ok(first.clone())).await.unwrap();
        let troubled = Troubled::default();
        troubled.history.lock().unwrap().push((Instant::now(), first));
        let balancer = Arc::new(Balancer::default());
        *balancer.shares.lock().unwrap() = shares(Color::Green, 0);
        // In the middle of a period.
        let origin = UNIX_EPOCH + PERIOD * 1_000 + PERIOD / 2;
        let clock = Clock::starting_at(origin);
        Self {
            store,
            troubled: Arc::new(troubled),
            key,
            balancer,
            wire: Arc::default(),
            clock,
            origin,
            events: Arc::default(),
            asked: Arc::default(),
            plan: Plan::default(),
            config: ShiftConfig::default().with_clock(clock),
            thresholds: Thresholds::default(),
            health: Arc::new(Mutex::new(Ok(()))),
            script,
            look_takes: Duration::ZERO,
        }
    }

    /// Runs the shift to release 2 on green, with the scene as it stands.
    pub async fn run(&self, stop: Stop) -> Result<Outcome, ShiftError> {
        self.run_to(Color::Green, "2", stop).await
    }

    pub async fn run_to(&self, to: Color, name: &str, stop: Stop) -> Result<Outcome, ShiftError> {
        self.shift().run(to, release(name), stop).await
    }

    pub async fn revert(&self) -> Result<Outcome, ShiftError> {
        self.shift().revert(Stop::never()).await
    }

    fn shift(
        &self,
    ) -> Shift<WiredStore, impl Observe, WiredWeights, impl CandidateHealth, impl Notified> {
        let (script, origin, asked) = (self.script.clone(), self.origin, self.asked.clone());
        let takes = self.look_takes;
        let observe = move |start: SystemTime, end: SystemTime| {
            let since = |time: SystemTime| time.duration_since(origin).unwrap_or_default();
            asked.lock().unwrap().push((since(start), since(end)));
            let seen = observed(&script, origin, start, end);
            async move {
                sleep(takes).await;
                Ok::<_, SourceError>(seen)
            }
        };
        let health = self.health.clone();
        let candidate_health = move |_: Color| {
            let answer = health.lock().unwrap().clone();
            async move { answer }
        };
        let events = self.events.clone();
        let wire = self.wire.clone();
        let sources = Sources {
            observe,
            weights: WiredWeights { balancer: self.balancer.clone(), wire: wire.clone() },
            candidate_health,
            notify: move |event: &Event| events.lock().unwrap().push(event.clone()),
        };
        let troubled = self.troubled.clone();
        let store = WiredStore { store: self.store.clone(), wire, troubled };
        let (plan, thresholds) = (self.plan.clone(), self.thresholds);
        let shift = Shift::new(store, self.key.clone(), plan, thresholds, sources).unwrap();
        shift.with_config(self.config.clone()).unwrap()
    }

    /// Runs until the `n`th point and drops the shift there; the outcome when it ended before.
    pub async fn crash_at(&mut self, n: u32) -> Option<Result<Outcome, ShiftError>> {
        self.wire = Arc::new(Tripwire { at: Some(n), ..Tripwire::default() });
        let wire = self.wire.clone();
        let outcome = tokio::select! {
            outcome = self.run(Stop::never()) => Some(outcome),
            () = wire.tripped.notified() => None,
        };
        self.wire = Arc::default();
        outcome
    }

    pub async fn phase(&self) -> Phase {
        self.store.load(&self.key).await.unwrap().unwrap().phase()
    }

    pub fn weights(&self) -> ByColor<Share> {
        *self.balancer.shares.lock().unwrap()
    }

    pub async fn change(
        &self,
        transition: impl Fn(&Deployment) -> Result<Deployment, bluegreen_core::TransitionError>,
    ) {
        let change = |now: Option<&Deployment>| Ok(transition(now.ok_or(UpdateError::NoRecord)?)?);
        update(&*self.store, &self.key, change).await.unwrap();
    }

    /// The events of a kind, as text.
    pub fn told(&self, beginning: &str) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let told = events.iter().map(ToString::to_string);
        told.filter(|told| told.starts_with(beginning)).collect()
    }

    pub fn since(&self) -> Duration {
        self.clock.now().duration_since(self.origin).unwrap()
    }

    /// Asserts that deployment and balancer are where this outcome says.
    pub async fn assert_is(&self, outcome: &Outcome) {
        let (phase, to_green) = match outcome {
            Outcome::Promoted { .. } => (Phase::Only(Color::Green), Share::FULL),
            Outcome::RolledBack { .. } => (Phase::Only(Color::Blue), Share::ZERO),
            Outcome::Frozen { share, .. } | Outcome::Stopped { share, .. } => {
                (Phase::Shift { to: Color::Green, share: *share }, *share)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(self.phase().await, phase);
        assert_eq!(self.weights(), ByColor { blue: to_green.rest(), green: to_green });
    }
}

pub fn shares(to: Color, per_mille: u16) -> ByColor<Share> {
    let phase = Phase::Shift { to, share: Share::per_mille(per_mille).unwrap() };
    ByColor::from_fn(|color| phase.weight(color))
}

fn observed(
    script: &Script,
    origin: SystemTime,
    start: SystemTime,
    end: SystemTime,
) -> ByColor<Vec<Observation>> {
    ByColor::from_fn(|color| {
        let next = |at: &SystemTime| Some(*at + PERIOD);
        let starts = std::iter::successors(Some(start), next).take_while(|at| *at < end);
        let reading = |at: SystemTime| script(color, at.duration_since(origin).unwrap_or_default());
        starts.map(|at| Observation::new(color, at, PERIOD, reading(at))).collect()
    })
}
