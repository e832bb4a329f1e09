//! A store as a writer sees it across a bad network, until the writer dies.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bluegreen_core::{Change, Deployment, Member, Outcome, ServiceKey, Store, StoreError};
use tokio::sync::Notify;

/// Everything that was ever read, for stale reads.
pub(crate) type Past = Arc<Mutex<Vec<Option<Deployment>>>>;

/// Passes calls on, with faults by chance: calls that never arrive, replies that are lost, reads
/// that are stale, other tasks in between; and the death of its writer after a number of points.
pub(crate) struct Faulty<S> {
    inner: Arc<S>,
    past: Past,
    chance: Mutex<fastrand::Rng>,
    points_left: Mutex<u32>,
    dead: Notify,
}

impl<S: Store> Faulty<S> {
    pub(crate) fn new(inner: Arc<S>, past: Past, seed: u64, points_left: u32) -> Self {
        Self {
            inner,
            past,
            chance: Mutex::new(fastrand::Rng::with_seed(seed)),
            points_left: Mutex::new(points_left),
            dead: Notify::new(),
        }
    }

    /// Resolves once the writer is to die.
    pub(crate) async fn dead(&self) {
        self.dead.notified().await;
    }

    fn one_in(&self, n: u32) -> bool {
        self.chance.lock().unwrap().u32(0..n) == 0
    }

    async fn let_others_run(&self) {
        let turns = self.chance.lock().unwrap().u32(0..4);
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }

    /// Whether the writer dies here.
    fn dies(&self) -> bool {
        let mut left = self.points_left.lock().unwrap();
        *left = left.saturating_sub(1);
        *left == 0
    }

    async fn die<T>(&self) -> T {
        self.dead.notify_one();
        std::future::pending().await
    }

    async fn call<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.let_others_run().await;
        if self.dies() {
            return self.die().await;
        }
        if self.one_in(8) {
            return Err(lost("the call"));
        }
        if self.dies() {
            // In the middle: begun, and never looked at again.
            drop(tokio::time::timeout(Duration::ZERO, work).await);
            return self.die().await;
        }
        let answer = work.await;
        self.let_others_run().await;
        if self.dies() {
            return self.die().await;
        }
        if self.one_in(6) { Err(lost("the reply")) } else { answer }
    }
}

fn lost(what: &str) -> StoreError {
    StoreError::Unavailable { source: format!("{what} was lost").into() }
}

impl<S: Store> Store for Faulty<S> {
    async fn load(&self, service: &ServiceKey) -> Result<Option<Deployment>, StoreError> {
        let found = self.call(self.inner.load(service)).await?;
        let stale = self.one_in(4);
        let mut past = self.past.lock().unwrap();
        past.push(found.clone());
        let at = self.chance.lock().unwrap().usize(0..past.len());
        Ok(if stale { past[at].clone() } else { found })
    }

    async fn compare_and_set(&self, change: &Change) -> Result<Outcome, StoreError> {
        self.call(self.inner.compare_and_set(change)).await
    }

    async fn announce(&self, service: &ServiceKey, member: &Member) -> Result<(), StoreError> {
        self.call(self.inner.announce(service, member)).await
    }

    async fn withdraw(&self, service: &ServiceKey, instance: &str) -> Result<(), StoreError> {
        self.call(self.inner.withdraw(service, instance)).await
    }

    async fn members(&self, service: &ServiceKey) -> Result<Vec<Member>, StoreError> {
        self.call(self.inner.members(service)).await
    }
}
